"""What people and programs get to see: data on stdout, all else on stderr.

A line is made of cells: text, or text with a style. On a terminal they are coloured; elsewhere they are plain. Nothing
in them is interpreted: markup stays as it is, and what could move a cursor or turn the text around is shown escaped.
"""

import json
import os
import re
import sys
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from .records import record_of

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | tuple[str, str]
"""Text, or text and its style, in rich's words."""
Line = Sequence[Cell]
R = TypeVar("R")

_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def clean(text: str) -> str:
    """The text, with every character escaped that is no mark on a screen."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode-escape").decode(), text)


_LINES: Final = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|"})


def drawn(lines: str) -> str:
    """Lines of a tree, in what marks stdout has."""
    try:
        lines.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return lines.translate(_LINES)
    return lines


class Output:
    """Where a command writes to."""

    def __init__(self, *, json: bool) -> None:
        self.json = json

    @property
    def terminal(self) -> bool:
        """Whether a person reads the data as it comes."""
        return not self.json and sys.stdout.isatty()

    @property
    def progress(self) -> bool:
        """Whether a person watches."""
        return not self.json and sys.stderr.isatty()

    @property
    def asks(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin.isatty()

    @cached_property
    def errors(self) -> "Console":
        """The terminal that stderr is."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, markup=False, emoji=False)

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, markup=False, emoji=False)

    def show(self, value: R, line: Callable[[R], Line], *, also: Mapping[str, object] | None = None) -> None:
        """Data: a record for programs, with what it also holds, or a line for people."""
        if self.json:
            self.record(record_of(value) | also if also else value)
        else:
            self.line(*line(value))

    def record(self, value: object) -> None:
        """Data for programs, whoever reads."""
        sys.stdout.write(json.dumps(record_of(value)) + "\n")

    async def content(self, chunks: AsyncIterable[bytes]) -> None:
        """Content as it is, and as it comes."""
        async for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()

    def line(self, *cells: Cell) -> None:
        """A line for people, on stdout."""
        _write(cells, sys.stdout, lambda: self._console)

    def heading(self, *cells: Cell) -> None:
        """A line above data that says what its columns are; for terminals only, as `wc -l` should count data."""
        if self.terminal:
            self.line(*((cell, "dim") if isinstance(cell, str) else cell for cell in cells))

    def note(self, *cells: Cell) -> None:
        """What is good to know, and no data: on stderr, and nothing that a program would read."""
        if not self.json:
            self.flush()
            _write(cells, sys.stderr, lambda: self.errors)

    def closing(self, *cells: Cell) -> None:
        """A summary below data, for whoever reads it on a terminal."""
        if self.terminal:
            self.note(*((cell, "dim") if isinstance(cell, str) else cell for cell in cells))

    def failed(self, path: str, error: BaseException) -> None:
        """One of many that failed, while the others go on: on stderr."""
        self.note(("failed  ", "red"), (path, "bold"), f"  {error}")

    def fault(self, message: str, hint: str = "", *, record: Mapping[str, Any], shown: Sequence[str] = ()) -> None:
        """An error: one line that says it, where lines help to see it those, and a hint below."""
        self.flush()
        if self.json:
            sys.stderr.write(json.dumps({"error": record}) + "\n")
            return
        self.note(("blobcat: ", "bold red"), message)
        for line in shown:
            self.note(line)
        if hint:
            self.note(("  → ", "dim"), (hint, "dim"))

    async def confirmed(self, question: str, detail: str = "") -> bool:
        """Whether whoever is there says yes; anything else, and the end of input, means no."""
        import asyncio
        from concurrent.futures import ThreadPoolExecutor

        self.flush()
        _write([(question, "bold"), (detail, "dim"), ("  [y/N]", "")], sys.stderr, lambda: self.errors)
        thread = ThreadPoolExecutor(1)  # so that it can be interrupted
        answer = await asyncio.get_running_loop().run_in_executor(thread, sys.stdin.readline)
        return answer.strip().lower() in ("y", "yes")

    def raw_error(self, text: str) -> None:
        """Text on stderr as it is: a traceback that was asked for."""
        self.flush()
        sys.stderr.write("\n".join(map(clean, text.split("\n"))))

    def flush(self) -> None:
        """Data first: what follows on stderr is about it."""
        sys.stdout.flush()


def abandon_stdout() -> None:
    """Whoever reads has read enough, as `head` does: what is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(cells: Line, stream: TextIO, console: Callable[[], "Console"]) -> None:
    pairs = [(clean(cell), "") if isinstance(cell, str) else (clean(cell[0]), cell[1]) for cell in cells]
    if not stream.isatty():
        stream.write("".join(text for text, _ in pairs).rstrip() + "\n")
        return
    from rich.text import Text

    text = Text.assemble(*pairs)
    text.rstrip()
    console().print(text, soft_wrap=True)
