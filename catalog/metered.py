"""MeteredTable: a Table that counts what is asked of it. What a query costs is counted here, and nowhere else."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from .filters import Condition
from .keys import RowRange
from .rows import Entity
from .table import Table


class MeteredTable:
    """The port `catalog.table.Table` over another one, which stays who opened it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.requests = 0
        """Each is a billed transaction, also one that failed."""
        self.entities = 0
        """That came back."""
        self.create, self.drop, self.close = table.create, table.drop, table.close
        self.pushed, self.submit = table.pushed, table.submit

    def __repr__(self) -> str:
        return f"<MeteredTable {self._table!r}: {self.requests} requests>"

    async def get(self, partition: str, row: str) -> Entity | None:
        """See Table."""
        self.requests += 1
        entity = await self._table.get(partition, row)
        self.entities += entity is not None
        return entity

    async def query(
        self, partition: str, rows: RowRange, *, where: Condition | None = None, select: Sequence[str] | None = None
    ) -> AsyncGenerator[Sequence[Entity], None]:
        """See Table."""
        async with aclosing(self._table.query(partition, rows, where=where, select=select)) as pages:
            while True:
                try:
                    page = await anext(pages, None)
                except BaseException:
                    self.requests += 1
                    raise
                if page is None:  # behind the last one: no request
                    return
                self.requests += 1
                self.entities += len(page)
                yield page
