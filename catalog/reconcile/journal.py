"""What was done about a plan, line by line: to go on after a crash, and to undo.

Before anything is changed, a line says what is about to be done and what undoing it needs, and is on disk by then;
after it, a line says how it ended. A last line that was cut off was not yet acted upon.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

from ..arguments import is_whole
from ..columns import parse_file
from ..errors import CatalogError, InvalidError
from ..keys import head_row, versions
from ..rows import Entity, check_values
from .difference import parsed

FORMAT: Final = 1
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


class Journal:
    """A journal that is being written."""

    def __init__(self, path: Path, file: IO[str], entries: Sequence[Entry] = ()) -> None:
        self.path = path
        self.done = {entry.subject for entry in entries if entry.phase == "done"}
        """What an earlier run has brought to its end. What it left alone is looked at again."""
        self.begun = {entry.subject for entry in entries if entry.phase == "begun"} - self.done
        """What an earlier run has begun, and not brought to its end."""
        self._file = file

    def __repr__(self) -> str:
        return f"<Journal {self.path}>"

    @staticmethod
    def open(path: Path, *, plan: str, volume: str, epoch: str) -> "Journal":
        """Begin a journal of a plan, or go on with it. One run writes it at a time.

        Raises: InvalidError where it is that of another plan, is being written by another run, or is no journal: then
        it stays as it is.
        """
        if path.exists() and not path.is_file():
            raise InvalidError(f"{str(path)!r} is no file: name another journal", op="apply", kind="invalid.journal")
        first = _line({"blobcat": "journal", "format": FORMAT, "plan": plan, "volume": volume, "epoch": epoch})
        file = path.open("a+", encoding="utf-8", newline="\n")
        try:
            _lock(file, path)
            if _is_new(path, first):
                file.truncate(0)
                journal = Journal(path, file)
                file.write(first)
                journal._sync()
                return journal
            header, entries = read(path, op="apply")
            if header["plan"] != plan:
                message = f"{str(path)!r} is the journal of another plan: name another file, or none"
                raise InvalidError(message, op="apply", kind="invalid.journal")
            _cut(path)
            return Journal(path, file, entries)
        except BaseException:
            file.close()
            raise

    def add(self, *entries: Entry) -> None:
        """Write lines; what is about to be done is on disk when this returns."""
        for entry in entries:
            self._file.write(_line({name: value for name, value in asdict(entry).items() if value}))
        if any(entry.phase == "begun" for entry in entries):
            self._sync()

    def close(self) -> None:
        """All of it is on disk afterwards; where that cannot be, another run may go on with it all the same."""
        try:
            self._sync()
        finally:
            self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _lock(file: IO[str], path: Path) -> None:
    """For as long as the file is open. Raises: InvalidError where somebody else has it."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock  # noqa: PLC0415 — where the system has it
    except ImportError:
        return
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError as exc:
        message = f"another apply writes {str(path)!r}: wait for its end, or name another journal"
        raise InvalidError(message, op="apply", kind="invalid.journal") from exc


def _is_new(path: Path, first: str) -> bool:
    """Whether a file is empty, or was cut in this first line, which is then to be written anew."""
    whole = first.encode()
    with path.open("rb") as file:
        there = file.read(len(whole))
    return len(there) < len(whole) and whole.startswith(there)


def _cut(path: Path) -> None:
    """Take away a journal's last line where that was cut off."""
    with path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def read(path: Path, *, op: str = "undo") -> tuple[dict[str, Any], list[Entry]]:
    """The first line of a journal, and all others that are whole. Raises: InvalidError for what is none."""
    if not path.exists():
        raise InvalidError(f"there is no journal {str(path)!r}", op=op, kind="invalid.journal")
    try:
        header, *entries = [*_records(path)] or [{}]  # with no whole line, it is none
    except (OSError, ValueError) as exc:
        raise InvalidError(f"{str(path)!r} cannot be read as a journal: {exc}", op=op, kind="invalid.journal") from exc
    if header.get("blobcat") != "journal":
        raise InvalidError(f"{str(path)!r} is no journal of blobcat's", op=op, kind="invalid.journal")
    if header.get("format") != FORMAT:
        message = f"{str(path)!r} is a journal of format {header.get('format')}; this blobcat knows {FORMAT}"
        raise InvalidError(message, op=op, kind="invalid.journal")
    try:
        _check(header, "plan", "volume", "epoch")
        return header, [_entry(record) for record in entries]
    except TypeError as exc:
        raise InvalidError(f"{str(path)!r} is damaged: {exc}", op=op, kind="invalid.journal") from exc


@contextmanager
def kept_still(path: Path) -> Iterator[None]:
    """While this lasts, no apply writes a journal; others may read it, too. Raises: InvalidError where one does."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):  # where the system has no such lock; what cannot be read, its reader says
            from fcntl import LOCK_NB, LOCK_SH, flock  # noqa: PLC0415

            file = stack.enter_context(path.open("rb"))
            try:
                flock(file, LOCK_SH | LOCK_NB)
            except BlockingIOError as exc:
                message = f"an apply is writing {str(path)!r}: wait for its end"
                raise InvalidError(message, op="undo", kind="invalid.journal") from exc
        yield


def _check(record: Mapping[str, Any], *names: str) -> None:
    """Raises: TypeError where one of these is no text, or is not there."""
    for name in names:
        if not isinstance(record.get(name), str):
            raise TypeError(f"a line does not say its {name}")


def _entry(record: Mapping[str, Any]) -> Entry:
    """A line as it was added. Raises: TypeError."""
    _check(record, "key", "state", "action", "phase")
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
    ours = name == head_row(row["path"]) or name.startswith(versions(row["path"]).first)
    return ours and (before is None or _is_record(name, before)) and _is_record(name, after)


def _is_record(row: str, values: object) -> bool:
    """Whether a head, or a version, can be read of these values, and a table can keep them."""
    if not isinstance(values, dict):
        return False
    try:
        check_values("", row, values)
        parse_file("", Entity("", row, values, "", 0))
    except (CatalogError, OverflowError):
        return False
    return True


def _is_headers(record: Mapping[str, Any]) -> bool:
    found = record.get("metadata")
    told = _says(record, "content_type") and is_whole(record.get("size"))
    return told and isinstance(found, dict) and _says(found, *found)


def _says(record: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(record.get(name), str) for name in names)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                record = parsed(line)
                if not isinstance(record, dict):
                    raise ValueError("not a record")
                yield record
