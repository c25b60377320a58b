"""A `blobcat` command in a process of its own, which believes that a person watches its progress.

So the files that it has acknowledged are known from its own mouth, and not from the catalog that it writes to.
"""

import asyncio
import os
import pty
import re
import signal
import sys
import termios
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).with_name("blobcat"))
KEPT = 4000  # characters, far more than a number that is cut in two needs

_DONE = re.compile(r"([\d,]+)/[\d,]+")


class Child:
    """The process, and what it says. Made by `child`."""

    def __init__(self, process: Process, terminal: int) -> None:
        self.done = 0
        """How many files it has said to be done."""
        self._process = process
        self._terminal = terminal
        self._said = ""
        self._silent = False
        self._heard = asyncio.Event()
        asyncio.get_running_loop().add_reader(terminal, self._hear)

    @property
    def status(self) -> int | None:
        """Its exit status, or minus the signal that killed it; None while it runs."""
        return self._process.returncode

    async def progress(self) -> AsyncIterator[int]:
        """`done`, whenever it may have changed, until the process has ended."""
        while not self._silent:
            await self._heard.wait()
            self._heard.clear()
            yield self.done
        await self._process.wait()

    def stop(self) -> None:
        """SIGSTOP: it does nothing more, and is not gone."""
        if self.status is None:
            self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """SIGKILL; then hear what it had said to the end. Nothing where it has ended by itself."""
        if self.status is None:
            self._process.kill()
        async for _ in self.progress():
            pass

    def _hear(self) -> None:
        try:
            said = os.read(self._terminal, 1 << 16)
        except OSError:  # what Linux says once nobody holds the other end
            said = b""
        if said:
            self._said = (self._said + said.decode(errors="replace"))[-KEPT:]
            for number in _DONE.findall(self._said)[-1:]:
                self.done = int(number.replace(",", ""))
        else:
            self._silent = True
            asyncio.get_running_loop().remove_reader(self._terminal)
        self._heard.set()


@asynccontextmanager
async def child(*arguments: str) -> AsyncIterator[Child]:
    """Run `blobcat` with these arguments. It ends with the block at the latest."""
    ours, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(theirs, (25, 120))
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        process = await create_subprocess_exec(
            COMMAND, *arguments, stdin=DEVNULL, stdout=DEVNULL, stderr=theirs, env=environment
        )
    finally:
        os.close(theirs)
    running = Child(process, ours)
    try:
        yield running
    finally:
        await running.kill()
        os.close(ours)
