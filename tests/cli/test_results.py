"""`query`, `count` and `sql`: their rows as tables, JSON, CSV and Parquet, on stdout and in files."""

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from catalog.cli.results import plain
from tests.cli.driver import NOTED, PROGRAM, Blobcat
from tests.cli.test_terminal import ESCAPES, on_terminal

HOSTILE = 'a "quoted", a\ncomma,\r and\t=1+1 é'


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    blobcat("put", "-", "2026/a.csv", "--meta", "owner=ops", "--meta", "n:int=7", stdin=b"x" * 1500)
    blobcat("put", "-", "2026/b.csv", "--meta", "owner=lab", "--meta", "n:int=10", stdin=b"y" * 2000)
    blobcat("put", "-", "top.txt", "--meta", f"owner={HOSTILE}", "--meta", "ok:bool=true", stdin=b"1")
    return blobcat


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


# --- query -----------------------------------------------------------------------------------------------------------


def test_columns_are_aligned_and_without_a_heading_where_no_terminal_is(filled: Blobcat) -> None:
    assert filled("query", "2026/", "--columns", "meta.owner, size,meta.no,path").lines == [
        "ops         1.5 kB        -  2026/a.csv",
        "lab         2.0 kB        -  2026/b.csv",
    ]


def test_a_terminal_gets_a_heading_and_a_count(filled: Blobcat) -> None:
    code, shown = on_terminal(filled, "query", "2026/", "--columns", "meta.n,meta.owner,path", columns=100)
    assert code == 0
    assert ESCAPES.sub("", shown).splitlines() == [
        "META.N  META.OWNER  PATH",
        "     7  ops         2026/a.csv",
        "    10  lab         2026/b.csv",
        "2 rows",
    ]


def test_what_would_move_a_cursor_is_shown_escaped(filled: Blobcat) -> None:
    (line,) = filled("query", "top", "--columns", "meta.owner").out.splitlines()
    assert line == 'a "quoted", a\\ncomma,\\r and\\t=1+1 é'


def test_every_field_can_be_shown(filled: Blobcat) -> None:
    (line,) = filled("query", "2026/a", "-c", "digest,created,modified,metadata,version,kind").lines
    assert line.split("  ")[0] == "67ba149e8141"
    assert "owner=ops  n=7" in line


def test_csv_reads_back_as_it_was(filled: Blobcat) -> None:
    found = filled("query", "--format", "csv", "--columns", "path,size,meta.owner,meta.n,meta.ok")
    assert found.code == 0
    assert rows_of(found.stdout.decode()) == [
        ["path", "size", "meta.owner", "meta.n", "meta.ok"],
        ["2026/a.csv", "1500", "ops", "7", ""],
        ["2026/b.csv", "2000", "lab", "10", ""],
        ["top.txt", "1", HOSTILE, "", "true"],
    ]


def test_csv_has_every_field_where_none_is_named(filled: Blobcat) -> None:
    heading, first, *_ = rows_of(filled("query", "--format", "csv").stdout.decode())
    record, *_ = filled("query", "--json").records
    row = dict(zip(heading, first, strict=True))
    assert row["metadata"] == '{"owner": "ops", "n": 7}'
    assert row["created"] == record["created"]
    assert {name: row[name] for name in ("path", "kind", "etag", "digest")} == {
        name: record[name] for name in ("path", "kind", "etag", "digest")
    }


def test_json_has_what_is_asked_for(filled: Blobcat) -> None:
    words = ["query", "2026/", "--columns", "path,meta.n,meta.no"]
    records = [
        {"path": "2026/a.csv", "meta.n": 7, "meta.no": None},
        {"path": "2026/b.csv", "meta.n": 10, "meta.no": None},
    ]
    assert filled(*words, "--json").records == filled(*words, "--format", "json").records == records
    assert filled("query", "--format", "json").records == filled("query", "--json").records


