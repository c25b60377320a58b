"""The files that the demo works on: the standard library and site-packages, as links in a folder of the demo's own.

A change puts a new file in a link's place, so the file that it was made from is never touched.
"""

import os
import shutil
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

FILE_BYTES_MAX = 16 << 20  # a few binaries of 100 MB would be half of the work, and show nothing new
LEFT_OUT = frozenset({"__pycache__", "site-packages", "dist-packages"})
PARTS = {"stdlib": "stdlib", "site-packages": "purelib"}
"""The demo's folders, and what `sysconfig` calls the folders that they are made of."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tree:
    """The files that are ingested: what the catalog should say, known without asking it."""

    root: Path
    sizes: dict[str, int]

    @staticmethod
    def linked(root: Path, files_max: int | None) -> "Tree":
        """Link all files, or so many spread over them. Blocks."""
        found = [
            (f"{part}/{source.relative_to(real).as_posix()}", source)
            for part, real in ((part, Path(sysconfig.get_path(name))) for part, name in PARTS.items())
            for source in _files(real)
        ]
        chosen = found if files_max is None else spread(found, files_max)
        for path, source in chosen:
            _link(source, root / path)
        return Tree(root, {path: source.stat().st_size for path, source in chosen})

    @property
    def size(self) -> int:
        """What all files have together."""
        return sum(self.sizes.values())

    def part(self, name: str) -> dict[str, int]:
        """The files of one of the demo's folders."""
        return {path: size for path, size in self.sizes.items() if path.startswith(name + "/")}

    def python(self, *, larger_than: int = 0) -> list[str]:
        """The paths of Python files over a size, in order."""
        return sorted(path for path, size in self.sizes.items() if path.endswith(".py") and size > larger_than)

    def content(self, path: str) -> bytes:
        """What is in a file now."""
        return (self.root / path).read_bytes()

    def append(self, path: str, line: str) -> None:
        """Change a file by putting another in its place."""
        draft = self.root / (path + ".draft")
        draft.write_bytes(self.content(path) + line.encode())
        self.sizes[path] = draft.stat().st_size
        draft.replace(self.root / path)

    def remove(self) -> None:
        """Remove the links."""
        shutil.rmtree(self.root, ignore_errors=True)


def spread(items: Sequence[T], number: int) -> list[T]:
    """So many of the items, evenly from the first to the last; all of them, if there are no more."""
    number = min(number, len(items))
    return [items[index * len(items) // number] for index in range(number)]


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for source in (Path(folder, name) for name in sorted(names)):
            if source.is_file() and not source.is_symlink() and source.stat().st_size <= FILE_BYTES_MAX:
                yield source


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another disk, or a system that lets nobody link to the files of others
        shutil.copy2(source, target)
