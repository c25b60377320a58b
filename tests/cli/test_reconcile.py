"""`reconcile`, `apply` and `undo`: what people see, what programs get, and how it exits."""

import hashlib
import json
import os
from pathlib import Path
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from tests.cli.driver import Blobcat
from tests.cli.injuries import (
    Injury,
    beheaded,
    foreign,
    forgotten,
    half_done,
    injure,
    lost,
    overwritten,
    touched,
    unwritten,
)
from tests.cli.test_json import valid
from tests.cli.test_terminal import ESCAPES, on_terminal
from tests.storage.servers import closed_port

PATHS = ("2026/a.csv", "2026/b.csv", "2026/c.csv", "2026/d.csv")


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    """With four files, and a second blob that has the bytes of the first."""
    for path in PATHS:
        assert blobcat("put", "-", path, stdin=path.encode()).code == 0
    assert blobcat("put", "-", "twin.csv", stdin=PATHS[0].encode()).code == 0
    return blobcat


def suffer(*injuries: Injury) -> None:
    injure(os.environ["BLOBCAT_URL"], *injuries)


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


# --- What a reconcile says -------------------------------------------------------------------------------------------


def test_a_catalog_that_is_well_agrees(filled: Blobcat) -> None:
    ran = filled("reconcile")
    assert (ran.code, ran.err) == (0, "")
    first, last = ran.lines
    assert first == "main  5 blobs (50 B) and 5 versions  names, sizes and etags"
    assert last.startswith("catalog and content agree  in ")


def test_each_state_is_a_row_with_what_is_proposed(filled: Blobcat) -> None:
    suffer(lost("2026/a.csv"), lost("2026/b.csv"), touched("2026/c.csv"), beheaded("2026/d.csv"))
    suffer(foreign("main/found.txt"), forgotten("old.bin"), forgotten("old2.bin", "01KAQWERTYQWERTYQWERTYQWEX"))
    ran = filled("reconcile")
    assert ran.code == 1
    assert [line.split() for line in ran.lines[1:-2]] == [
        ["1", "10", "B", "missing", "heal", "2026/a.csv@1"],
        ["1", "10", "B", "missing", "-", "2026/b.csv@1"],
        ["1", "10", "B", "touched", "refresh", "2026/c.csv@1"],
        ["2", "22", "B", "orphan-ours", "-", "old.bin", "old2.bin"],
        ["1", "8", "B", "foreign-new", "-", "main/found.txt"],
        ["1", "0", "B", "history-broken", "insert-head", "2026/d.csv@1"],
    ]
    assert len({line.index("2026/") for line in ran.lines if "2026/" in line}) == 1, "columns are aligned"
    assert ran.lines[-2].startswith("7 findings  3 to repair, 4 to think about")
    assert ran.lines[-1].startswith("  → the same with --plan FILE")


def test_more_of_a_state_than_fit_are_hinted_at(filled: Blobcat) -> None:
    suffer(*(foreign(f"main/found-{number}.txt") for number in range(3)))
    row = filled("reconcile").lines[1]
    assert row.split() == ["3", "24", "B", "foreign-new", "-", "main/found-0.txt", "main/found-1.txt", "…"]


def test_a_terminal_is_told_what_it_means_and_what_would_be_done(filled: Blobcat) -> None:
    suffer(lost("2026/a.csv"), forgotten("old.bin"))
    code, shown = on_terminal(filled, "reconcile", "--plan", "plan.jsonl", columns=100)
    assert code == 1
    lines = ESCAPES.sub("", shown).splitlines()
    assert max(map(len, lines)) <= 100
    heading = next(line for line in lines if "COUNT" in line)
    assert heading.split() == ["COUNT", "SIZE", "STATE", "PROPOSED", "SUCH", "AS"]
    told = [line.strip() for line in lines]
    row = next(number for number, line in enumerate(told) if "missing" in line)
    assert told[row + 1] == "a version whose content is not there"
    assert told[row + 2] == "→ write the bytes again, from a blob that has the same"
    assert "→ --orphans adopt makes files of them, --orphans quarantine puts them aside" in told
    assert told[-1] == "→ blobcat apply plan.jsonl"