@pytest.mark.parametrize("name", ["files.csv", "files.jsonl", "files.json"])
def test_a_file_holds_what_stdout_would(filled: Blobcat, name: str) -> None:
    form = "csv" if name.endswith("csv") else "json"
    told = filled("query", "--output", name)
    assert (told.code, told.lines) == (0, [f"{name}  3 rows  {form}"])
    assert Path(name).read_bytes() == filled("query", "--format", form).stdout
    assert filled("query", "-o", "other", "--format", form, "--json").record == {
        "target": "other", "format": form, "rows": 3
    }  # fmt: skip


def test_parquet_reads_back_as_it_was(filled: Blobcat) -> None:
    assert filled("query", "--columns", "path,size,meta.n", "--type", "n:float", "-o", "f.parquet").code == 0
    table = pyarrow.parquet.read_table("f.parquet")
    assert table.to_pydict() == {
        "path": ["2026/a.csv", "2026/b.csv", "top.txt"],
        "size": [1500, 2000, 1],
        "meta_n": [7.0, 10.0, None],
    }
    assert filled("query", "--where", "size>1GB", "-o", "none.parquet").lines == ["none.parquet  0 rows  parquet"]
    assert pyarrow.parquet.read_table("none.parquet").num_rows == 0


def test_a_file_that_is_there_stays(filled: Blobcat) -> None:
    Path("f.csv").write_text("mine")
    refused = filled("query", "-o", "f.csv")
    assert (refused.code, Path("f.csv").read_text()) == (4, "mine")
    assert "--overwrite replaces it" in refused.err
    assert filled("query", "-o", "f.csv", "--overwrite").code == 0
    assert len(rows_of(Path("f.csv").read_text())) == 4


@pytest.mark.parametrize("name", ["f.csv", "f.parquet"])
def test_after_an_error_there_is_no_file(filled: Blobcat, name: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    assert filled("query", "-o", name, "--columns", "path,nope").code == 2
    assert filled("query", "-v", "nope", "-o", name).code == 3
    if name == "f.parquet":
        wrong = filled("query", "-o", name, "-c", "meta.owner", "--type", "owner:int")
        assert wrong.code == 2
        assert "meta.owner of file '2026/a.csv' is text" in wrong.err
    assert filled("query", "-o", f"no/{name}").code == 3
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_that_is_full_leaves_no_file(filled: Blobcat) -> None:
    """A limit on the size of files is as good as a full disk."""
    for name in "abcde":
        assert filled("put", "-", name, "--meta", f"long={'x' * 30_000}").code == 0
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); {PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program, "query", "-o", "f.csv"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stderr
    assert "cannot write f.csv" in done.stderr
    assert not Path("f.csv").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "xml"], "--format is one of table, json, csv, parquet"),
        (["--format", "parquet"], "it goes into a file"),
        (["--json", "--format", "csv"], "exclude each other"),
        (["-o", "file"], "in which format is file to be written?"),
        (["-o", "f.csv", "--format", "table"], "in which format is f.csv to be written?"),
        (["--overwrite"], "--overwrite goes with --output"),
        (["--columns", "path,,size"], "there is no field ''"),
        (["--columns", "path,path"], "path is named twice"),
        (["--columns", "Path"], "there is no field 'Path'"),
        (["--type", "n:float"], "--type is for parquet"),
        (["--type", "n", "-o", "f.parquet"], "--type is KEY:TYPE"),
        (["--type", "n:money", "-o", "f.parquet"], "--type is KEY:TYPE"),
        (["--type", "n:int", "-c", "path", "-o", "f.parquet"], "meta.n, which is not among the columns"),
    ],
)
def test_what_cannot_be_is_refused(filled: Blobcat, words: list[str], said: str) -> None:
    refused = filled("query", *words)
    assert refused.code == 2
    assert said in refused.err
    assert refused.out == ""


