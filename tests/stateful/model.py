"""What a catalog is, in plain dicts: what each verb does and says when nothing goes wrong. Pure; no code of ours."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from catalog import Create, IfVersion, Mode, Overwrite

Metadata = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file."""

    kind: str
    content: bytes = b""
    metadata: Metadata = ()

    @property
    def live(self) -> bool:
        return self.kind != "delete"

    def says(self, other: "Version") -> bool:
        """Whether it says of the file what another says."""
        return (self.live, self.content, self.metadata) == (other.live, other.content, other.metadata)


Files = Mapping[str, tuple[Version, ...]]
"""The versions of each path, oldest first."""
Said = int | Literal["conflict", "not-found"]
"""The number of the version that a change is told of, or why there is none."""
Verb = Callable[[Files], tuple[Files, Said]]


def put(path: str, content: bytes, metadata: Metadata, mode: Mode) -> Verb:
    return lambda files: _changed(files, path, Version("put", content, metadata), mode)


def delete(path: str, mode: Mode) -> Verb:
    return lambda files: _changed(files, path, Version("delete"), mode, needs=path)


def set_metadata(path: str, metadata: Metadata) -> Verb:
    def verb(files: Files) -> tuple[Files, Said]:
        content = files[path][-1].content if path in files else b""
        return _changed(files, path, Version("metadata", content, metadata), Overwrite(), needs=path)

    return verb


def restore(path: str, version: int) -> Verb:
    def verb(files: Files) -> tuple[Files, Said]:
        older = dict(enumerate(files.get(path, ()), 1)).get(version)
        if older is None or not older.live:
            return files, "not-found"
        return _changed(files, path, Version("restore", older.content, older.metadata), Overwrite())

    return verb


def copy(source: str, target: str, mode: Mode) -> Verb:
    return lambda files: _taken("copy", files, source, target, mode)


def move(source: str, target: str, mode: Mode) -> Verb:
    def verb(files: Files) -> tuple[Files, Said]:
        after, said = _taken("move", files, source, target, mode)
        if isinstance(said, int):
            after = {**after, source: (*after[source], Version("delete"))}
        return after, said

    return verb


def head(files: Files, path: str) -> Version | None:
    """What is at a path now."""
    versions: Sequence[Version] = files.get(path, ())
    return versions[-1] if versions and versions[-1].live else None


def _taken(kind: str, files: Files, source: str, target: str, mode: Mode) -> tuple[Files, Said]:
    taken = head(files, source)
    if taken is None:
        return files, "not-found"
    return _changed(files, target, Version(kind, taken.content, taken.metadata), mode)


def _changed(files: Files, path: str, made: Version, mode: Mode, needs: str = "") -> tuple[Files, Said]:
    versions, now = files.get(path, ()), head(files, path)
    match mode:
        case Create() if now:
            return files, "conflict"
        case IfVersion(version) if not now or version != len(versions):
            return files, "conflict"
    if needs and not now:
        return files, "not-found"
    if now and mode == Overwrite() and made.kind != "move" and made.says(now):
        return files, len(versions)
    return {**files, path: (*versions, made)}, len(versions) + 1


@dataclass(slots=True)
class Worlds:
    """What may be: more than one thing after an outcome that nobody knows, until somebody looks."""

    possible: list[Files]

    def told(self, verb: Verb, agrees: Callable[[Files, Said], bool]) -> None:
        """A change had an outcome: only where it would have had that one can we be."""
        ends = [verb(files) for files in self.possible]
        self._keep([files for files, said in ends if agrees(files, said)], f"none of {ends}")

    def unknown(self, verb: Verb) -> None:
        """A change may have been applied, or not."""
        for files in list(self.possible):
            after, said = verb(files)
            if isinstance(said, int) and after not in self.possible:
                self.possible.append(after)

    def saw(self, agrees: Callable[[Files], bool]) -> None:
        """Somebody looked."""
        self._keep([files for files in self.possible if agrees(files)], f"none of {self.possible}")

    def _keep(self, left: list[Files], otherwise: str) -> None:
        assert left, otherwise
        self.possible = [files for at, files in enumerate(left) if files not in left[:at]]
