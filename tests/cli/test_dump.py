"""`blobcat dump` and `blobcat load`."""

import gzip
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.driver import Blobcat
from tests.cli.test_terminal import ESCAPES, on_terminal

OTHER = ("--url", "local:other")


@pytest.fixture
def filled(blobcat: Blobcat) -> Blobcat:
    for name in ("a.txt", "b/c.txt"):
        assert blobcat("put", blobcat.file(name, name.encode()), name).code == 0
    assert blobcat("rm", "b/c.txt").code == 0
    return blobcat


def test_a_dump_goes_out_and_comes_in_elsewhere(filled: Blobcat) -> None:
    assert filled("dump", "d.jsonl").out.startswith("d.jsonl  3 versions of 2 paths  1 volume  sha256 ")
    assert Path("d.jsonl").read_bytes() == filled("dump").stdout == filled("dump", "-").stdout
    loaded = filled("load", "d.jsonl", "--from", f"local:{filled.folder / 'cat'}", *OTHER)
    assert loaded.code == 0
    assert loaded.out.startswith("loaded  3 versions of 2 paths  2 blobs copied (12 B)  in ")
    assert filled("ls", "-r", *OTHER).lines == ["a.txt"]
    assert filled("history", "b/c.txt", "--json", *OTHER).records[0]["kind"] == "delete"
    assert filled("get", "a.txt", "-", *OTHER).stdout == b"a.txt"
    assert filled("verify", *OTHER).out.startswith("all whole  2 checked")


def test_a_packed_dump_is_the_same_bytes_again(filled: Blobcat) -> None:
    assert filled("dump", "a.jsonl.gz").code == filled("dump", "b.jsonl.gz").code == 0
    packed = Path("a.jsonl.gz").read_bytes()
    assert packed == Path("b.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == filled("dump").stdout
    assert filled("load", "a.jsonl.gz", "--allow-missing", *OTHER).code == 0


def test_a_dump_is_read_from_standard_input(filled: Blobcat) -> None:
    dump = filled("dump").stdout
    source = f"local:{filled.folder / 'cat'}"
    assert filled("load", "-", "--from", source, *OTHER, stdin=dump).code == 0
    assert filled("dump", *OTHER).lines[0] == dump.decode().splitlines()[0]
    bad = filled("load", "-", "--url", "local:third", stdin=dump.replace(b"a.txt", b"\xc3.txt"))
    assert (bad.code, "line 2 of the dump" in bad.err) == (8, True), bad.err


def test_where_content_is_missing_it_is_said_what_helps(filled: Blobcat) -> None:
    filled("dump", "d.jsonl")
    ran = filled("load", "d.jsonl", *OTHER)
    assert (ran.code, ran.lines[-1].startswith("nothing loaded")) == (1, True)
    assert ran.err == "  → --from URL copies content; --allow-missing goes without what is missing\n"
    assert filled("init", "-u", "local:empty").code == 0
    ran = filled("load", "d.jsonl", "--from", "local:empty", *OTHER)
    assert (ran.code, ran.err) == (1, "  → --allow-missing goes without what is missing\n")
    assert filled("load", "d.jsonl", "--allow-missing", *OTHER).err == ""


def test_a_source_that_is_no_catalog_is_spoken_of_as_any_other_url(filled: Blobcat) -> None:
    filled("dump", "d.jsonl")
    ran = filled("load", "d.jsonl", "--from", "local:nowhere", *OTHER)
    assert ran.code == 2
    said, hint = ran.err.splitlines()
    assert said == f"blobcat: there is no catalog in {filled.folder}/nowhere yet: it has no container"
    why = "local:nowhere is looked for from the folder where you are"
    assert hint == f"  → --from takes the catalog that the dump was made of; {why}"
    ran = filled("load", "d.jsonl", "--from", "local:d.jsonl", *OTHER)
    assert ran.code == 2
    assert ran.err.splitlines() == [
        "blobcat: d.jsonl is a file, not a folder",
        "  → give another folder: --from local:FOLDER",
    ]
    assert "this is no catalog's url" in filled("load", "d.jsonl", "--from", "nonsense", *OTHER).err


def test_a_file_that_is_there_is_not_replaced_unasked(filled: Blobcat) -> None:
    Path("d").write_text("mine")
    refused = filled("dump", "d")
    assert (refused.code, Path("d").read_text()) == (4, "mine")
    assert "--overwrite replaces it" in refused.err
    assert filled("dump", "d", "--overwrite").code == 0
    assert Path("d").read_bytes() == filled("dump").stdout
    assert filled("dump", "no/such/folder").code == 3
    assert [path.name for path in Path().iterdir() if path.suffix == ".part"] == []


def test_content_that_is_missing_is_named(filled: Blobcat) -> None:
    filled("dump", "d")
    failed = filled("load", "d", *OTHER)
    assert failed.code == 1
    assert [line[:36] for line in failed.lines] == [
        "missing  content of 'a.txt' version ",
        "missing  content of 'b/c.txt' versio",
        "nothing loaded  3 versions of 2 path",
    ]
    report = filled("load", "d", "--json", *OTHER)
    assert (report.code, report.record["missing"], report.record["volumes"]) == (1, 2, [])
    assert filled("volumes", *OTHER).lines == []
    assert filled("load", "d", "--allow-missing", *OTHER).code == 0
    assert filled("stat", "a.txt", *OTHER).code == 0


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", 2, "is no dump of blobcat"),
        (b"frob\n", 2, "is no dump of blobcat"),
        (None, 8, "was cut: it ends with line 3, and that is not the last one of a dump"),
    ],
)
def test_what_is_no_dump_is_one_line_and_a_hint(filled: Blobcat, data: bytes | None, code: int, says: str) -> None:
    whole = filled("dump").stdout.splitlines(keepends=True)
    Path("d").write_bytes(b"".join(whole[:3]) if data is None else data)
    failed = filled("load", "d", *OTHER)
    assert (failed.code, failed.out) == (code, "")
    assert says in failed.err.splitlines()[0]
    assert not Path("other").exists()
    assert filled("load", "d", "--json", *OTHER).error["op"] == "load"