def test_a_write_that_may_be_alive_is_mentioned_and_no_finding(filled: Blobcat) -> None:
    suffer(half_done("new.csv"))
    ran = filled("reconcile")
    assert ran.code == 0
    assert ran.lines[1] == "1 write under way, left alone"
    record = filled("reconcile", "--json").record
    assert (record["states"], record["findings"], record["clean"]) == ({"in-flight": 2}, 0, True)
    impatient = filled("reconcile", "--patience", "0", "--json")
    assert (impatient.code, impatient.record["actions"], impatient.record["findings"]) == (1, {"settle": 1}, 1)
    assert "under way" not in filled("reconcile", "--patience", "0").out


def test_bytes_are_read_where_that_is_asked_for(filled: Blobcat) -> None:
    filled.stored("2026/b.csv").write_bytes(b"2026/B.csv")
    assert filled("reconcile").code == 0
    assert filled("reconcile", "--depth", "headers").code == 0
    (found,) = [line for line in filled("reconcile", "--depth", "content").lines if "corrupt" in line]
    assert found.split()[-1] == "2026/b.csv@1"
    assert "of 50% of the files" in filled("reconcile", "--depth", "content", "--sample", "50%").lines[0]


def test_a_prefix_is_all_that_is_compared(filled: Blobcat) -> None:
    suffer(lost("2026/a.csv"), lost("twin.csv"))
    ran = filled("reconcile", "--prefix", "2026/")
    assert ran.lines[0].startswith("main  below 2026/  3 blobs (30 B) and 4 versions")
    assert "twin.csv" not in ran.out


def test_a_prefix_that_nothing_has_is_no_health(filled: Blobcat) -> None:
    ran = filled("reconcile", "--prefix", "2062/", "--plan", "plan")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.splitlines() == [
        "blobcat: volume 'main' has no file below '2062/', and no blob: nothing to compare",
        "  → a prefix is how paths begin: blobcat ls shows what is there",
    ]
    assert not Path("plan").exists()


def test_the_summary_in_json_is_one_line_of_its_schema(filled: Blobcat) -> None:
    suffer(lost("2026/a.csv"), foreign("main/found.txt"))
    (record,) = valid(filled("reconcile", "--plan", "plan.jsonl", "--json"), "reconcile", 1)
    assert record["states"] == {"missing": 1, "foreign-new": 1}
    assert record["actions"] == {"heal": 1}
    assert (record["volume"], record["depth"], record["blobs"], record["versions"]) == ("main", "etag", 5, 5)
    assert (record["findings"], record["clean"], record["complete"]) == (2, False, True)
    assert (record["plan"], record["sha256"]) == ("plan.jsonl", sha256("plan.jsonl"))
    assert filled("reconcile", "--json").record["plan"] is None


def test_a_run_may_keep_what_it_read(filled: Blobcat) -> None:
    record = filled("reconcile", "--work", "work", "--json").record
    assert record["plan"] == "work/plan.jsonl"
    assert sha256("work/plan.jsonl") == record["sha256"]


def test_where_most_is_gone_the_brake_is_told_and_the_exit_is_2(filled: Blobcat) -> None:
    suffer(*(lost(path) for path in (*PATHS, "twin.csv")), forgotten("old.bin"))
    ran = filled("reconcile", "--orphans", "quarantine", "--plan", "plan.jsonl")
    assert ran.code == 2
    assert "brake  5 of 5 blobs are missing (another account, container or prefix?). Nothing may be deleted" in ran.out
    (record,) = valid(filled("reconcile", "--json"), "reconcile", 2)
    assert record["refused"] == ["5 of 5 blobs are missing (another account, container or prefix?)"]


