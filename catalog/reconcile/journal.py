"""What was done about a plan, line by line: to go on after a crash, and to undo.

Before anything is changed, a line says what is about to be done and what undoing it needs, and is on disk by then;
after it, a line says how it ended. A last line that was cut off was not yet acted upon.
"""

import json
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from ..errors import InvalidError
from .difference import parsed
from .entry import Entry, check_texts, parse_entry

if TYPE_CHECKING:
    from .subjects import Subjects

FORMAT: Final = 1


class Journal:
    """A journal that is being written."""

    def __init__(self, path: Path, file: IO[str], earlier: "Subjects") -> None:
        self.path = path
        self.earlier = earlier
        """What an earlier run has done. What it left alone is looked at again."""
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
        from .subjects import Subjects  # noqa: PLC0415 — only who applies pays for a database

        with ExitStack() as opened:
            file = opened.enter_context(path.open("a+", encoding="utf-8", newline="\n"))
            _lock(file, path)
            earlier = Subjects()
            opened.callback(earlier.close)
            journal = Journal(path, file, earlier)
            if _is_new(path, first):
                file.truncate(0)
                file.write(first)
                journal._sync()
            else:
                header, end = index(path, earlier, op="apply")
                if header["plan"] != plan:
                    message = f"{str(path)!r} is the journal of another plan: name another file, or none"
                    raise InvalidError(message, op="apply", kind="invalid.journal")
                os.truncate(path, end)  # a last line that was cut off
            opened.pop_all()
            return journal

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
            self.earlier.close()

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


def index(path: Path, subjects: "Subjects", *, op: str = "undo") -> tuple[dict[str, Any], int]:
    """The first line of a journal, and where the last whole one ends; what they say of actions is noted.

    Raises: InvalidError for what is no journal.
    """
    if not path.exists():
        raise InvalidError(f"there is no journal {str(path)!r}", op=op, kind="invalid.journal")
    try:
        with closing(_records(path)) as records:
            header, end = _header(path, records, op)
            for at, record, end in records:  # noqa: B007 — that of the last one
                entry = parse_entry(record)
                if entry.phase == "begun":
                    subjects.begin(entry.subject, at)
                elif entry.phase == "done":
                    subjects.end(entry.subject)
    except InvalidError:
        raise
    except OSError as exc:
        raise InvalidError(f"cannot read {str(path)!r}: {exc.strerror}", op=op, kind="invalid.journal") from exc
    except (TypeError, ValueError) as exc:
        raise InvalidError(f"{str(path)!r} is damaged: {exc}", op=op, kind="invalid.journal") from exc
    return header, end


def begun(path: Path, subjects: "Subjects") -> Iterator[Entry]:
    """What a journal says ahead of each action, as it was before the first attempt; the last action first."""
    with path.open("rb") as file:
        for at in subjects.begun_last_first():
            file.seek(at)
            yield parse_entry(parsed(file.readline()))


def _header(path: Path, records: Iterator[tuple[int, dict[str, Any], int]], op: str) -> tuple[dict[str, Any], int]:
    """The first line, and where it ends. Raises: InvalidError, OSError, TypeError."""
    none = InvalidError(f"{str(path)!r} is no journal of blobcat's", op=op, kind="invalid.journal")
    try:
        _, header, end = next(records, (0, {}, 0))  # with no whole line, it is none
    except ValueError as exc:  # no text, or no JSON
        raise none from exc
    if header.get("blobcat") != "journal":
        raise none
    if header.get("format") != FORMAT:
        message = f"{str(path)!r} is a journal of format {header.get('format')}; this blobcat knows {FORMAT}"
        raise InvalidError(message, op=op, kind="invalid.journal")
    check_texts(header, "plan", "volume", "epoch")
    return header, end


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


def _records(path: Path) -> Generator[tuple[int, dict[str, Any], int], None, None]:
    """Each whole line, from where to where it is. Raises: OSError, ValueError."""
    with path.open("rb") as file:
        at = 0
        for line in file:
            if line.endswith(b"\n"):
                record = parsed(line)
                if not isinstance(record, dict):
                    raise ValueError("not a record")
                yield at, record, at + len(line)
            at += len(line)
