"""The Table port: entities in partitions, changed by transactions. The shape of an Azure table, and nothing more.

It knows partitions, rows, etags and limits. It knows nothing of files, and never retries: a method is one request (a
query: one per page), and its caller decides what a failure means.

What every table guarantees, and `tests/contracts` proves for each:

- `submit` applies all of its operations or none, and `get` and `query` never see half of one.
- An etag changes with every change of its row and never comes back to that row. Rows of one transaction may share one.
- `query` yields rows in order of row key, each at most once; every row that was there all the time is among them.
- Timestamps are the service's own, in microseconds, and never run backwards within a partition.
- A failure is definite unless it says otherwise. `RefusedError` is the service's word that a condition of *this*
  request did not hold; whether an earlier copy of it was applied is for the caller to find out.

Not guaranteed: that a query over several pages is a snapshot; that a `where` is applied in full (see `query`).

Limits are checked here, before the wire; an over-limit batch is refused, never silently split.
"""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from .errors import ConflictError, InvalidError, TooLargeError
from .filters import Condition
from .keys import RowRange
from .pushdown import Pushed
from .rows import Entity, Shape, Values, check_key, check_keys, check_values, shape, units

ANY_ETAG = "*"
"""The etag of an operation that asks only that the row exists."""

PAGE_ROWS: Final = 1_000
"""The rows of a full page: the service's limit. A page with fewer is most probably the last."""

# Azure Tables, "Performing entity group transactions".
OPERATIONS_MAX = 100
BATCH_BYTES_MAX = 3_500 * 1024  # the service takes 4 MiB; the rest is for the multipart around the entities
OPERATION_BYTES = 1024  # what the multipart puts around an entity
_KEY_BYTES = 18  # of a unit of a key: percent-encoded in the url, escaped in the entity
_ENTITY_FACTOR = 9  # no operation takes more bytes than this many times its entity's size, and what is around it
_NAMES_FACTOR = 7  # names, types and numbers take at most this many times what they count for in the entity's size
_SHORT = 1024  # of so many characters nobody counts how they are written
_as_json = json.encoder.encode_basestring_ascii


@dataclass(frozen=True, slots=True)
class Insert:
    """Add a row that must not be there."""

    row: str
    values: Values


@dataclass(frozen=True, slots=True)
class Replace:
    """Put other values in the place of a row that must be there, with this etag."""

    row: str
    values: Values
    etag: str = ANY_ETAG


@dataclass(frozen=True, slots=True)
class Merge:
    """Set some values of a row that must be there, with this etag; the others stay."""

    row: str
    values: Values
    etag: str = ANY_ETAG


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row that must be there, with this etag."""

    row: str
    etag: str = ANY_ETAG


Operation = Insert | Replace | Merge | Delete


@dataclass(frozen=True, slots=True)
class Written:
    """What one operation of a transaction left behind: the row's new etag and time; both None after a delete."""

    etag: str | None
    timestamp: int | None  # None also where the service's answer does not tell: read the row


class LastPage(list[Entity]):
    """The rows of a query behind which there are no more: whoever has it need not ask."""

    __slots__ = ()


class RefusedError(ConflictError):
    """A transaction was refused: a row was there (409), was not there (404), or had another etag (412).

    `index` is the operation that the service blames, or None where it names none. A hint: whoever acts on it looks at
    the rows.
    """

    default_kind = "conflict.refused"

    def __init__(self, message: str, *, index: int | None, op: str = "submit", key: str = "") -> None:
        super().__init__(message, op=op, key=key)
        self.index = index


class Table(Protocol):
    """Where the names are. See the module for what all tables guarantee."""

    async def create(self) -> None:
        """Make the table. It is no error that it is already there."""

    async def drop(self) -> None:
        """Remove the table with all its rows. It is no error that there is none."""

    async def get(self, partition: str, row: str) -> Entity | None:
        """Read one row; None where there is none.

        Raises: NotFoundError (no table), AccessDeniedError, UnavailableError.
        """

    def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """Read a range of rows, page by page; a page may be empty. One that is known to be the last is a `LastPage`.

        `where` is a wish: rows for which it holds are all there, others may be among them, so the caller evaluates it
        again. `select` names the values wanted; others may come along, absent ones do not.

        Raises: NotFoundError (no table), AccessDeniedError, UnavailableError (also in the middle).
        """

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        """What `query` would say of a condition: how it is asked, and what it leaves open. Sends nothing."""

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        """Apply all operations, or none. One answer for each operation, in order.

        Raises: RefusedError, InvalidError, TooLargeError, NotFoundError (no table), AccessDeniedError,
        UnavailableError (proven: not applied), OutcomeUnknownError.
        """

    async def close(self) -> None:
        """Let go of connections, threads and files. May be called twice."""


def operation_bytes(partition: str, operation: Operation) -> int:
    """An upper bound of what an operation takes in a batch's body: values as JSON, types, keys and headers."""
    size = OPERATION_BYTES + _KEY_BYTES * (units(partition) + units(operation.row))
    if isinstance(operation, Delete):
        return size
    kinds = shape(operation.values)
    text = kinds.text(operation.values)
    # An escape takes six bytes, and a character of the astral planes two of them.
    return size + _NAMES_FACTOR * kinds.bytes + (12 * len(text) if len(text) <= _SHORT else len(_as_json(text)))


def check_batch(partition: str, operations: Sequence[Operation]) -> list[Shape]:
    """Refuse what the service would refuse, or worse, half accept. Returns the shape of what each operation writes.

    Raises: InvalidError, TooLargeError.
    """
    if not operations:
        raise InvalidError("a transaction needs at least one operation", op="submit", key=partition)
    if len(operations) > OPERATIONS_MAX:
        message = f"a transaction holds at most {OPERATIONS_MAX} operations, not {len(operations)}"
        raise TooLargeError(message, op="submit", key=partition)
    rows = [operation.row for operation in operations]
    if len(set(rows)) != len(rows):
        raise InvalidError("a transaction may name each row once", op="submit", key=partition)
    check_key("PartitionKey", partition)
    check_keys("RowKey", rows)
    shapes, size = list[Shape](), 0
    for operation in operations:
        if not isinstance(operation, Insert):
            _check_etag(operation)
        values = {} if isinstance(operation, Delete) else operation.values
        kinds = shape(values)
        shapes.append(kinds)
        size += OPERATION_BYTES + _ENTITY_FACTOR * check_values(partition, operation.row, values, kinds)
    if size > BATCH_BYTES_MAX and total_bytes(partition, operations) > BATCH_BYTES_MAX:
        message = f"a transaction's body holds at most {BATCH_BYTES_MAX:,} bytes"
        raise TooLargeError(message, op="submit", key=partition)
    return shapes


def _check_etag(operation: Replace | Merge | Delete) -> None:
    if not operation.etag or not operation.etag.isascii() or not operation.etag.isprintable():
        raise InvalidError("an etag is one line of ASCII", op="submit", key=operation.row)


def total_bytes(partition: str, operations: Iterable[Operation]) -> int:
    """What these operations take together in a batch's body, at most."""
    return sum([operation_bytes(partition, operation) for operation in operations])
