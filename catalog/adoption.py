"""Adopting blobs that are already there: which ones, as what, and what came of it. Pure.

A blob is adopted in place: the version refers to it by its own name and etag, and nothing is copied. It stays the
blob of others, who may change or remove it: that is found (`drift`), not prevented. We never write to it and never
remove it: it carries no op of ours, so no abort and no purge would.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from unicodedata import normalize

from storage import Blob, check_name, check_prefix

from .changes import Adopted, Facts
from .entities import PREFIXES_MAX, Head, VolumeInfo
from .errors import CatalogError, ConflictError, InvalidError, NotFoundError
from .glob import Glob, parse_glob
from .keys import check_key_length
from .media import check_content_type, content_type_of
from .paths import RESERVED, check_folder, check_path
from .retry import Deadline

FINDINGS_MAX: Final = 1_000
"""Findings that a report names; it counts all."""

Why = Literal["invalid-name", "drift", "conflict", "deleted", "failed"]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A volume that may adopt a prefix, and the roots of all volumes, also of those that were deleted."""

    info: VolumeInfo
    roots: tuple[str, ...]


Enrol = Callable[[VolumeInfo, str, Deadline, bool], Awaitable[Enrolled]]
"""Notes in the registry that a volume adopts a prefix; with False, it only looks whether that may be."""


def enrolled(
    info: VolumeInfo, prefix: str, volumes: Sequence[VolumeInfo], gone: Sequence[VolumeInfo]
) -> tuple[str, ...]:
    """The prefixes that a volume adopts with one more: the outermost alone, in order.

    A volume that is gone keeps what is in its root, and nothing that it had adopted.
    Raises: ConflictError (another volume adopts some of these blobs), InvalidError (all of them lie in the root of a
    volume; or there are too many prefixes).
    """
    for other in (*volumes, *gone):
        if prefix.startswith(other.root):
            message = f"what begins with {prefix!r} lies in the root of volume {other.name!r}: it is in the catalog"
            raise InvalidError(message, op="adopt", key=prefix, kind="invalid.root")
    for other in volumes:
        for theirs in other.adopted if other.epoch != info.epoch else ():
            if theirs.startswith(prefix) or prefix.startswith(theirs):
                message = f"prefix {prefix!r} overlaps with {theirs!r}, which volume {other.name!r} has adopted"
                raise ConflictError(message, found=theirs, op="adopt", key=prefix, kind="conflict.adopted")
    if any(prefix.startswith(outer) for outer in info.adopted):
        return info.adopted
    kept = tuple(sorted((*(each for each in info.adopted if not each.startswith(prefix)), prefix)))
    if len(kept) > PREFIXES_MAX:
        message = f"a volume adopts at most {PREFIXES_MAX} prefixes: adopt one that they share"
        raise InvalidError(message, op="adopt", key=prefix, kind="invalid.prefixes")
    return kept


def check_unclaimed(
    name: str, prefixes: Iterable[str], volumes: Sequence[VolumeInfo], gone: Sequence[VolumeInfo]
) -> None:
    """What `enrolled` refuses, of a volume that comes with its prefixes from elsewhere. Raises: ConflictError."""
    for prefix in prefixes:
        for other in (*volumes, *gone):
            if prefix.startswith(other.root):
                why = f"lies in the root {other.root!r} of volume {other.name!r}"
                raise _claimed(name, prefix, why, other.root, "conflict.root")
        for name_of_other, theirs in [(each.name, theirs) for each in volumes for theirs in each.adopted]:
            if theirs.startswith(prefix) or prefix.startswith(theirs):
                why = f"overlaps with {theirs!r}, which volume {name_of_other!r} has adopted"
                raise _claimed(name, prefix, why, theirs, "conflict.adopted")


def _claimed(name: str, prefix: str, why: str, found: str, kind: str) -> ConflictError:
    message = f"volume {name!r} cannot be loaded here: it adopts {prefix!r}, which {why}"
    return ConflictError(message, found=found, op="load", key=name, kind=kind)


def overlaps(root: str, volumes: Iterable[VolumeInfo]) -> list[tuple[str, VolumeInfo]]:
    """What lies both under a root and under a prefix that a volume adopts: the longer of the two, and that volume."""
    return [
        (max(root, prefix, key=len), volume)
        for volume in volumes
        for prefix in volume.adopted
        if root.startswith(prefix) or prefix.startswith(root)
    ]


@dataclass(frozen=True, slots=True)
class Where:
    """Which blobs are wanted, and where they go."""

    prefix: str
    into: str | None = None
    """The folder that stands in the prefix's place; None: a blob's path is its name."""

    match: Glob | None = None
    """Which paths are wanted; None: all."""

    def path_of(self, blob: Blob) -> str | None:
        """The path of a blob; None where it is not wanted. Raises: InvalidError, TooLargeError: it can have none."""
        path = blob.name if self.into is None else self.into + blob.name.removeprefix(self.prefix)
        if self.match and not self.match.matches(normalize("NFC", path)):
            return None
        check_name(blob.name, op="adopt")
        if blob.headers.metadata.get("hdi_isfolder", "").lower() == "true":
            raise InvalidError("it stands for a folder, and is no file", op="adopt", key=blob.name)
        path = check_path(path)
        check_key_length(path)
        return path


def check_where(prefix: str, into: str | None, match: str | None) -> Where:
    """Raises: InvalidError."""
    check_prefix(prefix, op="adopt")
    glob = None if match is None else parse_glob(match)
    if into is None:
        return Where(prefix, None, glob)
    if prefix and not prefix.endswith("/"):
        message = f"with into, a prefix is a folder of the container and ends in a slash: {prefix + '/'!r}"
        raise InvalidError(message, op="adopt", key=prefix, kind="invalid.prefix")
    return Where(prefix, check_folder(into), glob)


