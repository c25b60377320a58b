"""A program that a test runs: writes to a local store, and kills itself -9 at its Nth call to the system, for every N.

Each N has a folder `<base>/<N>` of its own, and a process that is forked, so that all is imported once. What the writer
has been told is done, it writes to `<base>/<N>.acks`. The last folder is that of the run that came to its end.
"""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType

from storage.content import Always, Blocks, Headers, IfAbsent, IfMatch
from storage.local_disk import Disk
from storage.local_writes import Delete, Put

LONG = b"long" * 10_000
STATES: list[dict[str, bytes]] = [
    {},
    {"a/1": b"one"},
    {"a/1": b"one", "b": LONG},
    {"a/1": b"two", "b": LONG},
    {"a/1": b"two", "b": LONG, "c": b"xy"},
    {"b": LONG, "c": b"xy"},
    {"b": b"yx", "c": b"xy"},
    {"b": b"yx"},
    {"b": b"together", "d": b"d"},
    {"d": b"dd"},
]
"""What there is after so many acknowledgements."""


def write(directory: Path, acks: int) -> None:
    """The scenario."""
    disk = Disk(directory, full=False, busy_timeout_s=5)
    disk.create()
    one = disk.put_bytes("a/1", b"one", IfAbsent(), Headers())
    os.write(acks, b".")
    disk.put_bytes("b", LONG, Always(), Headers())
    os.write(acks, b".")
    two = disk.put_bytes("a/1", b"two", IfMatch(one), Headers(metadata={"key": "value"}))
    os.write(acks, b".")
    stage(disk, "c", "x", "y")
    disk.put_blocks("c", Blocks(["x", "y"]), IfAbsent(), Headers())
    os.write(acks, b".")
    disk.write([Delete("a/1", IfMatch(two))])
    os.write(acks, b".")
    stage(disk, "b", "x", "y", "z")
    disk.put_blocks("b", Blocks(["y", "x"]), Always(), Headers())
    os.write(acks, b".")
    disk.write([Delete("c", Always())])
    os.write(acks, b".")
    refused = Put("e", b"e", IfMatch("other"), Headers())
    disk.write([Put("d", b"d", IfAbsent(), Headers()), refused, Put("b", b"together", Always(), Headers())])
    os.write(acks, b".")
    disk.write([Put("d", b"ddd", Always(), Headers()), Delete("b", Always()), Put("d", b"dd", Always(), Headers())])
    os.write(acks, b".")
    disk.close()


def stage(disk: Disk, name: str, *blocks: str) -> None:
    """Stage blocks that contain their own ids."""
    for block in blocks:
        assembly, extent = disk.staged.promise(name, block, len(block))
        disk.stage(assembly, block, extent, block.encode())


def run(base: Path, number: int) -> None:
    """One run that dies before its call `number`."""
    calls = 0

    def count(_frame: FrameType, event: str, function: object) -> None:
        nonlocal calls
        if event == "c_call" and asks_the_system(function):
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1

    acks = os.open(base / f"{number}.acks", os.O_CREAT | os.O_WRONLY)
    sys.setprofile(count)
    write(base / f"{number}", acks)


def asks_the_system(function: object) -> bool:
    """Whether a call can leave something behind: in a file, in a folder, in SQLite, on a lock."""
    owner = getattr(function, "__self__", None)
    return getattr(function, "__module__", "") in {"posix", "fcntl"} or isinstance(owner, sqlite3.Connection)


def main(base: Path) -> None:
    """Run for N = 0, 1, 2… until one is not killed."""
    number, status = 0, -1
    while status:
        child = os.fork()
        if not child:
            run(base, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            sys.exit(f"run {number} failed by itself")
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
