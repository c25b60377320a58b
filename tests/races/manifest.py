"""What processes say of their calls, in one file: a line before each call, and one after it was answered.

A line is one `write` to a file opened with O_APPEND, so lines of many processes never mix, and what was written stays
there when its writer is killed. Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFINITE: Final = ("conflict", "not-found", "unavailable")
"""Outcomes that say that a call was not applied, and never will be."""


@dataclass(slots=True)
class Call:
    """One call of one process. Without an outcome, its process was killed meanwhile."""

    id: str
    actor: str
    verb: str
    path: str
    """Where it makes its version: of a move, the target."""
    source: str = ""
    create: bool = False
    version: int | None = None
    """What the precondition asks for."""
    digest: str = ""
    began: int = 0
    ended: int = 0
    outcome: str = ""
    op: str = ""
    made: int = 0
    """The version that it made."""
    origin: str = ""
    """Of a move, a copy or a restore: the version that it refers to, as `path@version`."""
    why: str = ""
    """Of a refusal: its kind."""
    token: str = ""


class Manifest:
    """One process's hold on the file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def begins(self, call: Call) -> None:
        """A call is about to be made."""
        fields = {name: getattr(call, name) for name in Call.__slots__}
        self._write({**fields, "began": time.monotonic_ns()})

    def ended(self, call: Call, outcome: str, **more: object) -> None:
        """A call was answered."""
        self._write({"id": call.id, "ended": time.monotonic_ns(), "outcome": outcome, **more})

    def _write(self, line: dict[str, Any]) -> None:
        text = f"{json.dumps(line)}\n".encode()
        if os.write(self._file, text) != len(text):
            raise OSError("a line was written by half")


def calls(path: Path) -> list[Call]:
    """All calls, in order of their beginning."""
    found: dict[str, Call] = {}
    for line in path.read_text().splitlines():
        fields = json.loads(line)
        if "actor" in fields:
            found[fields["id"]] = Call(**fields)
        else:
            for name, value in fields.items():
                setattr(found[fields["id"]], name, value)
    return sorted(found.values(), key=lambda call: call.began)
