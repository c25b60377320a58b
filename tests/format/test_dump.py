"""A dump of format 1 can be loaded, and will be for ever; and docs/dump.md says what is in it.

The dump is that of the stored catalog of format 1, made once: what is dumped of that today is the same, to the byte.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from catalog import Catalog, DumpedVersion, DumpHeader, dump_line, parse_dump_line
from catalog.dumped import DUMP_VERSION, LINE_BYTES_MAX
from catalog.entities import chain
from catalog.sqlite_table import SqliteTable
from storage.memory import MemoryContent
from tests.format.make import READER, expected
from tests.format.test_format import portable

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "dump-1.jsonl"
TEXT = (ROOT / "docs" / "dump.md").read_text("utf-8")
SCHEMA = json.loads((ROOT / "docs" / "dump-schema.json").read_text("utf-8"))
LINES = SAMPLE.read_text("ascii").splitlines(keepends=True) if SAMPLE.exists() else []


async def test_what_is_dumped_today_is_what_was_dumped_then(tmp_path: Path) -> None:
    cat = portable(tmp_path)
    assert "".join([line async for line in cat.dump()]) == "".join(LINES)
    await cat.close()


async def test_the_dump_is_loaded_and_reads_as_it_was_written(tmp_path: Path) -> None:
    cat, target = portable(tmp_path), Catalog(SqliteTable(":memory:"), MemoryContent(), writer=READER)
    report = await target.load(SAMPLE, content_from=cat._content)
    assert report.ok
    assert plain(await expected(target)) == plain(await expected(cat))
    for info in [info async for info in target.volumes()]:
        volume = await target.volume(info.name)
        assert (await volume.verify()).ok
    await cat.close()
    await target.close()


def plain(told: dict[str, Any]) -> dict[str, Any]:
    """Without what is of a place: the volume's own id, and the etags of blobs."""
    for volume in told.values():
        del volume["info"]["epoch"]
        for files in volume["history"].values():
            for file in files:
                del file["blob_etag"]
    return told


# --- docs/dump.md ----------------------------------------------------------------------------------------------------


def closed(schema: Any) -> Any:
    """The schema, where what it does not name is wrong: there is no field in a dump that it does not name."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {key: closed(each) for key, each in schema.items()} | more


def test_every_line_is_as_the_schema_says() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(closed(SCHEMA))
    for line in [*LINES, *example()]:
        validator.validate(json.loads(line))
    record = json.loads(LINES[1])
    assert validator.is_valid(record)
    for wrong in ({"new": 1}, {"size": "5"}, {"created": "yesterday"}, {"kind": "frob"}, {"md5": 5}, {"chain": "x"}):
        assert not validator.is_valid(record | wrong), wrong
    for name in record:
        assert not validator.is_valid({key: value for key, value in record.items() if key != name}), name


def test_the_sample_is_rich() -> None:
    records = [parse_dump_line(line) for line in LINES]
    versions = [each for each in records if isinstance(each, DumpedVersion)]
    assert {each.file.kind for each in versions} >= {"put", "delete", "metadata", "move", "copy", "restore"}
    kinds = {type(value).__name__ for each in versions for value in each.file.metadata.values()}
    assert kinds == {"str", "int", "float", "bool", "datetime"}
    assert any(each.file.request_id for each in versions)
    assert any(each.file.modified for each in versions)


def test_a_line_is_the_same_bytes_again() -> None:
    assert [dump_line(parse_dump_line(line)) for line in LINES] == LINES


def test_the_document_names_every_field_in_its_order() -> None:
    tables = re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    listed = {name: re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for name, table in tables}
    records = {json.loads(line)["record"]: [*json.loads(line)] for line in LINES}
    header = json.loads(LINES[0])
    assert {name: listed[name] for name in records} == records
    assert listed["volume"] == [*header["volumes"][0], "adopted"]


def test_the_document_speaks_of_this_format_and_its_limit() -> None:
    assert f"format version **{DUMP_VERSION}**" in TEXT
    assert f"{LINE_BYTES_MAX >> 20} MiB" in TEXT


def example() -> list[str]:
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return str(block).splitlines(keepends=True)


def test_the_example_of_the_document_is_a_dump() -> None:
    lines = example()
    records = [parse_dump_line(line) for line in lines]
    assert isinstance(records[0], DumpHeader)
    assert records[0].volumes[0].adopted
    version = records[1]
    assert isinstance(version, DumpedVersion)
    assert chain("", version.file) == version.file.chain
    end = json.loads(lines[-1])
    assert end["sha256"] == hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()
    assert [dump_line(record) for record in records] == lines


async def test_the_example_of_the_document_can_be_loaded() -> None:
    target = Catalog(SqliteTable(":memory:"), MemoryContent())
    report = await target.load(example(), allow_missing=True)
    assert (report.volumes, report.versions) == (("main",), 2)
    await target.close()


@pytest.mark.parametrize("name", ["header", "version", "end"])
def test_the_schema_and_the_document_have_the_same_records(name: str) -> None:
    assert name in SCHEMA["$defs"]
    assert f"### `{name}`" in TEXT
