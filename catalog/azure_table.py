"""The Table port on Azure Tables, by a lean client of ours.

It knows how the port's methods become requests, and what an answer proves; what both look like is `table_wire`'s. All
changes are batches, also a single one: a batch is a POST, which nothing between here and the service sends twice. It is
answered by 202 whatever becomes of it, so only as many results as operations, each with the etag that it must have, are
a success.

Where the SDK and this differ in what they send or read, this is wrong: tests compare them.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from storage.azure_client import AzureClient
from storage.azure_errors import translated, translating
from storage.azure_sender import Answer, RefusedAnswerError
from storage.azure_transport import SingleShotTransport

from .errors import ConflictError, InvalidError, NotFoundError
from .filters import Condition
from .keys import RowRange
from .locations import AZURITE_ACCOUNT
from .pushdown import Pushed, Service, left_open, odata, odata_literal, pushable
from .rows import Entity, check_key, check_range
from .table import PAGE_ROWS, LastPage, Operation, RefusedError, Written, check_batch
from .table_wire import (
    Failure,
    decoded_batch,
    decoded_entity,
    decoded_page,
    encoded_batch,
    encoded_table,
    entity_address,
    etag_time,
    failure,
    table_address,
)

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

COMPARISONS_MAX: Final = 15 - 3  # the service's limit, less the key and its two bounds
URL_CHARACTERS_MAX: Final = 7_000  # of the 8 KiB that are safe; the rest is for the host, a SAS and a continuation

_CREATED: Final = 201
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_JSON: Final = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}
_TABLE_NAME: Final = re.compile(r"[a-z][a-z0-9]{2,62}")
_NO_ROW: Final = frozenset({"ResourceNotFound", "EntityNotFound"})
_NO_TABLE: Final = frozenset({"ResourceNotFound", "TableNotFound"})
_KEYS: Final = ("PartitionKey", "RowKey", "Timestamp")
_BATCH: Final = {"Accept": "application/json", "DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx"}
_NEXT: Final = ("NextPartitionKey", "NextRowKey")


def table_client(
    endpoint: str,
    table: str,
    credential: Any = None,
    *,
    transport: SingleShotTransport | None = None,
) -> AzureClient:
    """A client of one table that sends each request once. Constructing does no I/O.

    `endpoint`, as in "https://account.table.core.windows.net", and `credential`: see AzureClient. The time-outs are
    the transport's: see `azure_transport.transport`. Raises: InvalidError.
    """
    check_table_name(table)
    return AzureClient(endpoint, table, credential, service="table", transport=transport)


def check_table_name(name: str) -> None:
    """Refuse a name that is no table's. One spelling, for Azurite does not roll back under another.

    Raises: InvalidError.
    """
    if not _TABLE_NAME.fullmatch(name):
        message = f"a table is named by a lower-case letter and 2 to 62 lower-case letters or digits, not {name!r}"
        raise InvalidError(message, op="connect", key=name)


class AzureTable:
    """A table of a storage account, by a client that is now this object's own: it is closed with it."""

    def __init__(self, client: AzureClient) -> None:
        self._client = client
        self._name = client.name
        self._url = f"{client.endpoint}/{client.name}"
        self._sdk: TableClient | None = None
        self._closed = False
        # Azurite compares numbers of either kind with a floating literal, and answers 500 where it meets a floating
        # number at a comparison with an Int64 literal. Azure compares an Int64 with such a literal alone.
        self._strict_types = not _is_emulator(client.endpoint)

    def __repr__(self) -> str:
        return f"<AzureTable {self._name!r} at {self._client.endpoint}, {'closed' if self._closed else 'open'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a table holds connections and a credential: it cannot be pickled")

    def unwrap(self) -> "TableClient":
        """The SDK's client, which stays this table's own; made when it is first asked for."""
        if self._sdk is None:
            from .azure_clients import sdk_table_client

            self._sdk = sdk_table_client(self._client)
        return self._sdk

    async def create(self) -> None:
        """Make the table. It is no error that it is already there."""
        self._check_open("create")
        with translating("create", self._name, write=True):
            headers = {"Content-Type": "application/json;odata=nometadata", **_JSON}
            address = table_address(self._client.endpoint)
            answer = await self._client.sender.send("POST", address, headers, encoded_table(self._name))
            if answer.status != _CREATED:
                refusal = self._refusal(answer)
                if (refusal.status, refusal.code) != (_CONFLICT, "TableAlreadyExists"):
                    raise refusal

    async def drop(self) -> None:
        """Remove the table with all its rows. It is no error that there is none."""
        self._check_open("drop")
        with translating("drop", self._name, write=True):
            address = table_address(self._client.endpoint, self._name)
            answer = await self._client.sender.send("DELETE", address, {"Accept": "application/json"})
            if answer.status != _NO_CONTENT:
                refusal = self._refusal(answer)
                if refusal.status != _NOT_FOUND or refusal.code not in _NO_TABLE:
                    raise refusal

    async def get(self, partition: str, row: str) -> Entity | None:
        """Read one row; None where there is none."""
        self._check_open("get")
        check_key("PartitionKey", partition, op="get")
        check_key("RowKey", row, op="get")
        with translating("get", row, write=False):
            answer = await self._client.sender.send("GET", entity_address(self._url, partition, row), _JSON)
            if answer.succeeded:
                return decoded_entity(answer.body)
            refusal = self._refusal(answer)
            if refusal.code not in _NO_ROW:  # only the service's own word says that a row is absent
                raise refusal
            return None

    async def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """Read a range of rows, page by page."""
        self._check_open("query")
        check_range(partition, rows)
        asked = {} if select is None else {"$select": ",".join([*_KEYS, *select])}
        room = URL_CHARACTERS_MAX - _url_length(asked.get("$select", ""))
        asked |= {"$top": f"{PAGE_ROWS}", "$filter": self._filter(partition, rows, where, room=room)}
        more: dict[str, str] | None = {}
        while more is not None:
            with translating("query", partition, write=False):
                url = f"{self._url}()?{urlencode(asked | more, quote_via=quote)}"
                answer = await self._client.sender.send("GET", url, _JSON)
                if not answer.succeeded:
                    raise self._refusal(answer)
                page, more = decoded_page(answer.body), _continuation(answer)
            yield LastPage(page) if more is None else page

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        """Apply all operations, or none, in one batch request."""
        self._check_open("submit")
        shapes = check_batch(partition, operations)
        with translating("submit", partition, write=True):
            kind, body = encoded_batch(self._url, partition, operations, shapes)
            headers = {"Content-Type": kind, **_BATCH}
            answer = await self._client.sender.send("POST", f"{self._client.endpoint}/$batch", headers, body)
            if answer.status != _ACCEPTED:
                raise self._refusal(answer)
            etags = decoded_batch(answer.headers.get("Content-Type", ""), answer.body, operations)
            if isinstance(etags, Failure):
                refusal = self._client.sender.refusal(answer, etags.code, status=etags.status)
                _raise_refused(refusal, etags.index, operations)
                raise refusal
        return [Written(etag, None if etag is None else etag_time(etag)) for etag in etags]

    async def close(self) -> None:
        """Let go of the client's connections. May be called twice."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        """What a query's `$filter` says, and what it leaves open."""
        room = URL_CHARACTERS_MAX
        left = left_open(where, self._service(room - _url_length(_keys(partition, rows))))
        return Pushed(self._filter(partition, rows, where, room=room), left)

    def _filter(self, partition: str, rows: RowRange, where: Condition | None, *, room: int) -> str:
        keys = _keys(partition, rows)
        weaker = pushable(where, self._service(room - _url_length(keys)))
        return keys if weaker is None else f"{keys} and {odata(weaker)}"

    def _service(self, room: int) -> Service:
        return Service("odata", COMPARISONS_MAX, strict_types=self._strict_types, text_max=room)

    def _refusal(self, answer: Answer) -> RefusedAnswerError:
        told = failure(answer.status, answer.headers.get("x-ms-error-code"), answer.body)
        return self._client.sender.refusal(answer, told.code)

    def _check_open(self, op: str) -> None:
        if self._closed:
            raise InvalidError("the table is closed", op=op, key=self._name, kind="invalid.closed")


