"""What a person sees of the demo: numbered steps, claims that were checked, progress, and the times at the end.

Colours and moving bars on a terminal; elsewhere plain lines, each printed once.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

INDENT = 2
FOUND_SHOWN = 500

Advance = Callable[[int, str], None]
"""So many are done, and a few words about them."""


class ClaimError(Exception):
    """Something that the demo says of blobcat is not so."""


class Show:
    """The demo's side of the terminal."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without ✓ shows a ?
        self._console = Console(highlight=False)
        self._steps: list[tuple[str, float]] = []
        self.claims = 0

    def title(self, text: str, below: str) -> None:
        """The first lines."""
        self._console.print(Text(text, "bold"))
        self._console.print(Text(below, "dim"), soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A numbered part of the demo, and how long it takes."""
        number = len(self._steps) + 1
        self._console.print()
        self._console.print(Text.assemble((f" {number} ", "reverse bold"), (f" {title}", "bold")))
        started = time.monotonic()
        yield
        self._steps.append((title, time.monotonic() - started))

    def say(self, *parts: str | tuple[str, str]) -> None:
        """A line, of text and of text with a style; never broken, so that it can be copied."""
        self._console.print(Text.assemble(" " * INDENT, *parts), soft_wrap=True)

    def by_hand(self, command: str) -> None:
        """The command that does the same."""
        self.say(("$ ", "dim"), (command, "cyan"))

    def claim(self, text: str, holds: bool, *, found: object = "") -> None:  # noqa: FBT001 — what is claimed
        """Say something that was just checked. Raises: ClaimError where it does not hold."""
        if not holds:
            raise ClaimError(
                f"{text}: this does not hold" + (f" (found: {found})"[:FOUND_SHOWN] if found != "" else "")
            )
        self.claims += 1
        self.say(("✓ ", "bold green"), text)

    def failed(self, text: str) -> None:
        """The last line of a demo that does not hold."""
        self._console.print(Text.assemble(("\n✗ ", "bold red"), (text, "red")), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A few rows; numbers, in columns whose names begin with `#`, to the right."""
        lines = [[column.lstrip("#") for column in columns], *rows]
        widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
        for number, line in enumerate(lines):
            cells = [
                " " * (width - cell_len(cell)) + cell if column.startswith("#") else set_cell_size(cell, width)
                for column, cell, width in zip(columns, line, widths, strict=True)
            ]
            self.say((("  " + "   ".join(cells)).rstrip(), "" if number else "dim"))

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """A bar while something takes long."""
        columns = (
            TextColumn(" {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[words]}"),
        )
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shown) as bar:
            task = bar.add_task(what, total=total, words="")

            def advance(done: int, words: str) -> None:
                bar.update(task, completed=done, words=words)

            yield advance

    def summary(self, where: str) -> None:
        """What was done, and how long each step took."""
        self._console.print()
        self._console.print(Text.assemble((" ✓ ", "reverse bold green"), (f" {self.claims} claims, all hold", "bold")))
        rows = [(f"{number}", title, f"{seconds:.1f} s") for number, (title, seconds) in enumerate(self._steps, 1)]
        total = sum(seconds for _, seconds in self._steps)
        self.table(("#", "step", "#time"), [*rows, ("", where, f"{total:.1f} s")])

    def next(self, commands: Sequence[tuple[str, str]]) -> None:
        """What to type now, each with a word about it."""
        self._console.print()
        self._console.print(Text("Try next", "bold"))
        width = max(len(command) for command, comment in commands if comment)
        for command, comment in commands:
            remark = f"  # {comment}" if comment else ""
            self.say((command.ljust(width) if comment else command, "cyan"), (remark, "dim"))


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.0f} MB"