def nothing_there(prefix: str, volume: str) -> NotFoundError:
    """What is said where somebody wants to adopt blobs that are not there."""
    message = f"there is no blob whose name begins with {prefix!r}: nothing to adopt into volume {volume!r}"
    return NotFoundError(message, op="adopt", key=prefix, kind="not-found.prefix")


def is_ours(blob: Blob, roots: Sequence[str]) -> bool:
    """Whether a blob is a volume's: it lies in a root; or says that a catalog wrote it, perhaps just now."""
    if any(blob.name.startswith(root) for root in roots):
        return True
    return f"/{RESERVED}/" in f"/{blob.name}" and "op" in blob.headers.metadata


def adopted_of(blob: Blob) -> Adopted:
    """A blob as a version refers to it."""
    md5 = blob.headers.md5
    return Adopted(blob.name, blob.etag, Facts(blob.size, "", md5.hex() if md5 else ""))


def content_type(blob: Blob, path: str) -> str:
    """What a blob says it is, or what its path tells where that cannot be."""
    try:
        return check_content_type(blob.headers.content_type)
    except CatalogError:
        return content_type_of(path)


def met(head: Head, blob: Blob) -> tuple[Why, str] | None:
    """What stands in the way of adopting a blob, and since when; None where it was adopted as it is."""
    file = head.file
    if not head.live:
        return "deleted", f"it was deleted from the catalog (version {file.version})"
    if file.blob != blob.name:
        return "conflict", f"the path is another file's: version {file.version} is blob {file.blob!r}"
    if file.blob_etag != blob.etag:
        return "drift", f"others changed it since it was adopted: its etag is {blob.etag}, not {file.blob_etag}"
    return None


@dataclass(frozen=True, slots=True)
class AdoptFinding:
    """A blob that was not adopted, or not as it is now."""

    blob: str
    why: Why
    """`invalid-name`: it can be no path. `drift`: others changed it after it was adopted. `conflict`: another file is
    at its path. `deleted`: its file was deleted from the catalog. `failed`: see `reason`; the next run tries again."""
    reason: str
    error: CatalogError | None = None
    """Of one that failed: what was raised."""


@dataclass(frozen=True, slots=True)
class AdoptProgress:
    """How far it has come."""

    listed: int = 0
    adopted: int = 0
    unchanged: int = 0
    findings: int = 0
    done: bool = False
    """Whether `listed` is all there is."""


AdoptListener = Callable[[AdoptProgress], None]


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """What became of the blobs with a prefix. Each is counted once: `listed` is the sum of the others."""

    listed: int
    adopted: int
    """Files that are new in the catalog; of a dry run: that would be."""
    unchanged: int
    """Adopted before, and as they were."""
    left_out: int
    """What the pattern does not stand for, and what blobcat wrote itself."""
    invalid: int
    drifted: int
    conflicts: int
    deleted: int
    failed: int
    bytes_adopted: int
    unverifiable: int
    """Adopted files without an MD5: until they are read once, nothing can tell whether their bytes are damaged."""
    findings: Sequence[AdoptFinding] = ()
    """The blobs behind the last five counts of files: the first 1,000, in order of name."""

    @property
    def ok(self) -> bool:
        """Whether every blob that was meant is in the catalog, as it is. What was deleted there was meant to be."""
        return not (self.invalid or self.drifted or self.conflicts or self.failed)


@dataclass(slots=True)
class AdoptTally:
    """The counts of a run, and who wants to hear of them."""

    listener: AdoptListener | None
    listed: int = 0
    adopted: int = 0
    unchanged: int = 0
    left_out: int = 0
    bytes_adopted: int = 0
    unverifiable: int = 0
    found: dict[Why, int] = field(default_factory=dict)
    findings: list[AdoptFinding] = field(default_factory=list)
    done: bool = False

    def tell(self) -> None:
        """Say how far it has come."""
        if self.listener:
            found = sum(self.found.values())
            self.listener(AdoptProgress(self.listed, self.adopted, self.unchanged, found, self.done))

    def adopt(self, blob: Blob) -> None:
        """Count a file that is new."""
        self.adopted += 1
        self.bytes_adopted += blob.size
        self.unverifiable += blob.headers.md5 is None
        self.tell()

    def find(self, blob: Blob, why: Why, reason: str, error: CatalogError | None = None) -> None:
        """Count a blob that was not adopted."""
        self.found[why] = self.found.get(why, 0) + 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(AdoptFinding(blob.name, why, reason, error))
        self.tell()

    def meet(self, head: Head, blob: Blob) -> None:
        """Count a blob at whose path something is."""
        if stands := met(head, blob):
            self.find(blob, *stands)
        else:
            self.unchanged += 1
            self.tell()

    def report(self) -> AdoptReport:
        """The end of it."""
        whys: tuple[Why, ...] = ("invalid-name", "drift", "conflict", "deleted", "failed")
        invalid, drifted, conflicts, deleted, failed = (self.found.get(why, 0) for why in whys)
        return AdoptReport(
            listed=self.listed,
            adopted=self.adopted,
            unchanged=self.unchanged,
            left_out=self.left_out,
            invalid=invalid,
            drifted=drifted,
            conflicts=conflicts,
            deleted=deleted,
            failed=failed,
            bytes_adopted=self.bytes_adopted,
            unverifiable=self.unverifiable,
            findings=tuple(sorted(self.findings, key=lambda finding: finding.blob)),
        )
