"""Progress of long work, on stderr and for a terminal only; gone when the work is done."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from .columns import size
from .output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..download import DownloadProgress
    from ..ingest import IngestProgress

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


class IngestText:
    """What an ingest's progress says beside its bar."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._began = monotonic()

    def __call__(self, now: "IngestProgress") -> None:
        """Tell how far it is. The total is known once the tree was walked."""
        done = now.written + now.unchanged + now.failed
        rate = now.bytes_written / max(monotonic() - self._began, 0.001)
        parts = [f"{done:,}/{now.found:,}{'' if now.walked else '…'}"]
        parts += [f"{n:,} {what}" for n, what in ((now.unchanged, "unchanged"), (now.failed, "failed")) if n]
        parts += [size(now.bytes_written), f"{size(rate)}/s"] if now.written else []
        self._update(done, now.found if now.walked else None, " · ".join(parts))


class VerifyText:
    """What a verification's progress says beside its bar; how much there is, nobody has counted."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._began = monotonic()

    def __call__(self, checked: int, bytes_read: int) -> None:
        """Tell how far it is."""
        rate = bytes_read / max(monotonic() - self._began, 0.001)
        self._update(checked, None, f"{checked:,} versions · {size(bytes_read)} · {size(rate)}/s")


class DownloadText:
    """What the download of a tree says beside its bar."""

    def __init__(self, update: Update) -> None:
        self._update = update
        self._began = monotonic()

    def __call__(self, now: "DownloadProgress") -> None:
        """Tell how far it is. The total is known once the listing has ended."""
        done = now.written + now.skipped + now.failed
        rate = now.bytes_read / max(monotonic() - self._began, 0.001)
        parts = [f"{done:,}/{now.found:,}{'' if now.listed else '…'}"]
        parts += [f"{n:,} {what}" for n, what in ((now.skipped, "skipped"), (now.failed, "failed")) if n]
        parts += [size(now.bytes_read), f"{size(rate)}/s"] if now.bytes_read else []
        self._update(done, now.found if now.listed else None, " · ".join(parts))
