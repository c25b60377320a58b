"""The Table port on Azure Tables, by a lean client of ours; Microsoft's makes and drops the table.

It knows how the port's methods become requests, and what an answer proves; what both look like is `table_wire`'s. All
changes are batches, also a single one: a batch is a POST, which nothing between here and the service sends twice. It is
answered by 202 whatever becomes of it, so only as many results as operations, each with the etag that it must have, are
a success.

Where the SDK and this differ in what they send or read, this is wrong: tests compare them.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableClient

from storage.azure_errors import code_of, translated, translating
from storage.azure_sender import Answer, RefusedAnswerError, Sender
from storage.azure_signers import signer
from storage.azure_transport import SENT_ONCE, SingleShotTransport
from storage.azure_transport import transport as single_shot

from .errors import ConflictError, InvalidError, NotFoundError
from .filters import Condition
from .keys import RowRange
from .pushdown import odata, odata_literal, pushable
from .rows import Entity, check_key, check_range
from .table import PAGE_ROWS, Operation, RefusedError, Written, check_batch
from .table_wire import (
    Failure,
    decoded_batch,
    decoded_entity,
    decoded_page,
    encoded_batch,
    entity_address,
    etag_time,
    failure,
)

COMPARISONS_MAX: Final = 15 - 3  # the service's limit, less the key and its two bounds
URL_CHARACTERS_MAX: Final = 7_000  # of the 8 KiB that are safe; the rest is for the host, a SAS and a continuation

_VERSION: Final = "2019-02-02"
_ACCEPTED: Final = 202
_JSON: Final = {"Accept": "application/json;odata=minimalmetadata", "DataServiceVersion": "3.0"}
_TABLE_NAME: Final = re.compile(r"[a-z][a-z0-9]{2,62}")
_NO_ROW: Final = frozenset({"ResourceNotFound", "EntityNotFound"})
_KEYS: Final = ("PartitionKey", "RowKey", "Timestamp")
_BATCH: Final = {"Accept": "application/json", "DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx"}
_NEXT: Final = ("NextPartitionKey", "NextRowKey")


class OurTableClient(TableClient):
    """The SDK's client, and beside it ours, on the same connections and with the same credential.

    It cannot be pickled: the SDK would take the key along, in plain text (S15).
    """

    def __init__(self, endpoint: str, table: str, *, credential: Any, transport: SingleShotTransport) -> None:
        super().__init__(endpoint, table, credential=credential, transport=transport, **SENT_ONCE)
        self.sender = Sender(transport, signer(credential, blob=False), _VERSION)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a credential: it cannot be pickled")


def table_client(
    endpoint: str,
    table: str,
    credential: Any = None,
    *,
    transport: SingleShotTransport | None = None,
) -> OurTableClient:
    """A client of one table that sends each request once. Constructing does no I/O.

    `endpoint` is the account's, as in "https://account.table.core.windows.net", and may carry a SAS in the place of a
    credential. The time-outs are the transport's: see `azure_transport.transport`. Raises: InvalidError.
    """
    check_table_name(table)
    try:
        return OurTableClient(_loopback(endpoint), table, credential=credential, transport=transport or single_shot())
    except ValueError:  # its text may quote the url, and with it a SAS
        message = "the table service's url or credential is not a valid one"
        raise InvalidError(message, op="connect", key=table) from None


def check_table_name(name: str) -> None:
    """Refuse a name that is no table's. One spelling, for Azurite does not roll back under another.

    Raises: InvalidError.
    """
    if not _TABLE_NAME.fullmatch(name):
        message = f"a table is named by a lower-case letter and 2 to 62 lower-case letters or digits, not {name!r}"
        raise InvalidError(message, op="connect", key=name)


class AzureTable:
    """A table of a storage account, by a client that is now this object's own: it is closed with it."""

    def __init__(self, client: OurTableClient) -> None:
        self._client = client
        self._account_url, _, sas = client.url.partition("?")
        self._url = f"{self._account_url}/{client.table_name}"
        self._sas = f"?{sas}" if sas else ""
        self._closed = False
        # Azurite, which has the account in the url's path, compares numbers of either kind with a floating literal,
        # and answers 500 where it meets a floating number at a comparison with an Int64 literal.
        self._strict_types = urlsplit(client.url).path in ("", "/")

    def __repr__(self) -> str:
        place = urlsplit(self._client.url)  # without its query: that may be a SAS
        state = "closed" if self._closed else "open"
        return f"<AzureTable {self._client.table_name!r} at {place.scheme}://{place.netloc}{place.path}, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a table holds connections and a credential: it cannot be pickled")

    def unwrap(self) -> TableClient:
        """The SDK's client, which stays this table's own."""
        return self._client

    async def create(self) -> None:
        """Make the table. It is no error that it is already there."""
        self._check_open("create")
        with translating("create", self._client.table_name, write=True):
            try:
                await self._client.create_table()
            except ResourceExistsError as error:
                if code_of(error) != "TableAlreadyExists":
                    raise

    async def drop(self) -> None:
        """Remove the table with all its rows. It is no error that there is none."""
        self._check_open("drop")
        with translating("drop", self._client.table_name, write=True):
            await self._client.delete_table()

    async def get(self, partition: str, row: str) -> Entity | None:
        """Read one row; None where there is none."""
        self._check_open("get")
        check_key("PartitionKey", partition, op="get")
        check_key("RowKey", row, op="get")
        with translating("get", row, write=False):
            answer = await self._client.sender.send("GET", entity_address(self._url, partition, row) + self._sas, _JSON)
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
                url = f"{self._url}()?{urlencode(asked | more, quote_via=quote)}{self._sas.replace('?', '&')}"
                answer = await self._client.sender.send("GET", url, _JSON)
                if not answer.succeeded:
                    raise self._refusal(answer)
                page, more = decoded_page(answer.body), _continuation(answer)
            yield page

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        """Apply all operations, or none, in one batch request."""
        self._check_open("submit")
        check_batch(partition, operations)
        with translating("submit", partition, write=True):
            kind, body = encoded_batch(self._url, partition, operations)
            headers = {"Content-Type": kind, **_BATCH}
            answer = await self._client.sender.send("POST", f"{self._account_url}/$batch{self._sas}", headers, body)
            if answer.status != _ACCEPTED:
                raise self._refusal(answer)
            etags = decoded_batch(answer.headers.get("Content-Type", ""), answer.body, operations)
            if isinstance(etags, Failure):
                refusal = self._client.sender.refusal(etags.status, etags.code)
                _raise_refused(refusal, etags.index, operations)
                raise refusal
        return [Written(etag, None if etag is None else etag_time(etag)) for etag in etags]

    async def close(self) -> None:
        """Let go of the client's connections. May be called twice."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    def _filter(self, partition: str, rows: RowRange, where: Condition | None, *, room: int) -> str:
        keys = (
            f"PartitionKey eq {odata_literal(partition)}"
            f" and RowKey ge {odata_literal(rows.first)} and RowKey lt {odata_literal(rows.stop)}"
        )
        room -= _url_length(keys)
        weaker = pushable(where, strict_types=self._strict_types, comparisons_max=COMPARISONS_MAX, text_max=room)
        return keys if weaker is None else f"{keys} and {odata(weaker)}"

    def _refusal(self, answer: Answer) -> RefusedAnswerError:
        told = failure(answer.status, answer.headers.get("x-ms-error-code"), answer.body)
        return self._client.sender.refusal(told.status, told.code)

    def _check_open(self, op: str) -> None:
        if self._closed:
            raise InvalidError("the table is closed", op=op, key=self._client.table_name, kind="invalid.closed")


def _loopback(endpoint: str) -> str:
    """The SDK takes any other port of "localhost" than 10002 for Cosmos DB, and speaks another dialect to it."""
    url = urlsplit(endpoint)
    port = "" if url.port is None else f":{url.port}"
    return urlunsplit(url._replace(netloc=f"127.0.0.1{port}")) if url.hostname == "localhost" else endpoint


# Requests.


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