def test_what_is_in_the_way_is_said(filled: Blobcat) -> None:
    filled("dump", "d")
    failed = filled("load", "d")
    said, hint = failed.err.splitlines()
    assert failed.code == 4
    assert "volume 'main' is there already" in said
    assert hint == "  → load it into another catalog, or only what is not there: --volume NAME"
    assert filled("load", "nofile").code == 3


def test_one_volume_is_chosen(filled: Blobcat) -> None:
    filled("init", "more")
    assert len(filled("dump").lines) == 5
    assert len(filled("dump", "--volume", "more").lines) == 2
    filled("dump", "d")
    assert filled("load", "d", "--volume", "more", *OTHER).code == 0
    assert [record["name"] for record in filled("volumes", "--json", *OTHER).records] == ["more"]
    assert filled("dump", "--volume", "none").code == 3
    assert "it holds main, more" in filled("load", "d", "--volume", "none", *OTHER).err


def test_a_terminal_sees_a_summary(filled: Blobcat) -> None:
    code, shown = on_terminal(filled, "dump", "d", columns=120)
    assert (code, ESCAPES.sub("", shown).splitlines()[-1][:8]) == (0, "d  3 ver")
    code, shown = on_terminal(filled, "load", "d", "--allow-missing", *OTHER, columns=200)
    assert (code, ESCAPES.sub("", shown).splitlines()[-1][:6]) == (0, "loaded")


def test_killed_again_and_again_a_load_comes_to_its_end(filled: Blobcat) -> None:
    for number in range(150):
        filled.file(f"many/{number}", b"x" * 100)
    filled("ingest", "in")
    filled("dump", "d")
    arguments = ("load", "d", "--from", f"local:{filled.folder / 'cat'}", *OTHER)
    copied = Path("other/content/files")
    process = filled.start(*arguments, stdout=subprocess.DEVNULL)
    while not any(copied.rglob("*~*")) and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert filled("load", "d", "--from", f"local:{filled.folder / 'cat'}", *OTHER).code == 0
    assert filled("verify", *OTHER).out.startswith("all whole")
    ours, theirs = (filled("ls", "-r", *url).lines for url in ((), OTHER))
    assert ours == theirs
