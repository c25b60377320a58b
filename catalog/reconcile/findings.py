"""What was found so far, on disk, in the order of a plan."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .difference import Difference


class Findings:
    """Findings of one run: each once, however often it is added."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(folder / "found.db", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("CREATE TABLE found (state, path, key, record, PRIMARY KEY (state, path, key))")
        self._database.execute("CREATE INDEX found_by_key ON found(key)")

    def __repr__(self) -> str:
        return "<Findings>"

    def add(self, found: Difference) -> None:
        """Keep it."""
        row = (*found.order, json.dumps(found.as_record()))
        self._database.execute("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?)", row)

    def remove(self, key: str) -> None:
        """Forget what was found about a blob."""
        self._database.execute("DELETE FROM found WHERE key = ?", [key])

    def has(self, key: str) -> bool:
        """Whether there is a finding about a blob, a path or a write."""
        return self._database.execute("SELECT 1 FROM found WHERE key = ?", [key]).fetchone() is not None

    def orphan(self, path: str) -> bool:
        """Whether there is content of a path that nothing refers to."""
        query = "SELECT 1 FROM found WHERE state = 'orphan-ours' AND path = ?"
        return self._database.execute(query, [path]).fetchone() is not None

    def mends_head(self, path: str) -> bool:
        """Whether the head of a path is to be written again, with its rows in indexes; or ought to be, and cannot."""
        query = "SELECT record FROM found WHERE state = 'history-broken' AND key = ?"
        records = [json.loads(record) for (record,) in self._database.execute(query, [path])]
        return any(record["action"] == "insert-head" or f"h {path}" not in record["rows"] for record in records)

    def all(self) -> Iterator[Difference]:
        """All, in order."""
        for (record,) in self._database.execute("SELECT record FROM found ORDER BY state, path, key"):
            yield Difference.of_record(json.loads(record))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
