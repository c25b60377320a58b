"""The index of a local store."""

import sqlite3
from pathlib import Path

import pytest

from storage.content import Always, Blob, Headers
from storage.local_errors import CommitError
from storage.local_index import Index
from storage.local_rows import Kept


def test_a_commit_that_fails_is_known_as_such_and_keeps_nothing(tmp_path: Path) -> None:
    """Whoever called cannot tell it from any other failure, and must: only of this one the outcome may be unknown."""
    index = Index(tmp_path / "content.db", busy_timeout_s=1, synchronous="normal")
    index.create()
    kept = Kept(Blob("a", 1, "0x1", Headers()), "file")

    def no_commit(action: int, what: str | None, *_: str | None) -> int:
        denied = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    index._connection().set_authorizer(no_commit)
    with pytest.raises(CommitError):
        index.put(kept, Always())
    index._connection().set_authorizer(None)
    assert index.page("", "", 9) == []
    index.put(kept, Always())
    assert [blob.name for blob in index.page("", "", 9)] == ["a"]
    index.close()
