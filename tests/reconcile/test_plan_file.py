"""A plan is a file: the same for the same input, readable, in order, and read again by what comes later."""

import json
import os
import string
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Brake, InvalidError, Plan, connect
from catalog.reconcile.difference import FITTING, MEANING, Action, Difference, State
from catalog.reconcile.plan import FORMAT, REQUESTS, Header, Policy, counted, read, write
from tests.reconcile import injuries as injury
from tests.reconcile.cases import CASES, ON_DISK
from tests.reconcile.scene import Scene, indexed

PLAN_1 = Path(__file__).parents[1] / "data" / "plan-1.jsonl"
"""Made once, by the version that first wrote this format; never made again."""
ODD = ["a b", "\u00e9\u00e8", "\U0001f408", "a'b\"c", "a%2Fb", "\u2028line", "a~b", "{}", "@1", "x@2"]
PROGRAM = """
import asyncio, sys
from catalog import connect
async def main():
    async with connect(sys.argv[1]) as cat:
        plan = await cat.reconcile("raw", depth="content", orphans="quarantine", patience_s=0)
        plan.save(sys.argv[2])
asyncio.run(main())
"""


@pytest.mark.parametrize("seed", ["0", "1"])
async def test_the_same_input_gives_the_same_bytes(tmp_path: Path, seed: str) -> None:
    """In this process, again, and in another one that hashes in another way; in whatever folder."""
    url = f"local:{tmp_path / 'catalog'}"
    async with connect(url, writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=4)
        for make in CASES:
            await make(scene, f"{make.__name__}/a.txt")
        for name in ODD:
            await injury.deleted(scene, f"odd/{name}")
        once = await cat.reconcile("raw", depth="content", orphans="quarantine", patience_s=0)
        again = await cat.reconcile("raw", depth="content", orphans="quarantine", patience_s=0, work=tmp_path / "work")
        assert once.path.read_bytes() == again.path.read_bytes()
        assert once.sha256 == again.sha256
    other = tmp_path / "other.jsonl"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
    await _run([sys.executable, "-c", PROGRAM, url, str(other)], environment)
    assert other.read_bytes() == once.path.read_bytes()


async def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, check=True)


async def test_people_can_read_it(small: Scene, tmp_path: Path) -> None:
    """JSON lines; first what was compared, then what was found, in order; names as they are."""
    for make in CASES.keys() - ON_DISK:
        await make(small, f"{make.__name__}/a.txt")
    for name in ODD:
        await injury.deleted(small, f"odd/{name}")
    plan = await small.cat.reconcile("raw", depth="content", patience_s=0)
    file = plan.save(tmp_path / "plan.jsonl")
    header, *lines = [json.loads(line) for line in file.read_text("utf-8").split("\n")[:-1]]
    assert (header["blobcat"], header["format"], header["volume"]) == ("plan", FORMAT, "raw")
    assert sum(header["states"].values()) == len(lines) >= plan.findings
    found = [*plan.differences()]
    assert found == sorted(found, key=lambda each: each.order)
    assert [Difference.of_record(line) for line in lines] == found
    assert all("" not in line.values() for line in lines), "what is empty is left out"
    text = file.read_text("utf-8")
    assert all(f"odd/{name}" in text for name in ODD if not {*name} & {'"', "\u2028"})
    assert small.cat.plan(file).header == read(file).header
    assert [*small.cat.plan(file).differences()] == found
    assert small.cat.plan(file).sha256 == plan.sha256
    assert repr(plan).startswith("<Plan for 'raw': {")


async def test_a_plan_of_format_1_is_still_read(small: Scene) -> None:
    plan: Plan = small.cat.plan(PLAN_1)
    assert plan.header.format == 1
    assert plan.complete
    assert (plan.findings, sum(1 for _ in plan.differences())) == (40, 41)
    assert plan.sha256 == "59f473b763b8663037a99831b268f9940217092aad8b8f24d3e47d0bff76a287"
    assert plan.header.requests == 882, "as it was estimated then: that this blobcat reckons otherwise is no damage"


def test_every_action_has_its_cost() -> None:
    assert REQUESTS.keys() == {*get_args(Action)}
    assert MEANING.keys() == {*get_args(State)}


async def test_a_plan_of_nobodys_is_gone_with_its_folder(small: Scene) -> None:
    """One that was not saved leaves nothing behind."""
    plan = await small.cat.reconcile("raw")
    folder = plan.path.parent
    assert folder.exists()
    del plan
    assert not folder.exists()


