"""The file of what was done: who writes it, and what becomes of one that is damaged."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from catalog import Brake, CatalogError, InvalidError, connect
from catalog.reconcile.entry import Entry
from catalog.reconcile.journal import Journal, kept_still
from tests.reconcile import injuries as injury
from tests.reconcile.scene import Scene, indexed


def test_one_run_writes_a_journal(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "journal", plan="p", volume="v", epoch="e")
    with pytest.raises(InvalidError, match="another apply writes") as caught:
        Journal.open(tmp_path / "journal", plan="p", volume="v", epoch="e")
    assert caught.value.kind == "invalid.journal"
    first.close()
    Journal.open(tmp_path / "journal", plan="p", volume="v", epoch="e").close()


async def test_nothing_is_undone_while_an_apply_writes_the_journal(small: Scene, tmp_path: Path) -> None:
    """What it is about to do would be done after that, and stay."""
    path, info = tmp_path / "journal", small.volume.info
    running = Journal.open(path, plan="p", volume=info.name, epoch=info.epoch)
    with pytest.raises(InvalidError, match="an apply is writing") as caught:
        await small.cat.undo(path)
    assert caught.value.kind == "invalid.journal"
    running.close()
    assert (await small.cat.undo(path)).ok


def test_no_apply_begins_while_its_journal_is_undone_and_two_may_undo_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal.open(path, plan="p", volume="v", epoch="e").close()
    with kept_still(path), kept_still(path), pytest.raises(InvalidError):
        Journal.open(path, plan="p", volume="v", epoch="e")
    Journal.open(path, plan="p", volume="v", epoch="e").close()


def test_a_journal_that_was_cut_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"blobcat": "jour')
    Journal.open(path, plan="p", volume="v", epoch="e").close()
    assert json.loads(path.read_text("utf-8"))["plan"] == "p"


@pytest.mark.parametrize(
    "content",
    [
        b"my only copy, no newline at the end",
        b"line\n" + b"\x00" * 1000,
        b"{}\nnot whole",
        b'{"blobcat": "journal", "format": 1, "plan": "another", "volume": "v", "epoch": "e"}\n{"key": "cut',
        b'{"blobcat": "journal", "format": 1, "plan": "another", "vol',
        b"[]",
    ],
)
def test_a_file_that_is_no_journal_of_the_plan_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(InvalidError) as caught:
        Journal.open(path, plan="p", volume="v", epoch="e")
    assert (caught.value.kind, caught.value.op) == ("invalid.journal", "apply")
    assert path.read_bytes() == content


def test_a_journal_that_was_cut_within_a_character_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path, plan="p", volume="v", epoch="e")
    journal.add(Entry("one", "touched", "refresh", "done"), Entry("\N{CAT}", "touched", "refresh", "done"))
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index("\N{CAT}".encode()) + 2])
    again = Journal.open(path, plan="p", volume="v", epoch="e")
    done = {key: again.earlier.is_done(("touched", key, "refresh")) for key in ("one", "\N{CAT}")}
    again.close()
    assert done == {"one": True, "\N{CAT}": False}
    assert path.read_bytes() == whole[: whole.rindex(b"\n", 0, -1) + 1]


async def test_where_files_cannot_be_locked_a_plan_is_applied_and_undone(
    small: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no `flock`."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    await injury.touched(small, "a")
    injured = await small.look()
    plan = await small.cat.reconcile("raw", work=tmp_path / "work")
    assert (await plan.apply(journal=tmp_path / "journal")).done == {"refresh": 1}
    assert (await small.cat.reconcile("raw")).clean
    assert (await small.cat.undo(tmp_path / "journal")).ok
    assert (await small.look()).lasting == injured.lasting


async def test_a_line_that_is_nested_without_end_is_no_line(small: Scene, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal.open(path, plan="p", volume="raw", epoch="e").close()
    with path.open("a") as file:
        file.write("[" * 200_000 + "\n")
    with pytest.raises(InvalidError, match="nested too deep"):
        await small.cat.undo(path)


FILE = {
    "schema": 1, "path": "a", "version": 1, "kind": "put", "op": "o", "size": 1, "digest": "", "created": 0,
    "content_type": "text/plain", "writer": "", "chain": "", "blob": "raw/x", "blob_etag": "e",
}  # fmt: skip
BLOB = {"name": "raw/x", "etag": "e", "size": 1, "content_type": "text/plain", "md5": "", "metadata": {}}
ROW = {"path": "a", "row": "ha", "before": None}
OF_INDEX = {"path": "a", "row": "x1 0 a", "before": None}
ENTRY = {"key": "raw/x", "state": "touched", "action": "refresh", "phase": "done"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"key": "raw/x"},
        {**ENTRY, "colour": "green"},
        {**ENTRY, "key": ["raw/x"]},
        {**ENTRY, "phase": 1},
        {**ENTRY, "undo": ["rows"]},
        {**ENTRY, "undo": {"rows": 5}},
        {**ENTRY, "undo": {"rows": [1]}},
        {**ENTRY, "undo": {"rows": [{}]}},
        {**ENTRY, "undo": {"rows": [{"path": "a", "row": "h a", "before": None, "after": []}]}},
        {**ENTRY, "undo": {"blob": "x", "aside": "y"}},
        {**ENTRY, "undo": {"blob": {"name": "raw/x"}}},
        {**ENTRY, "why": 1},
        {**ENTRY, "undo": {"rows": [{"path": "a", "row": "ha", "before": None, "after": {"schema": 1}}]}},
        {**ENTRY, "undo": {"rows": [{"path": "a", "row": "hb", "before": None, "after": FILE}]}},
        {**ENTRY, "undo": {"rows": [{**ROW, "after": {**FILE, "size": [1]}}]}},
        {**ENTRY, "undo": {"rows": [{**OF_INDEX, "after": []}]}},
        {**ENTRY, "undo": {"rows": [{**OF_INDEX, "after": {"path": "a"}}]}},
        {**ENTRY, "undo": {"rows": [{**OF_INDEX, "after": {"path": "b", "schema": 1}}]}},
        {**ENTRY, "undo": {"rows": [{**OF_INDEX, "after": {"path": "a", "schema": 1, "size": [1]}}]}},
        {**ENTRY, "undo": {"rows": [{**ROW, "after": {**FILE, "created": "x"}}]}},
        {
            **ENTRY,
            "undo": {"rows": [{"path": "a", "row": "ha", "before": None, "after": {**FILE, "created": 1 << 62}}]},
        },
        {**ENTRY, "undo": {"blob": {**BLOB, "md5": "no hex"}, "aside": "raw/.quarantine/0/x"}},
        {**ENTRY, "undo": {"blob": {**BLOB, "md5": 5}, "aside": "raw/.quarantine/0/x"}},
        {**ENTRY, "undo": {"blob": {**BLOB, "etag": 5}, "aside": "raw/.quarantine/0/x"}},
        {**ENTRY, "undo": {"blob": {**BLOB, "size": "1"}, "aside": "raw/.quarantine/0/x"}},
        {**ENTRY, "undo": {"blob": {**BLOB, "metadata": {"op": 1}}, "aside": "raw/.quarantine/0/x"}},
        {**ENTRY, "undo": {"blob": BLOB, "headers": {**BLOB, "size": True}}},
    ],
)
async def test_a_journal_with_a_line_that_is_none_is_refused(
    small: Scene, tmp_path: Path, entry: dict[str, Any]
) -> None:
    """Neither gone on with nor undone, not even in part; and it stays as it is."""
    await injury.touched(small, "a")
    plan, journal = await small.cat.reconcile("raw"), tmp_path / "journal"
    before = await small.look()
    Journal.open(journal, plan=plan.sha256, volume="raw", epoch=small.volume.info.epoch).close()
    journal.write_text(f"{journal.read_text('utf-8')}{json.dumps(entry)}\n", "utf-8")
    written = journal.read_bytes()
    with pytest.raises(InvalidError, match="is damaged") as applying:
        await plan.apply(journal=journal)
    with pytest.raises(InvalidError, match="is damaged") as undoing:
        await small.cat.undo(journal)
    assert {applying.value.kind, undoing.value.kind} == {"invalid.journal"}
    assert journal.read_bytes() == written
    assert (await small.look()).exact == before.exact


WRONG: Sequence[Any] = (None, -1, "", "x", "\\0", [], {"x": 1}, 1 << 70)


def damaged(said: Any) -> Iterator[Any]:
    """A record with one thing in it, at any depth, that is another; or is not there."""
    yield from WRONG
    if isinstance(said, dict):
        for name, value in said.items():
            yield {key: each for key, each in said.items() if key != name}
            yield from ({**said, name: wrong} for wrong in damaged(value))
    if isinstance(said, list):
        for at, value in enumerate(said):
            yield from ([*said[:at], wrong, *said[at + 1 :]] for wrong in damaged(value))


async def test_whatever_is_wrong_in_a_journal_is_an_error_of_ours_or_told_of_an_action(
    small: Scene, tmp_path: Path
) -> None:
    for number, hurt in enumerate(
        (injury.touched, injury.headers_stripped, injury.all_rows_removed, injury.head_removed)
    ):
        await hurt(small, f"{number}")
    plan, journal = await small.cat.reconcile("raw", orphans="quarantine"), tmp_path / "journal"
    applied = await plan.apply(journal=journal, brake=Brake(1.0))
    assert applied.done == {"refresh": 1, "rewrite-headers": 1, "quarantine": 1, "insert-head": 1}
    header, *lines = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    refused = 0
    for at, line in enumerate([header, *lines]):
        for wrong in damaged(line):
            said = [header, *lines]
            said[at] = wrong
            journal.write_text("".join(f"{json.dumps(each)}\n" for each in said), "utf-8")
            try:
                await small.cat.undo(journal)
            except CatalogError:
                refused += 1
    assert refused > 500
    journal.write_text("".join(f"{json.dumps(each)}\n" for each in [header, *lines]), "utf-8")
    await small.cat.undo(journal)


@pytest.mark.parametrize("lacking", ["plan", "volume", "epoch"])
async def test_a_journal_that_does_not_say_what_it_is_of_is_refused(small: Scene, tmp_path: Path, lacking: str) -> None:
    plan, journal = await small.cat.reconcile("raw"), tmp_path / "journal"
    Journal.open(journal, plan=plan.sha256, volume="raw", epoch=small.volume.info.epoch).close()
    header = json.loads(journal.read_text("utf-8"))
    del header[lacking]
    journal.write_text(f"{json.dumps(header)}\n", "utf-8")
    with pytest.raises(InvalidError, match="is damaged") as caught:
        await small.cat.undo(journal)
    assert caught.value.kind == "invalid.journal"
    with pytest.raises(InvalidError, match="is damaged"):
        await plan.apply(journal=journal)


ROOT = Path(__file__).parents[2]
FULL = """
import asyncio, os, resource, sys
from tests.harness.branches import take_part
take_part()
from catalog import Brake, CatalogError, connect

