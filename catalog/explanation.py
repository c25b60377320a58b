"""What a query does, and what it costs: as a value, and as text that people read. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from .planner import Access

Certainty = Literal["exactly", "at most", "about", "about, or more"]

_GAP: Final = 14


@dataclass(frozen=True, slots=True)
class Cost:
    """What is paid for, and what is read for it."""

    requests: int
    """To the table. Each is a transaction on the bill."""
    entities: int
    """Rows that came back, also those that did not fit."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query is answered. `str` is a small table."""

    volume: str
    condition: str
    """What holds for the files, as text that parses back; empty: all of them."""
    prefix: str
    order: tuple[str, ...]
    """`("path",)`, or the fields of an index."""
    limit: int | None
    access: Access
    """`points`, `index`, `range`, `scan`, or `nothing`."""
    index: tuple[str, ...]
    """The fields of the index that is read; empty: none."""
    ranges: int
    """How many ranges of keys are read in each shard; of `points`, how many rows."""
    shards: int
    """How many are asked, for each of the ranges."""
    sent: str
    """The first filter as it is sent: OData to Azure, SQL to SQLite; empty where rows are read by their keys."""
    left: str
    """The parts of the condition that the service leaves open: its rows are evaluated again here. Empty: none."""
    streams: bool
    """Whether the first file comes with the first page; else all ranges are read first, and sorted here."""
    estimate: Cost
    """Without the limit, which may end it earlier."""
    certainty: Certainty
    """Of the estimate: points are known; of ranges one page of one shard was read, and taken for all of them."""
    probe: Cost
    """What the estimate itself has cost."""
    actual: Cost | None
    """What the query has cost; None: it was not run."""
    files: int | None
    """How many it has found."""

    def __str__(self) -> str:
        return "\n".join(f"{name:{_GAP}}{text}".rstrip() for name, text in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "files where", self.condition or "(all)"
        if self.prefix:
            yield "under", self.prefix
        yield "read from", self._read_from()
        if self.sent:
            yield "sent", self.sent
        if self.left:
            yield "decided here", self.left
        yield "in order of", ", ".join(self.order) + ("" if self.streams else "; sorted here, once all of it is read")
        if self.limit is not None:
            yield "at most", _many(self.limit, "file")
        yield "", f"{'requests':>12}{'entities':>12}{'files':>12}"
        yield "estimated", _row(self.estimate) + f"{'':12}  {self.certainty}{self._probed()}"
        if self.actual is not None:
            yield "actual", _row(self.actual) + f"{self.files:12,}  each request is a transaction on the bill"

    def _read_from(self) -> str:
        each = f"{_many(self.ranges, 'range')} in each of {_many(self.shards, 'shard')}"
        match self.access:
            case "nothing":
                return "nothing: no file can be like that"
            case "points":
                return f"{_many(self.ranges, 'row')}, by path"
            case "index":
                return f"index ({', '.join(self.index)}): {each}, and the volume's row"
            case "range":
                return f"files by path: {each}"
            case "scan":
                return f"all files: {each}"

    def _probed(self) -> str:
        if not self.probe.requests:
            return ""
        return f"; by {_many(self.probe.requests, 'request')} for {_many(self.probe.entities, 'entity', 'entities')}"


def _row(cost: Cost) -> str:
    return f"{cost.requests:12,}{cost.entities:12,}"


def _many(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
