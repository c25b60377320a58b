"""Walking a tree that changes meanwhile: each loss is one failure, and stops no other file."""

import errno
import os
from pathlib import Path
from typing import cast

from catalog.walk import Failure, LocalFile, _Entry, walk


def test_what_is_removed_during_the_walk_is_a_failure_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    for name in ("a", "b", "c", "d/e"):
        (tmp_path / name).write_bytes(b"1")
    found = walk(tmp_path, "p/")
    first = next(found)
    (tmp_path / "b").unlink()
    (tmp_path / "d" / "e").unlink()
    (tmp_path / "d").rmdir()
    rest = list(found)
    assert isinstance(first, LocalFile)
    assert [each.path for each in rest if isinstance(each, LocalFile)] == ["p/c"]
    assert [each.path for each in rest if isinstance(each, Failure)] == ["p/b", "p/d/"]


class Mute:
    """An entry of which the disk does not say what it is."""

    name = path = "x"

    def is_symlink(self) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_an_entry_that_cannot_be_told_is_taken_for_a_file() -> None:
    entry = _Entry(cast("os.DirEntry[str]", Mute()))
    assert (entry.is_link, entry.is_folder) == (False, False)
