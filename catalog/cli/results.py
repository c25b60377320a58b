"""Rows of named values, in the form that a command is to write: for people, as JSON lines, as CSV, or as Parquet."""

import csv
import io
import json
import sys
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from .aligned import Shown, aligned
from .columns import GAP, count
from .columns import value as text_of
from .errors import UsageError
from .local_file import LocalFile, local_file
from .output import Output
from .records import record_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: Final = ("table", "json", "csv", "parquet")
_BY_SUFFIX: Final = {".json": "json", ".jsonl": "json", ".csv": "csv", ".parquet": "parquet"}
_TYPES: Final = {"text": str, "int": int, "float": float, "bool": bool, "time": datetime}

Row = Mapping[str, Any]
Write = Callable[[bytes], object]


def complete_format(incomplete: str) -> list[str]:
    """Formats that begin like this."""
    return [each for each in FORMATS if each.startswith(incomplete)]


FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="table, json, csv or parquet. Default: what the name of --output ends in, else table.",
        autocompletion=complete_format,
    ),
]
OutputOption = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="A local file to write, else standard output.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", "--force", help="Replace a local file that is there.")]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="KEY:TYPE",
        help="The type of a key of metadata: text, int, float, bool or time. Else as the first files have it.",
    ),
]


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are to be written, and where to."""

    format: str
    target: str | None = None
    overwrite: bool = False


def form_of(output: Output, chosen: str | None, target: str | None, *, overwrite: bool) -> Form:
    """What the options say. Raises: UsageError for what cannot be."""
    if chosen is not None and chosen not in FORMATS:
        raise UsageError(f"--format is one of {', '.join(FORMATS)}, not {chosen!r}")
    if target == "-":  # as it is without
        target = None
    if target is not None:
        found = chosen or _BY_SUFFIX.get(Path(target).suffix)
        if found is None or found == "table":
            raise UsageError(f"in which format is {target} to be written?", "--format csv, json or parquet")
        return Form(found, target, overwrite)
    if overwrite:
        raise UsageError("--overwrite goes with --output FILE")
    if chosen == "parquet":
        raise UsageError("parquet is no text: it goes into a file", "--output FILE.parquet")
    if output.json and chosen not in (None, "json"):
        raise UsageError(f"--json and --format {chosen} exclude each other", "with --output FILE both may stand")
    return Form(chosen or ("json" if output.json else "table"))


def parsed_types(items: Sequence[str] | None) -> Mapping[str, type]:
    """The types of all `--type` options, by field. Raises: UsageError."""
    found: dict[str, type] = {}
    for item in items or ():
        key, _, kind = item.partition(":")
        if kind not in _TYPES:
            raise UsageError(f"--type is KEY:TYPE, where TYPE is one of {', '.join(_TYPES)}, not {item!r}")
        found["meta." + key.removeprefix("meta.")] = _TYPES[kind]
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and the same as record batches of one schema, of which there is at least one. Asked for once."""

    names: Sequence[str]
    rows: Callable[[], AsyncIterable[Row]]
    batches: "Callable[[], AsyncIterable[pa.RecordBatch]]"
    shown: Shown
    """How a value looks to people."""


async def deliver(output: Output, form: Form, answer: Answer) -> int:
    """Write rows as they come, and, of a file, tell that it is there; how many there were.

    A file has its name when all of it is there.

    Raises: as `local_file`, and what the rows do.
    """
    if form.target is not None:
        path = Path(form.target)
        asked = answer.batches() if form.format == "parquet" else None  # what is wrong with it is told before any file
        with local_file(path, overwrite=form.overwrite) as file:
            number = await _as_text(form.format, answer, file.write) if asked is None else await _packed(asked, file)
        also = {"target": form.target, "format": form.format, "rows": number}
        output.show(
            also,
            lambda _: [(form.target or "", "bold"), f"{GAP}{count(number, 'row')}", (f"{GAP}{form.format}", "dim")],
        )
    elif form.format == "table":
        number = await aligned(output, answer.names, answer.rows(), answer.shown)
        output.closing(count(number, "row"))
    else:
        output.flush()
        number = await _as_text(form.format, answer, sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
    return number


async def _as_text(form: str, answer: Answer, write: Write) -> int:
    number, line = 0, _json if form == "json" else _csv
    if form == "csv":
        write(_csv({name: name for name in answer.names}))
    async for row in answer.rows():
        write(line(row))
        number += 1
    return number


async def _packed(batches: "AsyncIterable[pa.RecordBatch]", file: LocalFile) -> int:
    from pyarrow.parquet import ParquetWriter

    number, writer = 0, None
    async for batch in batches:
        writer = writer or ParquetWriter(file, batch.schema)
        writer.write_batch(batch)
        number += batch.num_rows
    assert writer is not None  # noqa: S101 — there was a batch
    writer.close()
    return number


def _json(row: Row) -> bytes:
    return (json.dumps(plain(row)) + "\n").encode()


def _csv(row: Row) -> bytes:
    """A line as RFC 4180 has it, but for its end, which is that of other text: what could end one early is quoted."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_cell(value) for value in row.values()])
    return (line.getvalue().removesuffix("\r\n") + "\n").encode()


def _cell(value: Any) -> str:
    """A value as CSV holds it; nothing at all is the empty text."""
    if value is None:
        return ""
    found = plain(value)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) else text_of(found)


def plain(value: Any) -> Any:
    """What `json.dumps` takes, of all that metadata and SQL may hold; what JSON has no word for is text."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime() if value.tzinfo is not None:
            return record_of(value)
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case [*items]:
            return [plain(item) for item in items]
        case bytes():
            return value.hex()
    return str(value)
