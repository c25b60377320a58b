"""The targets, measured, each beside its peers in the same run; and what came of it as a table, JSON and pictures.

Absolute times on a machine that others use mean little: look at the ratios, and at client CPU per item. What is
measured is told in `bench_tables`, `bench_small`, `bench_embedded`, `bench_large`, `bench_indexes`, `bench_growth` and
`bench_start`.
"""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scripts import bench_picture as picture
from scripts.bench_embedded import embedded
from scripts.bench_growth import growth
from scripts.bench_indexes import indexes
from scripts.bench_large import large
from scripts.bench_null import ROOT
from scripts.bench_peers import machine, machine_text, missing
from scripts.bench_report import COLUMNS, Row, as_json, markdown_of, missed
from scripts.bench_scale import Scale
from scripts.bench_small import small
from scripts.bench_start import start
from scripts.bench_tables import tables

DOCS: Final = ROOT / "docs" / "bench"
README: Final = ROOT / "README.md"
BEGIN, END = "<!-- bench: made by scripts/bench --readme -->\n", "<!-- /bench -->"
WIDTH: Final = 230  # where it is no terminal: nothing is cut
STYLES: Final = {"met": "green", "missed": "bold red", "not measured": "yellow", "": "dim"}

Found = tuple[list[Row], list[Mapping[str, Any]]]
Group = Callable[[Scale], Awaitable[Found]]


def alone(measure: Callable[[Scale], Awaitable[list[Row]]]) -> Group:
    """A group that has no points of growth."""

    async def measured(scale: Scale) -> Found:
        return await measure(scale), []

    return measured


GROUPS: Final[dict[str, tuple[tuple[str, ...], Group]]] = {
    "the table's client, on the null server": (("P1", "P2", "P3"), alone(tables)),
    "small files onto Azurite": (("P4", "P5"), alone(small)),
    "small files into a folder": (("P6",), alone(embedded)),
    "a large file": (("P7",), alone(large)),
    "indexes": (("P9",), alone(indexes)),
    "reading all, and growth": (("P8", "P10"), growth),
    "starting": (("P11",), alone(start)),
}
TARGETS: Final = tuple(f"P{number}" for number in range(1, 12))


async def run(scale: Scale, wanted: set[str], console: Console) -> Found:
    """All groups that have a target that is wanted."""
    rows: list[Row] = []
    points: list[Mapping[str, Any]] = []
    for title, (targets, group) in GROUPS.items():
        if wanted.isdisjoint(targets):
            continue
        began = time.monotonic()
        found, more = await group(scale)
        console.print(Text(f"{', '.join(targets):<11} {title}: {time.monotonic() - began:.0f} s", "dim"))
        rows += [row for row in found if row.target in wanted]
        points += more
    return sorted(rows, key=lambda row: TARGETS.index(row.target)), points


def table(rows: Sequence[Row]) -> Table:
    """The table, for a terminal."""
    shown = Table(*COLUMNS, pad_edge=False, box=None, header_style="dim")
    for row in rows:
        *cells, result = row.cells()
        shown.add_row(*cells, Text(result, STYLES[row.result]))
    return shown


def readme(cells: Sequence[Sequence[str]], told: str) -> None:
    """Put the table into README, between its two marks."""
    text = README.read_text("utf-8")
    block = f"{BEGIN}\n{markdown_of(cells, told)}\n{END}"
    README.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.DOTALL), "utf-8")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures the targets beside their peers.")
    parser.add_argument("--only", metavar="P1,P3", help="these targets (default: all)")
    mode = parser.add_mutually_exclusive_group()
    for name, text in (
        ("short", "a few minutes (the default)"),
        ("long", "more of all, and catalogs of up to a million files"),
        ("smoke", "seconds: to see that it runs, not how fast"),
    ):
        mode.add_argument(f"--{name}", dest="mode", action="store_const", const=name, default="short", help=text)
    parser.add_argument("--files", type=int, metavar="N", help="the largest catalog of P8 and P10 (default: 10,000)")
    parser.add_argument("--json", type=Path, metavar="FILE", default=DOCS / "latest.json")
    parser.add_argument("--picture", type=Path, metavar="FILE", default=DOCS / "latest.png")
    parser.add_argument("--growth-picture", type=Path, metavar="FILE", default=DOCS / "growth.png")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    chosen = parser.parse_args()
    chosen.wanted = set(chosen.only.upper().split(",")) if chosen.only else set(TARGETS)
    if unknown := chosen.wanted - set(TARGETS):
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    chosen.files = chosen.files or {"smoke": 1_000, "short": 10_000, "long": 1_000_000}[chosen.mode]
    return chosen


def main() -> int:
    """Measure; 1 where a target is missed."""
    chosen, console = options(), Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    found = machine()
    told = machine_text(found)
    console.print(Text("blobcat: how fast", "bold"))
    console.print(Text(told, "dim"))
    for name in missing():
        console.print(
            Text(f"!!! {name} is not installed: nothing is compared with it. scripts/bench installs it", "bold yellow")
        )
    rows, points = asyncio.run(run(Scale(chosen.mode, chosen.files), chosen.wanted, console))
    console.print(table(rows))
    report = as_json(rows, {**found, "mode": chosen.mode, "files": f"{chosen.files}"}, points)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if picture.drawn():
        picture.goals(rows, told, chosen.picture)
        if points:
            picture.growth(points, told, chosen.growth_picture)
    if chosen.readme:
        readme([row.cells() for row in rows], told)
    console.print(Text(f"written to {chosen.json}" + (f" and {chosen.picture}" if picture.drawn() else ""), "dim"))
    for row in missed(rows):
        console.print(Text(f"missed: {row.target} {row.what}", "bold red"))
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
