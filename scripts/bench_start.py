"""P11: what it takes to start: whole processes, from nothing to their end."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from azurite.launch import Azurite
from catalog import connect
from scripts.bench_measure import Spread
from scripts.bench_null import ROOT
from scripts.bench_report import Goal, Row
from scripts.bench_scale import Scale

MILLI: Final = 1e3
BLOBCAT: Final = "import sys; from catalog.cli.main import main; sys.exit(main())"


async def start(scale: Scale) -> list[Row]:
    """Each of the three, in turn with a Python that does nothing."""
    with Azurite() as azurite:
        async with connect(azurite.url) as cat:
            await (await cat.create_volume("bench")).put("a.txt", b"a")
        commands = {
            "python": ["-c", "pass"],
            "--help": ["-c", BLOBCAT, "--help"],
            "import": ["-c", "import catalog"],
            "stat": ["-c", BLOBCAT, "--url", azurite.url, "stat", "a.txt"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        with tempfile.TemporaryDirectory() as bytecode:
            for number in range(scale.rounds(9) + 1):
                for name, command in commands.items():
                    took = _run(command, bytecode)
                    if number:  # the first one compiles, as an installation does
                        times[name].append(took)
    found = {name: Spread(tuple(each)) for name, each in times.items()}
    asked = {
        "--help": ("blobcat --help", 200),
        "import": ("import catalog", 120),
        "stat": ("blobcat stat, on Azurite", 600),
    }
    return [
        Row("P11", what, "ms", found[name], "python -c pass", found["python"], (Goal("≤", bound),))
        for name, (what, bound) in asked.items()
    ]


def _run(command: list[str], bytecode: str) -> float:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("BLOBCAT_", "PYTHON"))}
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        env={**ours, "PYTHONPATH": f"{ROOT}", "PYTHONPYCACHEPREFIX": bytecode},
        cwd=Path("/"),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return (time.perf_counter() - began) * MILLI
