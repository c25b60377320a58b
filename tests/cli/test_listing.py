"""`ls`, `stat`, `history` and `query`."""

import json

import pytest

from tests.cli.driver import Blobcat

HOSTILE = [
    "[red]x/[bold]y[/bold].txt",
    ":smile: {x} \\[a".replace("\\", ""),
    "-rf",
    "$(id)",
    "日本語/ש.txt",
    "a 'b' \"c\"",
    "*",
]


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    blobcat("put", "-", "2026/a.csv", "--meta", "owner=ops", "--meta", "rows:int=7", stdin=b"x" * 1500)
    blobcat("put", "-", "2026/deep/b.csv", "--meta", "owner=dev", "--meta", "code=007", stdin=b"y" * 2000)
    blobcat("put", "-", "top.txt", stdin=b"1")
    blobcat("put", "-", "top.txt", stdin=b"22")
    blobcat("put", "-", "gone.txt", stdin=b"3")
    blobcat("rm", "gone.txt")
    return blobcat


def test_ls_shows_folders_and_files(filled: Blobcat) -> None:
    assert filled("ls").lines == ["2026/", "top.txt"]
    assert filled("ls", "2026/").lines == ["2026/a.csv", "2026/deep/"]
    assert filled("ls", "20").lines == ["2026/"]
    assert filled("ls", "nothing/").lines == []


def test_ls_recursive_and_deleted(filled: Blobcat) -> None:
    assert filled("ls", "-r").lines == ["2026/a.csv", "2026/deep/b.csv", "top.txt"]
    assert filled("ls", "--deleted").lines == ["2026/", "gone.txt", "top.txt"]


def test_ls_long_is_aligned_and_whole_where_no_terminal_is(filled: Blobcat) -> None:
    long = "very/" * 40 + "long.txt"
    filled("put", "-", long)
    lines = filled("ls", "-rl", "--deleted").lines
    assert [line.split()[-1] for line in lines if "owner" not in line] == ["gone.txt", "top.txt", long]
    assert "1.5 kB" in lines[0]
    assert lines[0].endswith("2026/a.csv  owner=ops  rows=7")
    assert "deleted" in next(line for line in lines if "gone.txt" in line)
    assert {line.index(path) for line in lines for path in ("2026/", "top.txt", "gone.txt") if path in line} == {48}


def test_ls_json_shows_versions_and_folders(filled: Blobcat) -> None:
    folder, file = filled("ls", "--json").records
    assert folder == {"path": "2026/", "kind": "folder"}
    assert (file["path"], file["version"], file["kind"]) == ("top.txt", 2, "put")


@pytest.mark.parametrize("path", HOSTILE)
def test_paths_are_shown_as_they_are(blobcat: Blobcat, path: str) -> None:
    assert blobcat("put", "-", "--", path).code == 0
    assert blobcat("ls", "-r").lines == [path]
    assert path in blobcat("stat", "--", path).out
    assert blobcat("ls", "-r", "--json").record["path"] == path
    assert blobcat("get", "--", path, "target").code == 0


def test_stat_shows_all_that_is_known(filled: Blobcat) -> None:
    details = dict(line.split(maxsplit=1) for line in filled("stat", "2026/a.csv").lines)
    assert details["size"] == "1,500 bytes  1.5 kB"
    assert details["version"] == "1  put"
    assert details["type"] == "text/csv"
    assert details["meta.owner"] == "ops"
    assert details["digest"].startswith("sha256:")
    assert filled("stat", "top.txt", "--version", "1", "--json").record["size"] == 1
    assert filled("stat", "top.txt", "--version", "9").code == 3
    assert filled("stat", "gone.txt").code == 3
    assert dict(line.split(maxsplit=1) for line in filled("stat", "gone.txt", "--version", "2").lines)["digest"] == "-"


def test_history_is_newest_first_with_deletes(filled: Blobcat) -> None:
    assert [line.split()[:2] for line in filled("history", "gone.txt").lines] == [["2", "delete"], ["1", "put"]]
    assert [record["version"] for record in filled("history", "top.txt", "--json").records] == [2, 1]
    assert filled("history", "never").code == 3


