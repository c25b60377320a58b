"""The Table port on Azure Tables, by Microsoft's SDK. The only module that imports `azure.data.tables`.

It knows how operations and conditions look on the wire, and what an answer proves. All changes go through
`submit_transaction`, also a single one: aiohttp sends a PUT or DELETE again by itself when a connection is lost, and
never a POST. A batch is answered by 202 whatever becomes of it, so only as many results as operations, each with the
etag that it must have, are a success; an answer that is shorter, or that the SDK's parser chokes on, proves nothing.

Int64 is the only integer: the SDK would make Int32 of small ones, which a filter with an Int64 literal may not find.
"""

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.data.tables import (
    EdmType,
    EntityProperty,
    RequestTooLargeError,
    TableEntity,
    TableTransactionError,
    UpdateMode,
)
from azure.data.tables.aio import TableClient

from storage.azure_errors import code_of, translated, translating
from storage.azure_transport import SENT_ONCE
from storage.azure_transport import transport as single_shot

from .errors import ConflictError, InvalidError, NotFoundError, OutcomeUnknownError, TooLargeError
from .filters import Condition
from .keys import RowRange
from .pushdown import odata, odata_literal, pushable
from .rows import (
    Entity,
    Value,
    check_key,
    check_range,
)
from .table import (
    ANY_ETAG,
    PAGE_ROWS,
    Delete,
    Insert,
    Merge,
    Operation,
    RefusedError,
    Replace,
    Written,
    check_batch,
)
from .times import microseconds

COMPARISONS_MAX: Final = 15 - 3  # the service's limit, less the key and its two bounds
URL_CHARACTERS_MAX: Final = 7_000  # of the 8 KiB that are safe; the rest is for the host, a SAS and a continuation

_TABLE_NAME: Final = re.compile(r"[a-z][a-z0-9]{2,62}")
_INDEX: Final = re.compile(r"(\d{1,3}):")
_NO_ROW: Final = frozenset({"ResourceNotFound", "EntityNotFound"})
_KEYS: Final = ("PartitionKey", "RowKey", "Timestamp")

Change = tuple[str, Mapping[str, Any], Mapping[str, Any]]


class UnpickledTableClient(TableClient):
    """The SDK's client, which would take its key along into a pickle, in plain text (S15)."""

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a credential: it cannot be pickled")


def table_client(
    endpoint: str,
    table: str,
    credential: Any = None,
    *,
    transport: AsyncHttpTransport[Any, Any] | None = None,
) -> TableClient:
    """A client of one table that sends each request once. Constructing does no I/O.

    `endpoint` is the account's, as in "https://account.table.core.windows.net", and may carry a SAS in the place of a
    credential. The time-outs are the transport's: see `azure_transport.transport`. Raises: InvalidError.
    """
    check_table_name(table)
    try:
        return UnpickledTableClient(
            _loopback(endpoint), table, credential=credential, transport=transport or single_shot(), **SENT_ONCE
        )
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

    def __init__(self, client: TableClient) -> None:
        self._client = client
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
            try:
                return _entity(partition, await self._client.get_entity(partition, row))
            except ResourceNotFoundError as error:
                if code_of(error) not in _NO_ROW:  # only the service's own word says that a row is absent
                    raise
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
        names = None if select is None else [*_KEYS, *select]
        text = self._filter(partition, rows, where, room=URL_CHARACTERS_MAX - _url_length(",".join(names or ())))
        pages = self._client.query_entities(text, select=names, results_per_page=PAGE_ROWS).by_page()
        while True:
            with translating("query", partition, write=False):
                page = await anext(pages, None)
                if page is None:
                    return
                found = [_entity(partition, entity) async for entity in page]
            yield found

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        """Apply all operations, or none, in one batch request."""
        self._check_open("submit")
        check_batch(partition, operations)
        with translating("submit", partition, write=True):
            try:
                results = await self._client.submit_transaction([_change(partition, each) for each in operations])
            except TableTransactionError as error:
                _raise_refused(error, operations)
                raise
        if len(results) != len(operations):
            message = f"the service answered for {len(results)} of {len(operations)} operations"
            raise OutcomeUnknownError(message, op="submit", key=partition)
        return [_written(each, result.get("etag")) for each, result in zip(operations, results, strict=True)]

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


def _change(partition: str, operation: Operation) -> Change:
    keys = {"PartitionKey": partition, "RowKey": operation.row}
    match operation:
        case Insert(_, values):
            return "create", keys | _properties(values), {"response_preference": "return-no-content"}
        case Replace(_, values, etag):
            return "update", keys | _properties(values), {"mode": UpdateMode.REPLACE} | _condition(etag)
        case Merge(_, values, etag):
            return "update", keys | _properties(values), {"mode": UpdateMode.MERGE} | _condition(etag)
        case Delete(_, etag):
            return "delete", keys, _condition(etag)


def _properties(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: _property(value) for name, value in values.items()}


def _property(value: Value) -> object:
    """A value as the SDK takes it, which looks at exact types."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return EntityProperty(int(value), EdmType.INT64)
    return float(value) if isinstance(value, float) else str.__str__(value)


def _condition(etag: str) -> dict[str, Any]:
    if etag == ANY_ETAG:
        return {"match_condition": MatchConditions.Unconditionally}  # sends If-Match: *
    return {"match_condition": MatchConditions.IfNotModified, "etag": etag}


# Answers.


def _entity(partition: str, entity: TableEntity) -> Entity:
    values = {name: value.value if isinstance(value, EntityProperty) else value for name, value in entity.items()}
    del values["PartitionKey"]
    row = values.pop("RowKey")
    timestamp, etag = entity.metadata["timestamp"], entity.metadata["etag"]
    if timestamp is None or etag is None:
        raise ValueError("an entity without its timestamp")
    return Entity(partition, row, values, etag, microseconds(timestamp))


def _written(operation: Operation, etag: str | None) -> Written:
    if isinstance(operation, Delete):
        return Written(None, None)
    if not etag:
        raise OutcomeUnknownError("the service answered without an etag", op="submit", key=operation.row)
    return Written(etag, etag_time(etag))


def etag_time(etag: str) -> int | None:
    """The row's timestamp in µs, where its etag is one: the service's are, though it promises nothing."""
    try:
        time = datetime.fromisoformat(unquote(etag).removeprefix("W/\"datetime'").removesuffix("'\""))
    except ValueError:
        return None
    return None if time.tzinfo is None else microseconds(time)


def _raise_refused(error: TableTransactionError, operations: Sequence[Operation]) -> None:
    """Raise what the service says of the batch: that it is too large, or that the condition of a row did not hold."""
    if isinstance(error, RequestTooLargeError):  # a 413 inside has the outer answer's status here
        raise TooLargeError(
            "the service calls the transaction too large", op="submit", kind="too-large.request"
        ) from error
    meaning = translated(error, op="submit", key="", write=True)
    if not isinstance(meaning, ConflictError | NotFoundError) or code_of(error) == "TableNotFound":
        return
    found = _INDEX.match(error.message)
    index = int(found[1]) if found and int(found[1]) < len(operations) else None
    key = "" if index is None else operations[index].row
    raise RefusedError(f"operation {index}: {meaning.message}", index=index, key=key) from error