# --- Plans, applied and undone ---------------------------------------------------------------------------------------


@pytest.fixture
def planned(filled: Blobcat) -> Blobcat:
    """With three things to repair, one of which deletes, and their plan."""
    suffer(lost("2026/a.csv"), touched("2026/b.csv"), forgotten("old.bin"))
    assert filled("reconcile", "--orphans", "quarantine", "--plan", "plan.jsonl").code == 1
    return filled


def journal(plan: str = "plan.jsonl") -> str:
    """The journal of a plan, if nobody names another."""
    return f"{plan}.{sha256(plan)[:8]}.journal"


def test_a_plan_is_applied_and_undone(planned: Blobcat) -> None:
    ran = planned("apply", "plan.jsonl", "--max-delete-fraction", "50%")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0].startswith("main  3 findings, 3 actions  about 100 requests  sha256 ")
    assert [line.split()[:2] for line in ran.lines[1:4]] == [["1", "heal"], ["1", "quarantine"], ["1", "refresh"]]
    assert [line.split() for line in ran.lines[4:7]] == [
        ["1", "heal", "done"],
        ["1", "quarantine", "done"],
        ["1", "refresh", "done"],
    ]
    assert ran.lines[7:] == [
        "3 done",
        f"journal  {journal()}",
        f"  → blobcat undo {journal()} takes back what can be",
    ]
    assert planned("reconcile").code == 0
    undone = planned("undo", journal())
    assert (undone.code, undone.lines[-1]) == (1, "2 actions taken back  1 quarantine, 1 refresh  1 kept")
    assert planned("reconcile", "--json").record["states"] == {"touched": 1, "orphan-ours": 1}


def test_the_reports_in_json_are_as_their_schemas_say(planned: Blobcat) -> None:
    (report,) = valid(planned("apply", "plan.jsonl", "--max-delete-fraction=50%", "--json"), "apply")
    assert report["done"] == {"heal": 1, "quarantine": 1, "refresh": 1}
    (undone,) = valid(planned("undo", report["journal"], "--json"), "undo", 1)
    assert sorted(item["undone"] for item in undone["items"]) == [False, True, True]


def test_what_changed_since_is_left_alone_and_named(planned: Blobcat) -> None:
    suffer(touched("2026/b.csv"))
    ran = planned("apply", "plan.jsonl", "--max-delete-fraction", "50%")
    assert ran.code == 1
    assert "changed  2026/b.csv@1  it was changed since the plan was made" in ran.lines
    assert "2 done  1 changed since, left alone" in ran.lines


def test_a_write_that_may_be_alive_waits(filled: Blobcat) -> None:
    suffer(half_done("new.csv"))
    assert filled("reconcile", "--patience", "0", "--plan", "plan.jsonl").code == 1
    ran = filled("apply", "plan.jsonl")
    assert ran.code == 1
    assert "waiting  new.csv  its writer may be alive" in ran.lines
    assert filled("apply", "plan.jsonl", "--patience", "0").code == 0
    assert filled("reconcile").lines[-1].startswith("catalog and content agree")
    kept = filled("undo", journal())
    assert kept.code == 1
    assert kept.lines[0].endswith("settle: a write that was settled stays so")
    assert kept.lines[-1] == "0 actions taken back  1 kept"


def test_what_failed_is_named_with_its_reason(filled: Blobcat) -> None:
    suffer(lost("2026/a.csv"))
    assert filled("reconcile", "--plan", "plan.jsonl").code == 1
    filled.stored("twin.csv").unlink()
    ran = filled("apply", "plan.jsonl")
    assert ran.code == 1
    assert ran.lines[2].startswith("failed   2026/a.csv@1  open main/.versions/twin.csv~")
    assert "0 done  1 failed" in ran.lines
    (report,) = valid(filled("apply", "plan.jsonl", "--json"), "apply", 1)
    assert [each["error"]["kind"] for each in report["failed"]] == ["integrity.missing"]