def test_a_reader_who_has_enough_is_no_error(filled: Blobcat) -> None:
    for _ in range(3):
        process = filled.start("query", "--format", "csv", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        with process.stderr as err:
            assert err.read() == b""
        assert process.wait() == 0


# --- count -----------------------------------------------------------------------------------------------------------


def test_count_by_nothing_is_one_line(filled: Blobcat) -> None:
    assert filled("count").lines == ["3 files  3.5 kB"]
    assert filled("count", "2026/", "--where", "size>1600").lines == ["1 file  2.0 kB"]
    assert filled("count", "no/").lines == ["0 files  0 B"]
    assert filled("count", "--json").record == {"files": 3, "bytes": 3501, "by": [], "groups": []}


def test_count_by_values_shows_those_without_too(filled: Blobcat) -> None:
    filled("put", "-", "z", stdin=b"")
    filled("put", "-", "y", "--meta", "owner=ops", stdin=b"12")
    assert filled("count", "--by", "meta.owner", "-w", "path != 'top.txt'").lines == [
        "    2  1.5 kB  ops",
        "    1  2.0 kB  lab",
        "    1     0 B  (none)",
    ]
    by_bytes = filled("count", "--by", "meta.owner", "--sort", "bytes", "-w", "path != 'top.txt'").lines
    assert [line.split()[-1] for line in by_bytes] == ["lab", "ops", "(none)"]
    by_value = filled("count", "--by", "meta.n,content_type", "--sort", "value", "-w", "path != 'top.txt'").lines
    assert [line.split()[-2:] for line in by_value] == [
        ["7", "text/csv"],
        ["10", "text/csv"],
        ["(none)", "application/octet-stream"],
    ]


def test_count_as_json(filled: Blobcat) -> None:
    assert filled("count", "2026/", "--by", "meta.owner", "--sort", "value", "--json").record == {
        "files": 2,
        "bytes": 3500,
        "by": ["meta.owner"],
        "groups": [
            {"values": ["lab"], "files": 1, "bytes": 2000},
            {"values": ["ops"], "files": 1, "bytes": 1500},
        ],
    }


def test_count_on_a_terminal(filled: Blobcat) -> None:
    code, shown = on_terminal(filled, "count", "2026/", "--by", "meta.owner")
    assert code == 0
    assert ESCAPES.sub("", shown).splitlines() == [
        "FILES   BYTES  META.OWNER",
        "    1  2.0 kB  lab",
        "    1  1.5 kB  ops",
        "2 values, 2 files, 3.5 kB",
    ]


@pytest.mark.parametrize("words", [["--by", "nope"], ["--by", ""], ["--by", "metadata"], ["--sort", "size"]])
def test_a_count_that_cannot_be_is_refused(filled: Blobcat, words: list[str]) -> None:
    assert filled("count", *words).code == 2


# --- sql -------------------------------------------------------------------------------------------------------------

SUMS = "select content_type, count(*) as files, sum(size) as bytes from files group by 1 order by 1"


def test_sql_as_a_table_json_and_csv(filled: Blobcat) -> None:
    assert filled("sql", SUMS).lines == ["text/csv          2   3500", "text/plain        1      1"]
    assert filled("sql", SUMS, "--json").records == [
        {"content_type": "text/csv", "files": 2, "bytes": 3500},
        {"content_type": "text/plain", "files": 1, "bytes": 1},
    ]
    assert rows_of(filled("sql", SUMS, "top", "--format", "csv").stdout.decode()) == [
        ["content_type", "files", "bytes"],
        ["text/plain", "1", "1"],
    ]
    assert filled("sql", "select count(*) as n from files", "-w", "meta.owner = 'ops'").lines == ["1"]


def test_sql_into_files(filled: Blobcat) -> None:
    statement = "select path, meta_n from files order by meta_n desc nulls last"
    assert filled("sql", statement, "-o", "f.parquet", "--type", "n:float").lines == ["f.parquet  3 rows  parquet"]
    table = pyarrow.parquet.read_table("f.parquet")
    assert table["meta_n"].to_pylist() == [10.0, 7.0, None]
    assert filled("sql", "from files where false", "-o", "none.parquet", "--json").record["rows"] == 0
    assert pyarrow.parquet.read_table("none.parquet").column_names[0] == "path"


def test_two_columns_of_one_name_are_told_apart(filled: Blobcat) -> None:
    (row,) = filled("sql", "select size, size from files where path = 'top.txt'", "--json").records
    assert row == {"size": 1, "size_1": 1}


VALUES: dict[str, Any] = {
    "1::decimal(5, 2)": "1.00",
    "'a'::blob": "61",
    "[1, 2]": [1, 2],
    "{'a': 1, 'b': [true]}": {"a": 1, "b": [True]},
    "map {'k': 1}": {"k": 1},
    "map {}": {},
    "map {1: map {}, 2: null}": {"1": {}, "2": None},
    "[map {}, map {'k': 1}]": [{}, {"k": 1}],
    "array_value(map {}, map {'k': 1})": [{}, {"k": 1}],
    "{'a': map {}}": {"a": {}},
    "[]": [],
    "date '2026-11-20'": "2026-11-20",
    "timestamptz '2026-11-20 10:00:00+00'": "2026-11-20T10:00:00Z",
    "null": None,
    "0.5::double": 0.5,
    "uuid '5e7d2b4e-7c14-4c3b-9d55-111111111111'": "5e7d2b4e-7c14-4c3b-9d55-111111111111",
    "170141183460469231731687303715884105727::hugeint": "170141183460469231731687303715884105727",
}


@pytest.mark.parametrize("sql", VALUES)
def test_whatever_sql_gives_can_be_shown(filled: Blobcat, sql: str) -> None:
    assert filled("sql", f"select {sql} as x", "--json").record == {"x": VALUES[sql]}
    for form in ("table", "csv"):
        assert filled("sql", f"select {sql} as x", "--format", form).code == 0


def test_metadata_of_a_file_that_has_none_are_an_empty_mapping_in_sql(filled: Blobcat) -> None:
    filled("put", "-", "bare.txt")
    statement = "select metadata from files where path = 'bare.txt'"
    assert filled("sql", statement, "--json").record == {"metadata": {}}
    assert rows_of(filled("sql", statement, "--format", "csv").out) == [["metadata"], ["{}"]]
    assert filled("sql", statement).lines == ["{}"]


def test_sql_that_is_wrong_is_one_line(filled: Blobcat) -> None:
    refused = filled("sql", "select nope from files")
    assert refused.code == 2
    assert refused.err == 'blobcat: sql: Referenced column "nope" not found in FROM clause! (line 1, column 8)\n'
    assert filled("sql", "select nope from files", "--json").error["kind"] == "invalid.sql"
    assert filled("sql", "select 1; select 2").code == 2
    too_large = filled("sql", "from range(90000000) a, range(100) order by all", "--memory", "64")
    assert (too_large.code, "--memory" in too_large.err) == (2, True)


def test_a_process_that_has_asked_in_sql_ends_in_silence(filled: Blobcat) -> None:
    """Also after an error: a library may have something to say at the end."""
    for statement, code in (("select count(*) from files", 0), ("select nope from files", 2)):
        process = filled.start("sql", statement, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = process.communicate()
        assert process.returncode == code
        assert len(err.splitlines()) == (1 if code else 0), err


HIDDEN = "import sys; sys.modules.update(pyarrow=None, duckdb=None); "


@pytest.mark.parametrize("words", [["query", "-o", "f.parquet"], ["sql", "from files"]], ids=["query", "sql"])
def test_what_is_not_installed_is_said(filled: Blobcat, words: list[str]) -> None:
    program = [sys.executable, "-c", HIDDEN + NOTED]
    done = subprocess.run([*program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'blobcat[arrow]'" in done.stderr
    assert not Path("f.parquet").exists()
    assert subprocess.run([*program, "query", "--format", "csv"], capture_output=True, check=False).returncode == 0


def test_values_are_plain_whatever_they_are() -> None:
    given: dict[str, Any] = {"list": [], "tuples": [("a", b"\x01")], "nested": ({"x": None},)}
    assert plain(given) == {"list": [], "tuples": [["a", "01"]], "nested": [{"x": None}]}