@pytest.mark.parametrize(
    ("conditions", "paths"),
    [
        ([], ["2026/a.csv", "2026/deep/b.csv", "top.txt"]),
        (["size>1.5kB"], ["2026/deep/b.csv"]),
        (["size >= 1500"], ["2026/a.csv", "2026/deep/b.csv"]),
        (["size<1KiB"], ["top.txt"]),
        (["size=2e3"], ["2026/deep/b.csv"]),
        (["meta.owner='ops'"], ["2026/a.csv"]),
        (["meta.owner!='ops'"], ["2026/deep/b.csv"]),
        (["meta.rows=7"], ["2026/a.csv"]),
        (["meta.rows='7'"], []),
        (['meta.code="007"'], ["2026/deep/b.csv"]),
        (["meta.owner='ops'", "size>1MB"], []),
        (["version=2 or meta.owner='ops'", "size<1MB or size>1GB"], ["2026/a.csv", "top.txt"]),
        (["not meta.owner exists"], ["top.txt"]),
        (["path ~ '**/*.csv' and not path startswith '2026/deep/'"], ["2026/a.csv"]),
        (["version=2"], ["top.txt"]),
        (["content_type='text/csv'", "path<'2026/b'"], ["2026/a.csv"]),
        (["created>2020-01-01"], ["2026/a.csv", "2026/deep/b.csv", "top.txt"]),
        (["created<2020-01-01T10:00:00Z"], []),
        (["created>2020-01-01T10:00"], ["2026/a.csv", "2026/deep/b.csv", "top.txt"]),
        (["meta.owner='x'' or PartitionKey eq ''y'"], []),
    ],
)
def test_query_finds_what_satisfies_all_conditions(filled: Blobcat, conditions: list[str], paths: list[str]) -> None:
    words = [word for condition in conditions for word in ("--where", condition)]
    found = filled("query", *words)
    assert (found.code, found.lines) == (0, paths), found.err
    assert [record["path"] for record in filled("query", *words, "--json").records] == paths


def test_query_has_a_prefix_and_a_limit(filled: Blobcat) -> None:
    assert filled("query", "2026/", "-w", "size>0", "--limit", "1").lines == ["2026/a.csv"]
    assert filled("query", "--limit", "0").lines == []
    assert filled("query", "2026/", "-l").lines[0].endswith("owner=ops  rows=7")


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("size", "expected one of = != < <= > >= ~ startswith contains in between exists, found the end, in column 5:"),
        ("size > 1 and colour='red'", "there is no field 'colour': use meta.KEY or one of"),
        ("meta.owner=ops", "ops is no number, time, true or false: put text in quotes, 'ops', in column 12:"),
        ("size>1XB", "1XB is no number"),
        ("created>2026-13-01", "2026-13-01 is no time"),
        ("size>'1'", "size is compared with a whole number, not with '1': leave out the quotes"),
        ("path = '[bold]", "this quote is never closed"),
    ],
)
def test_a_bad_condition_is_refused_and_pointed_at(blobcat: Blobcat, condition: str, said: str) -> None:
    refused = blobcat("query", "--where", condition)
    assert refused.code == 2
    first, line, caret = refused.err.splitlines()
    assert first.startswith("blobcat: ")
    assert said in first
    assert line == f"    {condition}"
    assert caret.strip() == "^"
    error = blobcat("query", "--where", condition, "--json").error
    assert error["kind"] == "invalid.expression"
    assert error["message"] in refused.err


def test_as_of_shows_what_there_was(filled: Blobcat) -> None:
    first = filled("history", "top.txt", "--json").records[-1]["created"]
    assert filled("ls", "-r", "--as-of", first).lines == ["2026/a.csv", "2026/deep/b.csv", "top.txt"]
    assert filled("ls", "--glob", "*.txt", "--as-of", first).lines == ["top.txt"]
    assert filled("cat", "top.txt", "--as-of", first).stdout == b"1"
    assert filled("get", "top.txt", "-", "--as-of", first).stdout == b"1"
    assert filled("stat", "top.txt", "--as-of", first, "--json").record["version"] == 1
    assert filled("du", "--as-of", first, "--json").records[-1]["files"] == 3
    assert filled("tree", "--as-of", first, "--json").records[-1]["version"] == 1
    assert filled("ls", "--as-of", "2020-01-01").lines == []
    assert filled("cat", "top.txt", "--version", "1", "--as-of", first).code != 0
    assert "is no time" in filled("ls", "--as-of", "yesterday").err
    assert "still to come" in filled("ls", "--as-of", "2100-01-01").err


