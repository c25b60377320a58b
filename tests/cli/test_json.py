"""`--json`: what every command prints is what docs/json-schema.json says, with no field beside those that it names."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from azurite.launch import Azurite
from catalog.cli.main import PANELS
from catalog.cli.records import record_of
from catalog.errors import ConflictError, OutcomeUnknownError, UnavailableError
from catalog.recovery import Action, Recovered, RecoveryReport
from catalog.token import Token
from tests.cli.driver import Blobcat, Result

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "json-schema.json").read_text("utf-8"))
CONTENT = {"cat", "completion"}


def closed(schema: Any) -> Any:
    """The schema, where what it does not name is wrong: readers must bear new fields, but we must tell of them."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    more = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {key: closed(each) for key, each in schema.items()} | more


CLOSED = closed(SCHEMA)


def check(record: Any, place: str) -> None:
    Draft202012Validator(CLOSED | {"$ref": place}).validate(record)


def valid(ran: Result, command: str, code: int = 0) -> list[dict[str, Any]]:
    """The records of a run, each as the command's schema says."""
    assert ran.code == code, ran.err
    assert ran.records
    for record in ran.records:
        check(record, f"#/commands/{command}")
    return ran.records


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    meta = ["owner=ops", "n:int=5", "f:float=0.5", "b:bool=true", "t:time=2026-11-20T10:00:00Z"]
    assert blobcat("put", blobcat.file("a.txt"), "x/a.txt", *(f"--meta={each}" for each in meta)).code == 0
    for path in ("x/b/c.txt", "gone.txt", "top.txt"):
        assert blobcat("put", "-", path, stdin=b"1").code == 0
    assert blobcat("rm", "gone.txt").code == 0
    return blobcat


def resolved(blobcat: Blobcat) -> str:
    (volume,) = blobcat("volumes", "--json").records
    etag = blobcat("put", "-", "new", "--json", stdin=b"1").record["etag"]
    return str(Token(volume["name"], volume["epoch"], "new", etag, 0, "put"))


def planned(blobcat: Blobcat) -> str:
    assert blobcat("reconcile", "--plan", "plan.jsonl").code == 0
    return "plan.jsonl"


def applied(blobcat: Blobcat) -> str:
    journal: str = blobcat("apply", planned(blobcat), "--json").record["journal"]
    return journal


def logged(blobcat: Blobcat) -> str:
    assert blobcat("init", "logged", "--change-log").code == 0
    assert blobcat("put", "-", "a", "-v", "logged", stdin=b"1").code == 0
    return "logged"


RUNS = {
    "init": ["", "-v other"],
    "volumes": [""],
    "index": ["size", "meta.owner created:desc"],
    "adopt": [""],
    "ingest": ["in"],
    "put": ["in/a.txt new.txt", "in/a.txt x/a.txt --force"],
    "cp": ["x/a.txt copy.txt"],
    "mv": ["x/a.txt moved.txt"],
    "rm": ["x/a.txt", "-r --yes x"],
    "restore": ["gone.txt --version 1"],
    "get": ["x/a.txt", "-r x to"],
    "ls": ["", "--deleted -r", "--glob **/*.txt"],
    "tree": ["-L 1", ""],
    "du": ["-d 5"],
    "stat": ["x/a.txt"],
    "history": ["gone.txt"],
    "changes": ["-v LOGGED"],
    "query": [
        "--where size>0",
        "--limit 1",
        "--where size>0 --explain",
        "--estimate",
        "--columns path,meta.n,meta.t,metadata",
        "--output f.csv",
    ],
    "count": ["", "--by meta.n,meta.t"],
    "sql": ["from|files", "from|files -o f.json"],
    "verify": [""],
    "purge": ["--keep-versions 1 --yes", "--older-than 0s --dry-run"],
    "reconcile": ["", "--plan new.jsonl"],
    "apply": ["PLAN"],
    "undo": ["JOURNAL"],
    "recover": [""],
    "resolve": ["TOKEN"],
    "doctor": [""],
    "dump": ["d.jsonl", "d.jsonl.gz"],
    "load": ["DUMP --allow-missing --url local:other"],
}


@pytest.mark.parametrize(("command", "arguments"), [(name, each) for name, runs in RUNS.items() for each in runs])
def test_a_command_prints_what_its_schema_says(filled: Blobcat, command: str, arguments: str) -> None:
    made = {"TOKEN": resolved, "PLAN": planned, "JOURNAL": applied, "LOGGED": logged}
    words = [made[word](filled) if word in made else word.replace("|", " ") for word in arguments.split()]
    if words[:1] == ["DUMP"]:
        words[0] = filled("dump", "dump", "--json").record["target"]
    valid(filled(command, *words, "--json"), command)


def test_every_command_is_run_here() -> None:
    every = {name for panel in PANELS.values() for name in panel}
    assert {*RUNS, "rebuild", "sign"} | CONTENT == every
    assert {*RUNS, "rebuild", "sign"} == {*SCHEMA["commands"]}


