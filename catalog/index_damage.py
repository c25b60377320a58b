"""What is done where the rows of an index are not as their head says: somebody has edited the table, or restored it.

Rows of indexes carry no condition of their own: the head's etag is theirs, as they change with it alone. So where
somebody else has removed one, or put one there, the service refuses every change of its file, for ever. Whoever is
refused looks whether the head is as the transaction asks, and then at the rows. Where these are not as they ought to
be, the same transaction makes of them what it would have made of the right ones. The head's etag stands for all of them
still: where somebody has changed them meanwhile, or the first transaction was applied after all, it is refused, too.

What nobody comes across in this way `reconcile` finds, and mends.
"""

from collections.abc import Container

from .commit import Unit
from .keys import is_index_row
from .retry import Deadline
from .table import Delete, Insert, Operation, Replace, Table


async def amended(unit: Unit, table: Table, partition: str, deadline: Deadline) -> Unit | None:
    """A unit that was refused, as the rows of indexes call for that are really there; None where that is no other one.

    Raises: as `Table.get`.
    """
    rows = [operation.row for operation in unit.operations if is_index_row(operation.row)]
    if not rows:
        return None

    async def etag(row: str) -> str | None:
        entity = await deadline.read(lambda: table.get(partition, row))
        return entity.etag if entity else None

    for operation in unit.operations:
        if operation.row.startswith("h"):
            wanted = operation.etag if isinstance(operation, Replace) else None
            if await etag(operation.row) != wanted:
                return None  # it was changed, which is reason enough
    there = [row for row in rows if await etag(row)]
    operations = tuple(made for each in unit.operations if (made := _as_there(each, there)))
    return None if operations == unit.operations else Unit(operations, unit.shared)


def _as_there(operation: Operation, there: Container[str]) -> Operation | None:
    """What does the same where the row is there, or is not; None for nothing."""
    if not is_index_row(operation.row):
        return operation
    if isinstance(operation, Delete):
        return operation if operation.row in there else None
    return (Replace if operation.row in there else Insert)(operation.row, operation.values)