async def test_what_is_applied_is_the_plan_that_was_read(small: Scene, tmp_path: Path) -> None:
    """Each plan of a work folder is the same file; its brake was checked of the one that was made then."""
    await injury.all_rows_removed(small, "a")
    before = await small.look()
    made = await small.cat.reconcile("raw", work=tmp_path / "work")
    assert made.header.deletions == 0
    again = await small.cat.reconcile("raw", work=tmp_path / "work", orphans="quarantine")
    assert again.header.deletions == 1
    for act in (lambda: [*made.differences()], lambda: made.save(tmp_path / "saved")):
        with pytest.raises(InvalidError, match="was changed meanwhile: read it again") as caught:
            act()
        assert caught.value.kind == "invalid.plan"
    with pytest.raises(InvalidError, match="was changed meanwhile: read it again"):
        await made.apply(journal=tmp_path / "journal")
    assert (await small.look()).exact == before.exact
    assert not (tmp_path / "saved").exists()
    again.path.unlink()
    with pytest.raises(InvalidError, match="is gone"):
        await again.apply(journal=tmp_path / "other", brake=Brake(1.0), force=again.sha256)


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        (0, {"certificates": [{"rows": 1}]}),
        (0, {"certificates": [{"rows": {"i": "x"}}]}),
        (0, {"certificates": [{"blobs": 1}]}),
        (0, {"certificates": [{"blobs": 1, "quarantined": 0, "of other volumes": "x"}]}),
        (0, {"prefix": "\ud800"}),
        (1, {"key": "\ud800"}),
        (1, {"rows": {"v \ud800@1": "x"}}),
        (1, {"rows": {"i": "x", "i ": "x"}}),
    ],
)
async def test_a_plan_with_a_line_that_is_none_is_refused(
    small: Scene, tmp_path: Path, number: int, changed: dict[str, object]
) -> None:
    await injury.touched(small, "a")
    file = (await small.cat.reconcile("raw")).save(tmp_path / "plan")
    lines = file.read_text("utf-8").splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **changed})
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    with pytest.raises(InvalidError) as caught:
        small.cat.plan(file)
    assert caught.value.kind == "invalid.plan"


async def test_a_plan_that_is_replaced_while_it_is_applied(small: Scene, tmp_path: Path) -> None:
    """What was read first is what is carried out."""
    for number in range(3):
        await injury.touched(small, f"{number}")
    plan = await small.cat.reconcile("raw")
    file = plan.save(tmp_path / "plan")

    def replaced(_: object) -> None:
        file.write_text("another")

    report = await plan.apply(journal=tmp_path / "journal", progress=replaced)
    assert (report.ok, report.done) == (True, {"refresh": 3})


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
VERSION = st.builds(lambda path, version: f"{path}@{version}", NAMES, st.integers(1, 10**9))
ETAG = st.text(string.ascii_letters + string.digits, max_size=12)
ROWS = st.dictionaries(
    st.one_of(
        VERSION.map(lambda name: f"v {name}"),
        NAMES.map(lambda path: f"h {path}"),
        st.builds(lambda op, path: f"i {op} {path}", st.text(string.ascii_uppercase, min_size=1), NAMES),
    ),
    ETAG,
    max_size=4,
)
PROPOSED = [(state, action) for state in get_args(State) for action in (*FITTING.get(state, ()), "none")]


def proposed(kind: tuple[State, Action], found: Difference) -> Difference:
    return replace(found, state=kind[0], action=kind[1])


PLAIN = st.builds(
    Difference,
    state=st.just("consistent"),
    key=NAMES,
    path=NAMES | st.just(""),
    versions=st.lists(VERSION, max_size=3).map(tuple),
    op=ETAG,
    writer=NAMES | st.just(""),
    at=ETAG,
    why=NAMES | st.just(""),
    size=st.integers(0, 2**62),
    twin=NAMES | st.just(""),
    blob_etag=ETAG,
    rows=ROWS,
)
DIFFERENCES = st.builds(proposed, st.sampled_from(PROPOSED), PLAIN)
HEADER = Header("v", "e", "v/", "", "etag", 1.0, 1, 1, 1)


@given(st.lists(DIFFERENCES, max_size=5))
def test_what_was_written_is_read(found: list[Difference]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.jsonl"
        written = write(file, counted(HEADER, found), found)
        assert [*read(file).differences()] == found
        assert read(file).sha256 == written.sha256
        again = write(file, counted(HEADER, found), found)
        assert again.sha256 == written.sha256


@given(DIFFERENCES)
def test_who_is_concerned_can_be_told(found: Difference) -> None:
    """From the names of rows, whatever is in a path."""
    assert [path for path, _ in found.users] == sorted(path for path, _ in found.users)
    assert {f"{path}@{version}" for path, version in found.users} >= {*found.versions}
    assert len(found.intents) == sum(name.startswith("i ") for name in found.rows)


@given(DIFFERENCES)
def test_a_policy_is_for_orphans_and_strangers(found: Difference) -> None:
    proposed = Policy(orphans="quarantine", foreign="adopt").proposed(found)
    if found.state not in ("orphan-ours", "foreign-new"):
        assert proposed == found
    assert Policy().proposed(found) == found
