"""A line of a journal, and what it must be to be believed: it is acted upon by whoever takes a repair back. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..arguments import is_whole
from ..columns import parse_file
from ..errors import CatalogError
from ..keys import head_row, is_index_row, versions
from ..rows import Entity, check_values

_HEX: Final = re.compile("(?:[0-9a-f]{2})*")
Phase = Literal["begun", "done", "changed", "waiting", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    key: str
    state: str
    action: str
    phase: Phase
    """`begun`: about to be done · `done` · `changed`: not as it was when the plan was made, so left alone · `waiting`:
    its writer may be alive · `failed`: see `why`."""
    why: str = ""
    undo: Mapping[str, Any] = field(default_factory=dict)
    """With `begun`: what is about to be changed, as it was."""

    @property
    def subject(self) -> tuple[str, str, str]:
        """What it is about: an entry of a plan."""
        return (self.state, self.key, self.action)


def check_texts(record: Mapping[str, Any], *names: str) -> None:
    """Raises: TypeError where one of these is no text, or is not there."""
    for name in names:
        if not isinstance(record.get(name), str):
            raise TypeError(f"a line does not say its {name}")


def parse_entry(record: Mapping[str, Any]) -> Entry:
    """A line as it was added. Raises: TypeError."""
    check_texts(record, "key", "state", "action", "phase")
    if not isinstance(record.get("why", ""), str):
        raise TypeError("a line says why, and that is no text")
    if not _can_be_undone(record.get("undo", {})):
        raise TypeError("a line does not say what it changed")
    return Entry(**record)


def _can_be_undone(undo: object) -> bool:
    """Whether it is what a repair says ahead of a change: of rows, of a blob's headers, or of a blob put aside."""
    if not isinstance(undo, dict):
        return False
    rows, blob, meant = undo.get("rows", []), undo.get("blob"), undo.get("headers")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and _is_row(row) for row in rows):
        return False
    if blob is None:
        return True
    whole = isinstance(blob, dict) and _says(blob, "name", "etag", "md5") and _is_headers(blob)
    whole = whole and _HEX.fullmatch(blob["md5"]) is not None
    if meant:
        return whole and isinstance(meant, dict) and _is_headers(meant)
    return whole and _says(undo, "aside")


def _is_row(row: Mapping[str, Any]) -> bool:
    if not _says(row, "path", "row") or "before" not in row:
        return False
    before, after, name = row["before"], row.get("after"), row["row"]
    if is_index_row(name):
        return all(values is None or _is_of_path(name, values, row["path"]) for values in (before, after))
    ours = name == head_row(row["path"]) or name.startswith(versions(row["path"]).first)
    return ours and (before is None or _is_record(name, before)) and _is_record(name, after)


def _is_of_path(row: str, values: object, path: str) -> bool:
    """Whether it says that it is this path's, and a table can keep it: what is none of an index's is put back so."""
    if not isinstance(values, dict):
        return False
    try:
        check_values("", row, values)
    except CatalogError:
        return False
    return values.get("path") == path and is_whole(values.get("schema"))


def _is_record(row: str, values: object) -> bool:
    """Whether a head, or a version, can be read of these values, and a table can keep them."""
    if not isinstance(values, dict):
        return False
    try:
        check_values("", row, values)
        parse_file("", Entity("", row, values, "", 0))
    except CatalogError:
        return False
    return True


def _is_headers(record: Mapping[str, Any]) -> bool:
    found = record.get("metadata")
    told = _says(record, "content_type") and is_whole(record.get("size"))
    return told and isinstance(found, dict) and _says(found, *found)


def _says(record: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(record.get(name), str) for name in names)
