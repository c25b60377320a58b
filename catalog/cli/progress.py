"""Progress of long work, on stderr and for a terminal only; gone when the work is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from .columns import size
from .output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..adoption import AdoptProgress
    from ..download import DownloadProgress
    from ..ingest_report import IngestProgress
    from ..load import LoadProgress
    from ..purge_report import PurgeItem

BAR_WIDTH: Final = 28


class Update(Protocol):
    """Hears of what is done out of how much (None: not known yet), and what else there is to say."""

    def __call__(self, done: int, total: int | None, text: str) -> None:
        """Tell how far it is."""


@contextmanager
def progress(output: Output, label: str) -> Iterator[Update]:
    """A progress bar, where somebody watches."""
    if not output.progress:
        yield _unseen
        return
    with _bar(output) as bar:
        task = bar.add_task(label, total=None, text="")
        yield lambda done, total, text: bar.update(task, completed=done, total=total, text=text)


def _unseen(done: int, total: int | None, text: str) -> None:
    """Nobody watches."""


def _bar(output: Output) -> "Progress":
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[text]}", markup=False, style="dim"),
        console=output.errors,
        transient=True,
    )


class _Text:
    """What is said beside a bar, and at what rate bytes pass."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._began = monotonic()

    def _rate(self, bytes_: int) -> str:
        return f"{size(bytes_ / max(monotonic() - self._began, 0.001))}/s"

    def _tree(
        self, now: "IngestProgress | DownloadProgress", left: tuple[int, str], bytes_: int, *, all_found: bool
    ) -> None:
        done = now.written + left[0] + now.failed
        parts = [f"{done:,}/{now.found:,}{'' if all_found else '…'}"]
        parts += [f"{n:,} {what}" for n, what in (left, (now.failed, "failed")) if n]
        parts += [size(bytes_), self._rate(bytes_)] if bytes_ else []
        self._update(done, now.found if all_found else None, " · ".join(parts))


class IngestText(_Text):
    """What an ingest's progress says beside its bar."""

    def __call__(self, now: "IngestProgress") -> None:
        """Tell how far it is. The total is known once the tree was walked."""
        self._tree(now, (now.unchanged, "unchanged"), now.bytes_written, all_found=now.walked)


class AdoptText(_Text):
    """What an adoption's progress says beside its bar."""

    def __call__(self, now: "AdoptProgress") -> None:
        """Tell how far it is. The total is known once the listing has ended."""
        done = now.adopted + now.unchanged + now.findings
        more = f" · {now.findings:,} not adopted" if now.findings else ""
        self._update(done, now.listed if now.done else None, f"{done:,}/{now.listed:,} blobs{more}")


class VerifyText(_Text):
    """What a verification's progress says beside its bar; how much there is, nobody has counted."""

    def __call__(self, checked: int, bytes_read: int) -> None:
        """Tell how far it is."""
        self._update(checked, None, f"{checked:,} versions · {size(bytes_read)} · {self._rate(bytes_read)}")


class PurgeText(_Text):
    """What a purge says beside its bar; how much there is to purge, nobody has counted."""

    def __init__(self, update: Update) -> None:
        super().__init__(update)
        self._ended = {"purged": 0, "held": 0, "unfinished": 0}

    def __call__(self, item: "PurgeItem") -> None:
        """Tell how far it is."""
        self._ended[item.action] += 1
        parts = [f"{number:,} {action}" for action, number in self._ended.items() if number]
        self._update(sum(self._ended.values()), None, " · ".join(parts))


class LoadText(_Text):
    """What a load says beside its bar."""

    def __call__(self, now: "LoadProgress") -> None:
        """Tell how far it is."""
        copied = f" · {size(now.bytes_copied)} · {self._rate(now.bytes_copied)}" if now.bytes_copied else ""
        self._update(now.versions, now.total, f"{now.versions:,}/{now.total:,} versions{copied}")


class IndexText(_Text):
    """What the making of an index says beside its bar; how many files there are, nobody has counted."""

    def __init__(self, update: Update) -> None:
        super().__init__(update)
        self.files = 0

    def __call__(self, files: int) -> None:
        """Tell how far it is."""
        self.files += files
        self._update(self.files, None, f"{self.files:,} files")


class DownloadText(_Text):
    """What the download of a tree says beside its bar."""

    def __call__(self, now: "DownloadProgress") -> None:
        """Tell how far it is. The total is known once the listing has ended."""
        self._tree(now, (now.skipped, "skipped"), now.bytes_read, all_found=now.listed)
