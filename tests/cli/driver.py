"""`blobcat` as a person has it, run in this process; and as a process, where that matters."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.cli.main import run

PROGRAM = "from catalog.cli.main import main; main()"
NOTED = f"from tests.harness.branches import take_part; take_part(); {PROGRAM}"
"""It takes part in what `tests/harness/branches.py` notes; its start takes longer."""


@dataclass(frozen=True)
class Result:
    code: int
    stdout: bytes
    err: str

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def record(self) -> dict[str, Any]:
        (record,) = self.records
        return record

    @property
    def error(self) -> dict[str, Any]:
        (line,) = self.err.splitlines()
        error: dict[str, Any] = json.loads(line)["error"]
        return error


class Blobcat:
    """Runs command lines against one catalog, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.content = folder / "cat" / "content" / "files"

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = run(arguments)
        finally:
            sys.stdin = before
        return Result(code, out.buffer.getvalue(), err.buffer.getvalue().decode())

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", NOTED, *arguments], **more)

    def file(self, name: str, content: bytes = b"hello\n") -> str:
        """A local file to bring in."""
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path)

    def stored(self, path: str) -> Path:
        """The one file that holds the content of a path, behind the catalog's back."""
        folder, _, name = f"main/.versions/{path}".rpartition("/")
        (found,) = [each for each in (self.content / folder).iterdir() if each.name.startswith(name + "~")]
        return found