def test_changes_are_shown_once_from_cursor_to_cursor(blobcat: Blobcat) -> None:
    there = ["-v", "logged"]
    assert blobcat("init", "logged", "--change-log").code == 0
    blobcat("put", *there, "-", "a.txt", stdin=b"1")
    blobcat("rm", *there, "a.txt")
    shown = blobcat("changes", *there)
    assert [line.split()[:2] for line in shown.lines] == [["1", "put"], ["2", "delete"]]
    *files, end = blobcat("changes", *there, "--json").records
    assert [file["path"] for file in files] == ["a.txt", "a.txt"]
    assert blobcat("changes", *there, "--since", shown.err.strip()).lines == []
    blobcat("put", *there, "-", "b.txt", stdin=b"1")
    assert len(blobcat("changes", *there, "--since", end["cursor"]).lines) == 1
    assert "no cursor" in blobcat("changes", *there, "--since", "x").err


def test_changes_without_a_log_say_what_to_do(filled: Blobcat) -> None:
    assert "has no change log" in filled("changes").err


def test_a_limited_query_goes_on_with_its_token(filled: Blobcat) -> None:
    every = filled("query").lines
    first = filled("query", "--limit", "1", "--json").records
    assert [each.get("path") for each in first] == [every[0], None]
    assert [each["path"] for each in filled("query", "--json", "--after", first[1]["after"]).records] == every[1:]
    shown = filled("query", "--limit", "1")
    assert shown.lines == every[:1]
    assert f"there is more: --after {first[1]['after']}" in shown.err
    assert "there is more" not in filled("query", "--limit", str(len(every))).err
    wrong = filled("query", "-w", "size > 1", "--after", first[1]["after"])
    assert (wrong.code, "of another query" in wrong.err) == (filled("query", "--after", "x").code, True)


def test_a_query_in_the_order_of_an_index(filled: Blobcat) -> None:
    refused = filled("query", "--order-by", "size:desc")
    assert refused.code != 0
    assert refused.err.splitlines() == [
        "blobcat: volume 'main' has no index in order of size:desc",
        "  → blobcat index size:desc makes it",
    ]
    filled("index", "size:desc")
    sizes = [each["size"] for each in filled("query", "--order-by", "size:desc", "--json").records]
    assert sizes == sorted(sizes, reverse=True)


def test_a_query_is_explained(filled: Blobcat) -> None:
    lines = filled("query", "-w", "path = '2026/a.csv'", "--explain").lines
    assert lines[1] == "read from     1 row, by path"
    assert lines[-1].split()[:4] == ["actual", "1", "1", "1"]
    estimated = filled("query", "--estimate", "--json").record
    assert (estimated["access"], estimated["actual"], estimated["files"]) == ("scan", None, None)
    assert estimated["sent"].startswith("partition = '")


def test_a_query_is_run_to_be_explained_or_it_is_not(filled: Blobcat) -> None:
    refused = filled("query", "--explain", "--estimate")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("blobcat: --explain runs the query, and --estimate does not\n")


def test_columns_may_be_named_one_by_one(filled: Blobcat) -> None:
    apart = filled("query", "--columns", "path", "-c", "size,version", "--json").records
    assert apart == filled("query", "--columns", "path,size,version", "--json").records
    assert list(apart[0]) == ["path", "size", "version"]


def test_a_token_is_told_beside_a_file_and_never_in_it(filled: Blobcat) -> None:
    ran = filled("query", "--limit", "1", "--output", str(filled.folder / "one.json"))
    assert "there is more: --after" in ran.err
    written = (filled.folder / "one.json").read_text("utf-8").splitlines()
    assert [json.loads(line)["path"] for line in written] == ["2026/a.csv"]


def test_finding_of_a_moment(filled: Blobcat) -> None:
    """Before anything was written there is nothing, whoever asks."""
    then = ("--as-of", "2020-01-01")
    assert filled("query", *then).lines == []
    assert filled("count", *then).lines == ["0 files  0 B"]
    assert filled("sql", "select path from files", *then).lines == []
    wrong = filled("count", "--as-of", "yesterday")
    assert (wrong.code, "'yesterday' is no time" in wrong.err) == (2, True)
