"""Whether the rows that a file has in indexes are as its head says. Pure: no request, no clock.

Each index that the head is marked with has one row of it, with all of the head's columns, and there are no others. The
head of a file is marked with every index that is ready: else queries would not find it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..columns import indexed_values, parse_indexed
from ..entities import Head, Index, VolumeInfo
from ..head_rows import kept_up
from ..indexes import index_row
from ..keys import index_id
from ..rows import Entity, Values
from .difference import Difference, iso
from .seen import named


@dataclass(frozen=True, slots=True)
class SeenIndexes:
    """The head of a path, and its rows in indexes, at one moment, under the settings of that moment."""

    path: str
    volume: VolumeInfo
    head: Head | None
    raw: Entity | None
    """The head as it stands there."""
    rows: Mapping[str, Entity | None]
    """The rows that there are, or ought to be, by key."""


def called_for(volume: VolumeInfo, values: Values) -> dict[str, str]:
    """The rows that a head calls for by its mark: by key, each with its index's id. `values`: the head's columns."""
    known = {index.id: index for index in volume.indexes}
    return {index_row(known[id_], values): id_ for id_ in parse_indexed(values) if id_ in known}


def without_mark(values: Values) -> dict[str, str | int | float | bool]:
    """The columns of a head that its rows in indexes have."""
    return {name: value for name, value in values.items() if name != "indexed"}


def mended(seen: SeenIndexes) -> Values | None:
    """The head as it ought to be; None where there is none."""
    if seen.raw is None or seen.head is None:
        return None
    return without_mark(seen.raw.values) | indexed_values(kept_up(seen.volume, seen.head.file))


def judge_indexes(seen: SeenIndexes) -> Difference | None:
    """What is the matter with a file's rows in indexes; None where nothing is."""
    head = seen.head
    if head is not None and head.claim is not None:
        return None  # a move is under way, and is settled first
    wrong = list(dict.fromkeys(_wrong(seen)))
    if not wrong:
        return None
    rows = {row: entity.etag if entity else "" for row, entity in seen.rows.items()}
    found = Difference("index-wrong", seen.path, path=seen.path, why="; ".join(wrong), action="mend-index", rows=rows)
    if head is None:
        return found
    file = head.file
    return Difference(
        found.state,
        found.key,
        path=found.path,
        versions=(named(file),),
        op=file.etag,
        writer=file.writer,
        at=iso(file.created),
        why=found.why,
        action=found.action,
        rows={f"h {file.path}": head.row_etag, **rows},
    )


def _wrong(seen: SeenIndexes) -> Iterator[str]:
    known, head = {index.id: index for index in seen.volume.indexes}, seen.head
    marks = head.indexed if head else ()
    wanted = called_for(seen.volume, seen.raw.values) if seen.raw else {}
    for id_ in marks:
        if id_ not in known:
            yield f"its head says that it is in index {id_}, and there is none"
    if head and head.live:
        for index in seen.volume.indexes:
            if index.state == "ready" and index.id not in marks:
                yield f"it is not in the index {_spelt(index)}"
    for row, entity in seen.rows.items():
        if row in wanted and entity is None:
            yield f"it has no row in the index {_spelt(known[wanted[row]])}"
        elif row in wanted and entity and seen.raw and entity.values != without_mark(seen.raw.values):
            yield f"its row in the index {_spelt(known[wanted[row]])} says something else than its head"
        elif row not in wanted and entity:
            yield f"it has a row in {_of(row, known)} that its head does not call for"


def _of(row: str, known: Mapping[str, Index]) -> str:
    id_ = index_id(row)
    return f"the index {_spelt(known[id_])}" if id_ in known else "an index that there is not"


def _spelt(index: Index) -> str:
    return f"({', '.join(index.on)})"
