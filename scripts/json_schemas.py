"""docs/json-schema.json and docs/json.md, from the dataclasses that `--json` shows. A test holds that they are current.

A field without a meaning is an error here: whoever adds one says what it is.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from catalog.cli.errors import BUG, EXIT_CODES
from scripts.json_records import COMMANDS, MEANINGS, RECORDS, Record

DOCS = Path(__file__).parents[1] / "docs"
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
TIME = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
ERROR = {
    "kind": "What kind of error, from coarse to fine, as in `conflict.exists`: what comes after a dot may be ignored.",
    "message": "One line for people; its words may change.",
    "op": "The operation, where there is one; else empty.",
    "key": "What it is about: a path, a volume, a blob's name or a row's key; else empty.",
    "expected": "Of a conflict: what the precondition asked for. Absent elsewhere.",
    "found": "Of a conflict: what is there. Absent elsewhere.",
    "token": "Of an unknown outcome: what `blobcat resolve` takes. Absent elsewhere.",
}
OPTIONAL = ("expected", "found", "token")


def schema() -> dict[str, Any]:
    """All of it, as one JSON Schema: records under `$defs`, and what each command's lines are under `commands`."""
    records = {name: _object(name, record) for name, record in RECORDS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What blobcat prints with --json",
        "$defs": records | {"Error": _error(), "Fault": _fault()},
        "commands": {
            name: {"description": printed.lines, "anyOf": [_ref(record) for record in printed.records]}
            for name, printed in COMMANDS.items()
            if printed.records
        },
    }


def _object(name: str, record: Record) -> dict[str, Any]:
    if record.free is not None:
        names = {"propertyNames": {"pattern": record.free}} if record.free else {}
        return {"title": name, "description": record.says, "type": "object", **names}
    properties = _fields(record.shown) if record.shown else {}
    properties |= {key: _type(hint) | {"description": says} for key, (hint, says) in record.more.items()}
    return {
        "title": name,
        "description": record.says,
        "type": "object",
        "properties": properties,
        "required": [*properties],
    }


def _fields(shown: type) -> dict[str, Any]:
    hints, lines = get_type_hints(shown), _lines_below(shown)
    assert is_dataclass(shown)  # noqa: S101 — mypy's question
    names = [each.name for each in fields(shown)]
    return {
        name: _type(hints[name])
        | {"description": _joined(lines[name] if name in lines else MEANINGS[f"{shown.__name__}.{name}"])}
        for name in names
    }


def _lines_below(shown: type) -> dict[str, str]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(shown))).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 — mypy's question
    return {
        field.target.id: line.value.value
        for field, line in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
    }


def _type(hint: Any) -> dict[str, Any]:  # noqa: PLR0911 — a case for each kind of hint
    origin, inner = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if hint is datetime:
        return TIME
    if origin is Literal:
        return {"enum": [*inner]}
    if hint is Any:
        return {"type": ["string", "number", "boolean", "null"]}
    if origin in (Union, UnionType):
        return {"anyOf": [_type(each) for each in inner]}
    if inspect.isclass(hint) and issubclass(hint, BaseException):
        return _ref("Error")
    if inspect.isclass(hint) and is_dataclass(hint):
        return _ref(next(name for name, record in RECORDS.items() if record.shown is hint))
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return {"type": "array", "items": _type(inner[0])}
    raise TypeError(f"--json has no word for {hint}")


def _error() -> dict[str, Any]:
    properties = {name: {"type": "string", "description": says} for name, says in ERROR.items()}
    required = [name for name in ERROR if name not in OPTIONAL]
    return {
        "title": "Error",
        "description": "What went wrong.",
        "type": "object",
        "properties": properties,
        "required": required,
    }


def _fault() -> dict[str, Any]:
    return {
        "title": "Fault",
        "description": "The line on stderr.",
        "type": "object",
        "properties": {"error": _ref("Error") | {"description": "What went wrong."}},
        "required": ["error"],
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def document() -> str:
    """docs/json.md: the same for people."""
    whole = schema()
    commands = ["| command | on stdout | record |", "|---|---|---|"]
    commands += [
        f"| `{name}` | {printed.lines} | {', '.join(map(_link, printed.records)) or '–'} |"
        for name, printed in COMMANDS.items()
    ]
    codes = re.findall(r"(\d+) {2,}(\S.*?)(?: {2,}|$)", EXIT_CODES, re.MULTILINE)
    codes.append((str(BUG), "a bug in blobcat"))
    exits = ["| exit code | |", "|---|---|", *(f"| {code} | {text} |" for code, text in sorted(codes, key=_number))]
    prose = (DOCS / "json.in.md").read_text("utf-8")
    for mark, lines in (("COMMANDS", commands), ("EXITS", exits), ("RECORDS", _tables(whole["$defs"]))):
        prose = prose.replace(f"<!-- {mark} -->", "\n".join(lines))
    return prose


def _tables(records: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, record in records.items():
        if "properties" not in record:
            lines += [f"### {name}", "", record["description"], ""]
            continue
        lines += [f"### {name}", "", record["description"], "", "| field | type | meaning |", "|---|---|---|"]
        for key, each in record["properties"].items():
            absent = "" if key in record["required"] else ", or absent"
            lines.append(f"| `{key}` | {_spelled(each)}{absent} | {each['description']} |")
        lines.append("")
    return lines[:-1]


def _spelled(each: Mapping[str, Any]) -> str:  # noqa: PLR0911 — a case for each kind of schema
    match each:
        case {"$ref": ref}:
            return _link(str(ref).rpartition("/")[2])
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": choices}:
            return " or ".join(map(_spelled, choices))
        case {"type": "array", "items": items}:
            return f"array of {_spelled(items)}"
        case {"type": [*_]}:
            return "string, number, boolean or null"
        case {"type": "object"}:
            return "object of strings, numbers and booleans"
        case {"format": "date-time"}:
            return "time"
    return str(each["type"])


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _number(code: tuple[str, str]) -> int:
    return int(code[0])


def _joined(text: str) -> str:
    return " ".join(text.split())


def made() -> dict[Path, str]:
    """The files, and what must stand in them."""
    return {
        DOCS / "json-schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        DOCS / "json.md": document(),
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text, "utf-8")