async def main(url, plan, journal):
    async with connect(url) as cat:
        made, there = cat.plan(plan), os.stat(journal).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (there + 900, resource.RLIM_INFINITY))
        try:
            await made.apply(journal=journal, brake=Brake(1.0), force=made.sha256)
        except CatalogError as error:
            print(error.kind)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print((await made.apply(journal=journal, brake=Brake(1.0), force=made.sha256)).ok)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_where_the_disk_is_full_apply_says_so_and_the_same_journal_goes_on(tmp_path: Path) -> None:
    """Nothing is done of which no line is on disk; so all that was done can be taken back."""
    url, journal = f"local:{tmp_path / 'catalog'}", tmp_path / "journal"
    async with connect(url, writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=2)
        for number in range(6):
            await injury.touched(scene, f"f{number}")
        plan = await cat.reconcile("raw")
        file, info = plan.save(tmp_path / "plan"), scene.volume.info
    long = Journal.open(journal, plan=plan.sha256, volume="raw", epoch=info.epoch)
    long.add(*[Entry("x" * 1000, "touched", "refresh", "waiting")] * 5_000)  # longer than all else on this disk
    long.close()
    program = [sys.executable, "-c", FULL, url, f"{file}", f"{journal}"]
    ran = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["unavailable.disk-full", "True"]
    async with connect(url) as cat:
        assert (await cat.reconcile("raw")).clean
        undone = await cat.undo(journal)
        assert (undone.undone, len(undone.kept)) == (6, 0)
