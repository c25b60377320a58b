"""A catalog that was stored in format 1 is read, and will be for ever; and docs/format.md says what is in it.

The sample is never made again: see `make`. It is read from rows and blobs, as any table and container hold them, and
from a folder as `local:` left it.
"""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from catalog import Catalog, InvalidError, connect
from catalog.columns import SCHEMA
from catalog.entities import chain
from catalog.keys import encode, shard_of, version_row
from catalog.sqlite_rows import to_stored
from catalog.sqlite_table import SqliteTable
from storage import Blob, Headers
from storage.memory import Container, MemoryContent
from tests.format.make import READER, expected

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "format-1"
TEXT = (ROOT / "docs" / "format.md").read_text("utf-8")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text("utf-8").splitlines()]


def portable(_folder: Path) -> Catalog:
    """The sample in ports that have nothing to do with what it was written by."""
    table, container = SqliteTable(":memory:"), Container(exists=True)

    def load() -> None:
        table._create()
        for row in lines("rows.jsonl"):
            key = to_stored(row["partition"]), to_stored(row["row"])
            body = json.dumps(row["values"], ensure_ascii=False)
            table._connection().execute("INSERT INTO entities VALUES (?, ?, ?, ?)", (*key, row["timestamp"], body))

    table._writer.submit(load).result()
    for blob in lines("blobs.jsonl"):
        data = base64.b64decode(blob["data"])
        headers = Headers(blob["content_type"], hashlib.md5(data).digest(), blob["metadata"])  # noqa: S324
        container.blobs[blob["name"]] = (Blob(blob["name"], len(data), blob["etag"], headers), data)
    return Catalog(table, MemoryContent(container), writer=READER)


def unpacked(folder: Path) -> Any:
    with ZipFile(SAMPLE / "local.zip") as packed:
        packed.extractall(folder)
    return connect(f"local:{folder}", writer=READER)


@pytest.fixture(params=[portable, unpacked])
async def cat(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    make: Callable[[Path], Any] = request.param
    made = make(tmp_path)
    if isinstance(made, Catalog):
        yield made
        await made.close()
    else:
        async with made as opened:
            yield opened


NEWER = {"learned": False, "purged": False, "adopted": []}
"""What records have had since the sample was made, as what was stored before has it."""


def as_then(value: Any) -> Any:
    """A record without what it could not have had."""
    if isinstance(value, dict):
        return {name: as_then(each) for name, each in value.items() if NEWER.get(name, ...) != each}
    return [as_then(each) for each in value] if isinstance(value, list) else value


async def test_all_of_it_reads_as_it_was_written(cat: Catalog) -> None:
    now = json.loads(json.dumps(await expected(cat)))
    assert as_then(now) == json.loads((SAMPLE / "expected.json").read_text("utf-8"))


async def test_it_can_be_verified_recovered_and_written_on(cat: Catalog) -> None:
    volume = await cat.volume()
    assert (await volume.verify()).ok
    report = await cat.recover(patience_s=0)
    assert report.count("failed") == 0
    assert report.count("aborted") >= 2
    assert (await cat.recover(patience_s=0)).quiet
    assert (await volume.put("versions", b"six")).version == 6
    again = await volume.put("dated", b"other", request_id="order 17/ü")
    assert (again.version, again.size) == (1, 0)
    assert await volume.read("undecided") == b"undecided"
    assert (await volume.stat("decided", version=2)).kind == "delete"


async def test_the_chain_of_every_file_holds(cat: Catalog) -> None:
    for info in [info async for info in cat.volumes()]:
        volume = await cat.volume(info.name)
        for path in [entry.path async for entry in volume.list(recursive=True, deleted=True)]:
            link = ""
            for file in reversed([file async for file in volume.history(path)]):
                link = chain(link, file)
                assert file.chain == link


async def test_a_row_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with unpacked(tmp_path) as cat:
        volume = await cat.volume()
        table = cat._tools.lister.table
        head = await table.get(f"{volume.info.epoch}~{shard_of('typed', 2):02x}", "htyped")
        from catalog.table import Replace

        newer = Replace(head.row, {**head.values, "schema": SCHEMA + 1}, head.etag)
        await table.submit(head.partition, [newer])
        with pytest.raises(InvalidError) as caught:
            await volume.stat("typed")
    assert caught.value.kind == "invalid.newer-schema"


# --- docs/format.md --------------------------------------------------------------------------------------------------


def test_the_document_speaks_of_this_schema() -> None:
    assert f"schema version **{SCHEMA}**" in TEXT


def test_every_kind_of_row_and_every_column_is_in_the_document() -> None:
    rows = lines("rows.jsonl")
    assert {row["row"][0] for row in rows} == set("hvigqc")
    columns = {name for row in rows for name in row["values"] if not re.match("[mt]_", name)}
    assert columns >= {"moving", "moving_to", "source", "target", "request_id", "modified"}  # the sample is rich
    missing = {name for name in columns if not re.search(rf"`{name}`", TEXT)}
    assert not missing
    for letter in "hvigqc":
        assert re.search(rf"^\| .*`{letter}", TEXT, re.MULTILINE), letter


def test_all_metadata_of_blobs_is_in_the_document() -> None:
    assert {name for blob in lines("blobs.jsonl") for name in blob["metadata"]} == set(
        re.findall(r"`(\w+)`", TEXT.partition("metadata of the blob:")[2].partition("\n\n")[0])
    )


def test_the_worked_example_of_the_chain_is_right() -> None:
    record, link = re.findall(r"^    (\{.*\})$|^    ([0-9a-f]{64})$", TEXT, re.MULTILINE)[:2]
    assert hashlib.sha256(f"\n{record[0]}".encode()).hexdigest() == link[1]
    told = json.loads(record[0])
    (row,) = (row for row in lines("rows.jsonl") if row["row"] == version_row(told["path"], told["version"]))
    assert row["values"]["chain"] == link[1]


def test_the_worked_examples_of_keys_are_right() -> None:
    examples = re.findall(r"^    (\S.*\S)  →  (.*)  shard (\d+) of 16$", TEXT, re.MULTILINE)
    assert len(examples) >= 4
    for path, key, shard in examples:
        assert ("h" + encode(path), shard_of(path, 16)) == (key, int(shard))