def test_applied_again_there_is_nothing_left_to_do(planned: Blobcat) -> None:
    command = ("apply", "plan.jsonl", "--max-delete-fraction", "50%")
    assert planned(*command).code == 0
    again = planned(*command)
    assert (again.code, again.lines[4]) == (0, "nothing left to do  3 done before")


def test_a_plan_without_actions_has_nothing_to_do(filled: Blobcat) -> None:
    suffer(foreign("main/found.txt"))
    ran = filled("reconcile", "--plan", "plan.jsonl")
    assert ran.lines[-1] == "  → the plan tells each finding and its reason; it proposes nothing"
    applied = filled("apply", "plan.jsonl")
    assert (applied.code, applied.lines[-1]) == (0, "nothing to do  the plan proposes nothing")
    assert filled("undo", journal()).lines == ["nothing to undo  the journal tells of no action"]


def test_the_brake_refuses_and_its_hash_forces(planned: Blobcat) -> None:
    digest = sha256("plan.jsonl")
    refused = planned("apply", "plan.jsonl")
    assert refused.code == 2
    said, hint = refused.err.splitlines()
    assert said.startswith("blobcat: it deletes 1 of 5 blobs, more than 1.00%. If that is meant, force it")
    assert hint.endswith("blobcat apply PLAN --force with that hash")
    assert planned("apply", "plan.jsonl", "--json").error["kind"] == "invalid.brake"
    assert planned("apply", "plan.jsonl", "--force", "0" * 16).code == 2
    assert planned("apply", "plan.jsonl", "--max-delete-fraction", "100%", "--max-delete", "0").code == 2
    assert planned("apply", "plan.jsonl", "--force", digest[:8]).code == 0


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_a_person_is_asked_before_something_is_deleted(planned: Blobcat, answer: bytes, code: int) -> None:
    ran, shown = on_terminal(planned, "apply", "plan.jsonl", "--max-delete-fraction=50%", columns=100, typed=answer)
    shown = ESCAPES.sub("", shown)
    assert ran == code
    assert "delete 1 blob  after copying to main/.quarantine/  [y/N]" in shown
    assert ("3 done" in shown) == (code == 0)
    assert ("nothing was changed" in shown) == (code == 1)
    assert Path(journal()).exists() == (code == 0)


def test_who_says_yes_or_deletes_nothing_is_not_asked(planned: Blobcat) -> None:
    _, shown = on_terminal(planned, "apply", "plan.jsonl", "--max-delete-fraction=50%", "--yes")
    assert "[y/N]" not in shown
    planned("undo", journal())
    planned("reconcile", "--plan", "harmless.jsonl")
    code, shown = on_terminal(planned, "apply", "harmless.jsonl")
    assert (code, "[y/N]" in shown) == (0, False)


# --- What newcomers do -----------------------------------------------------------------------------------------------


def test_what_is_no_plan_is_called_that(filled: Blobcat) -> None:
    for name, content, said in (
        ("notes.txt", b"hello\n", "is no plan of blobcat's"),
        ("other.json", b'{"a": 1}\n', "is no plan of blobcat's"),
        ("list.json", b"[]\n", "is no plan of blobcat's"),
        ("empty", b"", "is no plan of blobcat's"),
        ("picture.png", bytes(range(256)), "is no plan of blobcat's"),
    ):
        Path(name).write_bytes(content)
        ran = filled("apply", name)
        assert ran.code == 2
        assert ran.err.splitlines() == [f"blobcat: '{name}' {said}", "  → blobcat reconcile --plan FILE makes one"]
    assert "there is no plan 'nope'" in filled("apply", "nope").err
    ran = filled("apply", ".")
    assert (ran.code, ran.err.splitlines()[0]) == (2, "blobcat: cannot read '.': Is a directory")


