"""ObservedTable: a Table that tells of each request, and of the commits and aborts among them.

What a transaction means is read off its rows, so nothing else need know that somebody listens: new version rows are a
commit, an intent that becomes aborted is an abort. `connect` puts it around the table only for those who listen.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from time import perf_counter

from storage.observed import Observation

from .events import AbortEvent, CommitEvent, Listener
from .filters import Condition
from .keys import RowRange, version_row
from .pushdown import Pushed
from .rows import Entity
from .table import Insert, Operation, Replace, Table, Written

_VERSION = version_row("", 1)[0]


class ObservedTable:
    """The port `catalog.table.Table` over another one."""

    def __init__(self, table: Table, listen: Listener) -> None:
        self._table = table
        self._listen = listen

    def __repr__(self) -> str:
        return repr(self._table)

    async def create(self) -> None:
        with Observation(self._listen, "table", "create", ""):
            await self._table.create()

    async def drop(self) -> None:
        with Observation(self._listen, "table", "drop", ""):
            await self._table.drop()

    async def get(self, partition: str, row: str) -> Entity | None:
        with Observation(self._listen, "table", "get", partition) as told:
            entity = await self._table.get(partition, row)
            told.count = int(entity is not None)
        return entity

    async def query(
        self,
        partition: str,
        rows: RowRange,
        *,
        where: Condition | None = None,
        select: Sequence[str] | None = None,
    ) -> AsyncGenerator[Sequence[Entity], None]:
        async with aclosing(self._table.query(partition, rows, where=where, select=select)) as pages:
            while True:
                with Observation(self._listen, "table", "query", partition) as told:
                    page = await anext(pages, None)
                    told.count, told.real = len(page or ()), page is not None
                if page is None:
                    return
                yield page

    def pushed(self, partition: str, rows: RowRange, where: Condition | None) -> Pushed:
        return self._table.pushed(partition, rows, where)

    async def submit(self, partition: str, operations: Sequence[Operation]) -> Sequence[Written]:
        start = perf_counter()
        with Observation(self._listen, "table", "submit", partition, len(operations)):
            written = await self._table.submit(partition, operations)
        self._tell(partition, operations, perf_counter() - start)
        return written

    async def close(self) -> None:
        await self._table.close()

    def _tell(self, partition: str, operations: Sequence[Operation], spent: float) -> None:
        made = [each.values for each in operations if isinstance(each, Insert) and each.row.startswith(_VERSION)]
        if made and "op" in made[0]:  # and not a volume's row
            size = sum(int(values["size"]) for values in made)
            self._listen(
                CommitEvent(
                    op="commit",
                    key=partition,
                    duration_s=spent,
                    operations=len(operations),
                    versions=len(made),
                    size=size,
                )
            )
        for each in operations:
            if isinstance(each, Replace) and each.values.get("state") == "aborted":
                kind, path, op, writer = (str(each.values[name]) for name in ("kind", "path", "op", "writer"))
                self._listen(AbortEvent(op=kind, key=path, duration_s=spent, id=op, writer=writer))
