"""Verification: read the content of every version again, and compare it with what was written.

A damaged content is a finding, not an error: the run goes on, and the report names each one.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from storage import Span

from .columns import parse_version
from .entities import FileVersion, VolumeInfo
from .errors import CatalogError
from .filters import Comparison
from .flow import concurrently
from .keys import versions_under
from .listing import Lister
from .reader import Readers

CONTENTS_AT_A_TIME: Final = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """A version whose content is not what was written, or could not be read."""

    file: FileVersion
    error: CatalogError


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read, and what was not as it should be. `findings` is empty where all is well."""

    checked: int
    """Versions whose content was read to its end, or found wanting."""
    bytes_read: int
    findings: Sequence[Finding] = ()

    @property
    def ok(self) -> bool:
        """Whether every content is what was written."""
        return not self.findings


async def verify(
    volume: VolumeInfo, prefix: str, lister: Lister, readers: Readers, progress: Callable[[int, int], None] | None
) -> VerifyReport:
    """Read all content of all versions under a prefix. Old versions count: history is only as good as its bytes.

    What was purged is not missing.
    """
    checked, bytes_read, findings, pulse = 0, 0, [], readers.pulse()

    async def check(file: FileVersion) -> tuple[FileVersion, int, CatalogError | None]:
        size = 0
        try:
            with pulse.beat("verify", file.path):
                async with readers.open(file, Span()) as reader:
                    async for chunk in reader:
                        size += len(chunk)
        except CatalogError as exc:
            return file, size, None if exc.kind == "not-found.purged" else exc
        return file, size, None

    live = Comparison("kind", "!=", "delete")
    async with (
        aclosing(lister.shards(volume, versions_under(prefix), where=live)) as rows,
        aclosing(parse_version(volume.name, row) async for row in rows if live.holds(row.values)) as versions,
        aclosing(version.file async for version in versions if not version.purged) as files,
        aclosing(concurrently(files, check, limit=CONTENTS_AT_A_TIME)) as checks,
    ):
        async for file, size, error in checks:
            checked, bytes_read = checked + 1, bytes_read + size
            if error:
                findings.append(Finding(file, error))
            if progress:
                progress(checked, bytes_read)
    return VerifyReport(checked, bytes_read, tuple(sorted(findings, key=lambda f: (f.file.path, -f.file.version))))
