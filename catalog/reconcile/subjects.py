"""What a journal says of each action, on disk: memory does not grow with what was done.

It is a temporary database that has no name and goes with whoever has it open, also with one who is killed.
"""

import sqlite3
from collections.abc import Iterator
from typing import Final

Subject = tuple[str, str, str]
_CACHE_KIB: Final = 4 << 10


class Subjects:
    """The actions that a journal tells of: which were begun, where it says so first, and which came to their end."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._database.execute(f"PRAGMA {setting}")
        columns = "state, key, action, begun INTEGER, done INTEGER NOT NULL"
        self._database.execute(f"CREATE TABLE subjects ({columns}, PRIMARY KEY (state, key, action)) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __repr__(self) -> str:
        return "<Subjects>"

    def begin(self, subject: Subject, at: int) -> None:
        """It was begun, which stands at this byte of the journal. Where it was begun before, that stands."""
        upsert = "ON CONFLICT DO UPDATE SET begun = coalesce(begun, excluded.begun)"
        self._database.execute(f"INSERT INTO subjects VALUES (?, ?, ?, ?, 0) {upsert}", [*subject, at])  # noqa: S608

    def end(self, subject: Subject) -> None:
        """It was done."""
        upsert = "ON CONFLICT DO UPDATE SET done = 1"
        self._database.execute(f"INSERT INTO subjects VALUES (?, ?, ?, NULL, 1) {upsert}", subject)  # noqa: S608

    def is_done(self, subject: Subject) -> bool:
        """Whether it was brought to its end."""
        return self._has(subject, "done")

    def is_begun(self, subject: Subject) -> bool:
        """Whether it was begun, and not brought to its end."""
        return self._has(subject, "begun IS NOT NULL AND NOT done")

    def _has(self, subject: Subject, what: str) -> bool:
        query = f"SELECT 1 FROM subjects WHERE state = ? AND key = ? AND action = ? AND {what}"  # noqa: S608 — our own
        return self._database.execute(query, subject).fetchone() is not None

    def begun_last_first(self) -> Iterator[int]:
        """Where the journal says of each that it was begun."""
        for (at,) in self._database.execute("SELECT begun FROM subjects WHERE begun NOTNULL ORDER BY begun DESC"):
            yield at

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._database.close()
