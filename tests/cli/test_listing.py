"""`ls`, `stat`, `history` and `query`."""

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
        (["meta.owner=ops"], ["2026/a.csv"]),
        (["meta.owner!=ops"], ["2026/deep/b.csv"]),
        (["meta.rows=7"], ["2026/a.csv"]),
        (["meta.rows='7'"], []),
        (["meta.code=007"], []),
        (['meta.code="007"'], ["2026/deep/b.csv"]),
        (["meta.owner=ops", "size>1MB"], []),
        (["version=2"], ["top.txt"]),
        (["content_type=text/csv", "path<2026/b"], ["2026/a.csv"]),
        (["created>2020-01-01"], ["2026/a.csv", "2026/deep/b.csv", "top.txt"]),
        (["created<2020-01-01T10:00:00Z"], []),
        (["created>2020-01-01T10:00"], ["2026/a.csv", "2026/deep/b.csv", "top.txt"]),
        (["meta.owner=x' or PartitionKey eq 'y"], []),
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
        ("size", "--where takes FIELD"),
        ("colour=red", "there is no field 'colour'"),
        ("size>big", "--where size: 'big' is no number"),
        ("size>1XB", "--where size: '1XB' is no number"),
        ("size>'1'", "--where size"),
        ("version=1.5", "version is compared with a whole number"),
        ("version=inf", "version is compared with a whole number"),
        ("created>soon", "--where created: 'soon' is no time"),
        ("meta.no-name=1", "a metadata key is an identifier"),
        ("meta.=1", "a metadata key is an identifier"),
        ("meta.done>true", "a truth value can be compared with == and != only"),
        ("size>99999999999999999999", "does not fit into 64 bits"),
        ("=5", "--where takes FIELD"),
    ],
)
def test_a_bad_condition_is_refused_by_name(blobcat: Blobcat, condition: str, said: str) -> None:
    refused = blobcat("query", "--where", condition)
    assert refused.code == 2
    assert refused.err.startswith("blobcat: ")
    assert said in refused.err.splitlines()[0]
    assert len(refused.err.splitlines()) <= 2
    assert blobcat("query", "--where", condition, "--json").error["message"] in refused.err