@pytest.mark.parametrize("command", SCHEMA["commands"])
def test_help_names_the_records_and_their_fields(empty: Blobcat, command: str) -> None:
    said = " ".join(empty(command, "--help").out.partition("--json: ")[2].partition("\n\n")[0].split())
    assert all(each["$ref"].rpartition("/")[2] in said for each in SCHEMA["commands"][command]["anyOf"])
    for record, listed in re.findall(r"(\w+) \(([\w, ]+)\)", said):
        assert listed.split(", ") == [*SCHEMA["$defs"][record]["properties"]]


def test_a_field_that_the_schema_does_not_name_is_found(filled: Blobcat) -> None:
    record = filled("stat", "top.txt", "--json").record
    validator = Draft202012Validator(CLOSED | {"$ref": "#/commands/stat"})
    assert validator.is_valid(record)
    assert not validator.is_valid(record | {"new": 1})
    assert not validator.is_valid({name: value for name, value in record.items() if name != "size"})
    assert not validator.is_valid(record | {"created": "yesterday"})


@pytest.mark.parametrize("command", sorted(CONTENT))
def test_content_is_written_as_it_is(filled: Blobcat, command: str) -> None:
    argument = {"cat": "top.txt", "completion": "bash"}[command]
    assert filled(command, argument, "--json").stdout == filled(command, argument).stdout


def test_sign_prints_what_its_schema_says(empty: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"t{uuid4().hex[:12]}"
    monkeypatch.setenv("BLOBCAT_URL", f"{azurite.url}/{name}?table={name}")
    valid(empty("init", "--shards", "1", "--json"), "init")
    valid(empty("put", "-", "a", "--json"), "put")
    valid(empty("sign", "a", "--json"), "sign")


def test_rebuild_prints_what_its_schema_says(filled: Blobcat) -> None:
    (volume,) = filled("volumes", "--json").records
    for path in Path("cat").glob("catalog.db*"):
        path.unlink()
    valid(filled("rebuild", volume["name"], "--json"), "rebuild")


def test_reports_of_failures_are_as_their_schemas_say(filled: Blobcat) -> None:
    filled.file("bad\\name", b"x")
    (ingested,) = valid(filled("ingest", "in", "--json"), "ingest", 1)
    Path("to").mkdir()
    Path("to/a.txt").write_text("mine")
    (got,) = valid(filled("get", "-r", "x", "to", "--json"), "get", 1)
    filled.stored("top.txt").write_bytes(b"2")
    (verified,) = valid(filled("verify", "--json"), "verify", 1)
    assert [len(each) for each in (ingested["failed"], got["failed"], verified["findings"])] == [1, 1, 1]


def test_a_delete_that_failed_is_as_its_schema_says(filled: Blobcat) -> None:
    ours, theirs = pty.openpty()
    process = filled.start("rm", "-r", "x", "--json", stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    assert process.stderr
    with process.stderr as err:
        assert err.readline().endswith(b"[y/N]\n")
        filled("put", "-", "x/a.txt", stdin=b"newer")
        os.write(ours, b"y\n")
        assert err.read() == b""
    os.close(ours)
    assert process.stdout
    with process.stdout as out:
        printed = out.read()
    failed = valid(Result(process.wait(), printed, ""), "rm", 1)
    assert [record["path"] for record in failed if "error" in record] == ["x/a.txt"]


@pytest.mark.parametrize("action", get_args(Action))
def test_whatever_recover_settles_is_as_its_schema_says(action: Action) -> None:
    error = UnavailableError("gone", op="submit", key="k") if action == "failed" else None
    item = Recovered("main", "a", "01M7XQF19PM1HFNJACZWJHWGBN", "put", "me@here:1", action, error)
    check(record_of(RecoveryReport((item,))), "#/commands/recover")


def test_an_error_with_all_that_some_have_is_as_its_schema_says() -> None:
    for error in (ConflictError("no", expected="1", found="2"), OutcomeUnknownError("?", token="t"), OSError(2, "no")):
        check({"error": record_of(error)}, "#/$defs/Fault")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["frob"], 2),
        (["ls", "--frob"], 2),
        (["ls", "--url", "nonsense"], 2),
        (["stat", "nope"], 3),
        (["cp", "top.txt", "x/a.txt"], 4),
        (["put", "-", "top.txt", "--if-version", "7"], 4),
        (["put", "nofile", "x"], 3),
        (["ls", "--url", "azurite://127.0.0.1:1:1"], 6),
    ],
)
def test_an_error_is_one_line_as_its_schema_says(filled: Blobcat, arguments: list[str], code: int) -> None:
    failed = filled(*arguments, "--json")
    assert (failed.code, failed.out) == (code, "")
    (line,) = failed.err.splitlines()
    check(json.loads(line), "#/$defs/Fault")
