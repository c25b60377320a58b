"""What was found, as pictures: how far each goal was reached, and what a file costs where there are many."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.bench_peers import loaded
from scripts.bench_report import Row

MET: Final = "#2a7f62"
MISSED: Final = "#c0392b"


def drawn() -> bool:
    """Whether pictures can be made at all."""
    return loaded("matplotlib") is not None


def goals(rows: Sequence[Row], machine: str, path: Path) -> None:
    """A bar for each goal: 1 is what was asked, and what is to the right of it is better."""
    bars = [
        (f"{row.target}  {row.what}\n{goal.text(row.unit)}", headroom)
        for row in rows
        for goal in row.goals
        if (headroom := goal.headroom(row)) is not None
    ]
    figure, axes = _plot((10, 1.5 + 0.5 * max(1, len(bars))))
    for at, (_, value) in enumerate(bars):
        axes.barh(at, value - 1, left=1, color=MET if value >= 1 else MISSED, height=0.6)
        axes.annotate(
            f"{value:.2g} ×",
            (value, at),
            xytext=(4 if value >= 1 else -4, 0),
            textcoords="offset points",
            va="center",
            ha="left" if value >= 1 else "right",
            fontsize=8,
        )
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.4, high * 1.4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} ×")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_title("How many times as good as asked (1 × is the target)", fontsize=10)
    _saved(figure, path, machine)


def growth(points: Sequence[Mapping[str, Any]], machine: str, path: Path) -> None:
    """What a file costs to write, by how many there are."""
    figure, axes = _plot((8, 5))
    for place, measure in dict.fromkeys((point["place"], point["measure"]) for point in points):
        line = [point for point in points if (point["place"], point["measure"]) == (place, measure)]
        axes.plot(
            [point["files"] for point in line],
            [point["median"] for point in line],
            marker="o",
            linestyle="-" if measure == "time" else "--",
            color=MET if place == "local:" else "#1f4e79",
            label=f"{place} {measure}",
        )
        axes.fill_between(
            [point["files"] for point in line],
            [point["least"] for point in line],
            [point["most"] for point in line],
            color=MET if place == "local:" else "#1f4e79",
            alpha=0.1,
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("files in the catalog")
    axes.set_ylabel("µs per file written")
    axes.legend(fontsize=8)
    axes.set_title("What a file costs, by how many there are", fontsize=10)
    _saved(figure, path, machine)


def _plot(size: tuple[float, float]) -> tuple[Any, Any]:
    figures = loaded("matplotlib.figure")
    if figures is None:
        raise SystemExit("matplotlib is not installed: scripts/setup --bench")
    figure = figures.Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(visible=True, axis="both", alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _saved(figure: Any, path: Path, machine: str) -> None:
    figure.supxlabel(textwrap.fill(machine, 130), fontsize=6, color="gray")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
