"""Whether the rows of indexes are as the heads of their files say: read from raw rows, once for all who ask."""

from collections.abc import Iterable, Mapping

from catalog.entities import Index, VolumeInfo
from catalog.exchange import partition_of
from catalog.indexes import index_row
from catalog.keys import RowRange, partition
from catalog.rows import Entity, Values
from catalog.table import Table


async def read_rows(table: Table, info: VolumeInfo) -> list[Entity]:
    """All rows of a volume."""
    found = list[Entity]()
    for shard in range(info.shards):
        async for page in table.query(partition(info.epoch, shard), RowRange(" ", "\ufffd\ufffd")):
            found += page
    return found


def amiss(rows: Iterable[Entity], info: VolumeInfo) -> list[str]:
    """What is not as it is to be; nothing in the best of volumes."""
    known = {index.id: index for index in info.indexes}
    found = {(row.partition, row.row): dict(row.values) for row in rows if row.row[0] == "x"}
    heads = [row for row in rows if row.row[0] == "h"]
    wrong = list[str]()
    for head in heads:
        marks = str(head.values.get("indexed", "")).split()
        wrong += [f"{head.row} names {id_}" for id_ in marks if id_ not in known]
        wrong += [f"{head.row} lacks {id_}" for id_ in _missing(head.values, marks, info.indexes)]
        for id_ in marks:
            if id_ in known:
                columns = {name: value for name, value in head.values.items() if name != "indexed"}
                there = found.pop((head.partition, index_row(known[id_], head.values)), None)
                wrong += [f"{head.row} in {id_}: {there} is not {columns}"] if there != columns else []
    return wrong + [f"{row} is nobody's" for _, row in found]


def _missing(head: Values, marks: Iterable[str], indexes: Iterable[Index]) -> list[str]:
    if head["kind"] == "delete":
        return []
    return [index.id for index in indexes if index.state == "ready" and index.id not in marks]


async def amiss_in(table: Table, info: VolumeInfo) -> list[str]:
    """As `amiss`, of a volume as it is now."""
    return amiss(await read_rows(table, info), info)


def rows_of(rows: Iterable[Entity], path: str) -> Mapping[str, Entity]:
    """The rows of indexes that a path has, by key."""
    return {row.row: row for row in rows if row.row[0] == "x" and row.values["path"] == path}


async def index_rows_of(table: Table, info: VolumeInfo, path: str) -> Mapping[str, Entity]:
    """As `rows_of`, of a volume as it is now."""
    rows = [row for row in await read_rows(table, info) if row.partition == partition_of(info, path)]
    return rows_of(rows, path)