def test_what_is_no_journal_is_called_that_once(planned: Blobcat) -> None:
    Path("notes.txt").write_text("hello\n")
    for name in ("plan.jsonl", "notes.txt"):
        ran = planned("undo", name)
        assert (ran.code, ran.err.splitlines()[0]) == (2, f"blobcat: '{name}' is no journal of blobcat's")
    ran = planned("undo", ".")
    assert (ran.code, ran.err.splitlines()[0]) == (2, "blobcat: cannot read '.': Is a directory")


def test_a_plan_that_was_cut_or_edited_is_refused(planned: Blobcat) -> None:
    whole = Path("plan.jsonl").read_bytes()
    for cut in (whole[: whole.rindex(b"\n", 0, -1) + 1], whole[:-20]):
        Path("cut.jsonl").write_bytes(cut)
        ran = planned("apply", "cut.jsonl", "--json")
        assert ran.code == 2
        assert ran.error["kind"].startswith("invalid")
    Path("newer.jsonl").write_bytes(whole.replace(b'"format": 1', b'"format": 2'))
    newer = planned("apply", "newer.jsonl")
    assert (newer.code, newer.err.splitlines()[1]) == (
        2,
        "  → upgrade blobcat, or make the plan again with this one",
    )


def test_a_plan_and_a_journal_of_another_catalog_are_refused(planned: Blobcat) -> None:
    assert planned("apply", "plan.jsonl", "--max-delete-fraction", "50%").code == 0
    other = ("--url", "local:other")
    assert planned("init", *other).code == 0
    for command in (("apply", "plan.jsonl", "--max-delete-fraction=50%"), ("undo", journal())):
        ran = planned(*command, *other)
        assert ran.code == 2
        assert ran.err.splitlines()[1] == "  → give the --url of the catalog that it was made of"
        assert planned(*command, *other, "--json").error["kind"] == "invalid.other-volume"


def test_the_next_plan_of_the_same_name_has_a_journal_of_its_own(planned: Blobcat) -> None:
    """As every night has one, and nobody there to name it."""
    command = ("apply", "plan.jsonl", "--max-delete-fraction", "50%")
    assert planned(*command).code == 0
    first = journal()
    before = Path(first).read_bytes()
    suffer(touched("2026/c.csv"))
    assert planned("reconcile", "--plan", "plan.jsonl").code == 1
    assert planned(*command).lines[-2] == f"journal  {journal()}"
    assert journal() != first
    assert "nothing left to do  1 done before" in planned(*command).lines
    assert Path(first).read_bytes() == before
    assert planned("undo", journal()).lines == ["1 action taken back  1 refresh"]
    assert planned("undo", first).lines[-1].startswith("2 actions taken back")


def test_the_journal_of_another_plan_is_not_written_over(planned: Blobcat) -> None:
    command = ("apply", "plan.jsonl", "--max-delete-fraction", "50%", "--journal", "first.journal")
    assert planned(*command).code == 0
    suffer(touched("2026/c.csv"))
    assert planned("reconcile", "--plan", "plan.jsonl").code == 1
    before = Path("first.journal").read_bytes()
    ran = planned(*command)
    assert (ran.code, Path("first.journal").read_bytes()) == (2, before)
    assert ran.err.splitlines() == [
        "blobcat: 'first.journal' is the journal of another plan: name another file, or none",
        "  → without --journal each plan has its own; the one that is there can still be undone",
    ]
    assert planned(*command[:-2]).code == 0