# Requests.


def _keys(partition: str, rows: RowRange) -> str:
    return (
        f"PartitionKey eq {odata_literal(partition)}"
        f" and RowKey ge {odata_literal(rows.first)} and RowKey lt {odata_literal(rows.stop)}"
    )


def _is_emulator(endpoint: str) -> bool:
    """Whether the account is Azurite's, in the path or as the host's first label. A path alone may be a proxy's."""
    parts = urlsplit(endpoint)
    return AZURITE_ACCOUNT in (*parts.path.split("/"), (parts.hostname or "").partition(".")[0])


def _url_length(text: str) -> int:
    return len(quote(text, safe=""))


# Answers.


def _continuation(answer: Answer) -> dict[str, str] | None:
    """What the next page's request says beside the first's; None after the last."""
    found = {name: answer.headers.get(f"x-ms-continuation-{name}", "") for name in _NEXT}
    return {name: value for name, value in found.items() if value} or None


def _raise_refused(refusal: RefusedAnswerError, index: int | None, operations: Sequence[Operation]) -> None:
    """Raise that the condition of a row did not hold, if that is what the service says."""
    meaning = translated(refusal, op="submit", key="", write=True)
    if not isinstance(meaning, ConflictError | NotFoundError) or refusal.code == "TableNotFound":
        return
    if index is not None and index >= len(operations):
        index = None
    key = "" if index is None else operations[index].row
    raise RefusedError(f"operation {index}: {meaning.message}", index=index, key=key) from refusal