def test_what_is_no_journal_cannot_be_undone(planned: Blobcat) -> None:
    for name in ("nope", "plan.jsonl", "."):
        ran = planned("undo", name)
        assert ran.code == 2
        assert ran.err.splitlines()[1].startswith("  → blobcat apply names the journal")
        assert planned("undo", name, "--json").error["kind"] == "invalid.journal"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--depth deep", "depth is one of etag, headers, content, not 'deep'"),
        ("--depth content --sample 150%", "--sample is above 0%, up to 100%, not 150%"),
        ("--depth content --sample 1", "--sample '1' could be a percentage or a fraction"),
        ("--sample 1%", "--sample is a part of the bytes, and those are read with --depth content"),
        ("--orphans delete", "orphans is one of report, adopt, quarantine, not 'delete'"),
        ("--foreign quarantine", "foreign is one of report, adopt, not 'quarantine'"),
        ("--patience -1", "--patience"),
        ("--plan -", "a plan is a file"),
        ("--plan .", "a plan is a file"),
        ("--plan no/where.jsonl", "there is no folder no"),
        ("--prefix /2026", "2026"),
    ],
)
def test_wrong_words_are_told(filled: Blobcat, arguments: str, said: str) -> None:
    ran = filled("reconcile", *arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err.splitlines()[0]


def test_a_plan_is_written_over_no_other_file(filled: Blobcat) -> None:
    Path("orders.csv").write_text("id,cups\n")
    assert filled("reconcile", "--plan", "orders.csv").code == 2
    assert Path("orders.csv").read_text() == "id,cups\n"
    for _ in range(2):
        assert filled("reconcile", "--plan", "plan.jsonl").code == 0


def test_where_no_plan_can_be_written_nothing_is_read(filled: Blobcat) -> None:
    """It fails at once, not after hours: not even what is wrong with the volume is found out."""
    Path("closed").mkdir(mode=0o500)
    place = "/sys/plan.jsonl" if os.geteuid() == 0 else "closed/plan.jsonl"  # root may write everywhere else
    refused = filled("reconcile", "--plan", place, "--volume", "nope")
    assert (refused.code, refused.out) == (5, "")
    assert refused.err.splitlines() == [
        f"blobcat: cannot write {place}: no permission",
        "  → choose another place, or see who owns it and who may use it",
    ]


def test_without_a_catalog_or_a_volume_it_is_not_found(empty: Blobcat) -> None:
    assert empty("reconcile").code == 3
    assert empty("init").code == 0
    ran = empty("reconcile", "--volume", "nope", "--json")
    assert (ran.code, ran.error["kind"]) == (3, "not-found.volume")


# --- On Azurite ------------------------------------------------------------------------------------------------------


@pytest.fixture
def remote(empty: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    name = f"t{uuid4().hex[:12]}"
    monkeypatch.setenv("BLOBCAT_URL", f"{azurite.url}/{name}?table={name}")
    assert empty("init", "--shards", "2").code == 0
    for path in PATHS:
        assert empty("put", "-", path, stdin=b"same").code == 0
    return empty


def test_on_azurite_a_process_finds_repairs_and_undoes(remote: Blobcat) -> None:
    suffer(lost("2026/a.csv"), overwritten("2026/b.csv"), foreign("main/found.txt"))
    code, shown = on_terminal(remote, "reconcile", "--plan", "plan.jsonl", columns=100)
    assert code == 1
    assert "4 findings" not in shown
    assert "3 findings" in ESCAPES.sub("", shown)
    assert on_terminal(remote, "apply", "plan.jsonl")[0] == 0
    record = remote("reconcile", "--json").record
    assert record["states"] == {"foreign-new": 1}
    assert on_terminal(remote, "undo", journal())[0] == 1, "what was healed stays"
    assert sorted(remote("reconcile", "--json").record["states"]) == ["foreign-new"]


def test_where_a_side_cannot_be_read_nothing_is_concluded_and_the_exit_is_3(
    remote: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["BLOBCAT_URL"]
    place = f"127.0.0.1:{azurite.blob_port}:{azurite.table_port}"
    name = url.rpartition("/")[2]
    monkeypatch.setenv("BLOBCAT_URL", f"azurite://{place.replace(str(azurite.blob_port), str(closed_port()))}/{name}")
    ran = remote("reconcile", "--plan", "plan.jsonl")
    assert (ran.code, ran.err) == (3, "")
    assert ran.lines[0].startswith("not read  blobs-00: ")
    assert ran.lines[-3].startswith("not compared to the end  so nothing is concluded")
    assert ran.lines[-1] == "  → the same command again"
    refused = remote("apply", "plan.jsonl", "--json")
    assert (refused.code, refused.error["kind"]) == (3, "invalid.incomplete-plan")
    assert json.loads(Path("plan.jsonl").read_text())["incomplete"]


def test_a_plan_of_an_incomplete_run_is_as_its_schema_says(
    remote: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = os.environ["BLOBCAT_URL"].rpartition("/")[2]
    monkeypatch.setenv("BLOBCAT_URL", f"azurite://127.0.0.1:{closed_port()}:{azurite.table_port}/{name}")
    (record,) = valid(remote("reconcile", "--json"), "reconcile", 3)
    assert (record["complete"], record["clean"], record["findings"]) == (False, False, 0)
    assert len(record["incomplete"]) == 1


# --- What the last run has read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["plans", "work"])
def test_plans_of_each_night_are_compared_with_the_last_one(filled: Blobcat, where: str) -> None:
    """By a file in the plans' folder, or in that of --work; a scheduler sees the brake's exit code."""
    Path("plans").mkdir()
    work = ["--work", "work"] if where == "work" else []
    command = ("reconcile", "--orphans", "quarantine", *work, "--plan")
    assert filled(*command, "plans/monday.jsonl").code == 0
    (kept,) = Path().rglob("*.counts.json")
    assert kept.parent == Path(where)
    for number in range(20):
        filled("put", "-", f"more/{number}", stdin=b"x")
    assert filled(*command, "plans/tuesday.jsonl").code == 0
    suffer(*(unwritten(f"more/{number}") for number in range(3)))
    ran = filled(*command, "plans/wednesday.jsonl")
    assert ran.code == 2
    (said,) = [line for line in ran.lines if line.startswith("brake")]
    assert "shards lack versions that were there in the last run" in said
    assert f"remove {kept.absolute()} if that is meant" in said
    assert filled("reconcile", *work, "--plan", "plans/report.jsonl").code == 1  # deletes nothing, and settles nothing
    refused = filled("apply", "plans/wednesday.jsonl", "--max-delete-fraction", "100%")
    assert (refused.code, "lack versions" in refused.err) == (2, True)
    assert filled("apply", "plans/wednesday.jsonl", "--force", sha256("plans/wednesday.jsonl")[:8]).code == 0
    assert filled(*command, "plans/thursday.jsonl").code == 0


def test_a_purge_between_two_nights_is_no_collapse(filled: Blobcat) -> None:
    """As cron runs it, with plans in one folder."""
    command = ("reconcile", "--json", "--plan", "plan.jsonl")
    for content in (b"1", b"2"):
        for number in range(20):
            filled("put", "-", f"more/{number}", stdin=content)
    assert filled(*command).code == 0
    assert filled("purge", "--keep-versions", "1", "--yes").code == 0
    for _ in range(2):
        (record,) = valid(filled(*command), "reconcile", 0)
        assert (record["refused"], record["notes"]) == ([], [])


def test_what_has_collapsed_is_said_of_a_plan_that_deletes_nothing(filled: Blobcat) -> None:
    for number in range(20):
        filled("put", "-", f"more/{number}", stdin=b"x")
    assert filled("reconcile", "--plan", "plan.jsonl").code == 0
    (kept,) = Path().glob("*.counts.json")
    suffer(*(unwritten(f"more/{number}") for number in range(3)))
    (record,) = valid(filled("reconcile", "--plan", "plan.jsonl", "--json"), "reconcile", 1)
    assert record["refused"] == []
    (note,) = record["notes"]
    assert f"remove {kept.absolute()} if that is meant" in note
    assert any(line.startswith("note") and "lack versions" in line for line in filled("reconcile", "--work", ".").lines)
