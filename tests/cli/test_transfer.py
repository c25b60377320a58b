"""cp, mv and restore on the command line."""

from tests.cli.driver import Blobcat


def test_cp_mv_and_restore_move_no_bytes_and_overwrite_nothing_unasked(blobcat: Blobcat) -> None:
    (blobcat.folder / "n.txt").write_text("one\n")
    assert blobcat("put", "n.txt", "a").code == 0
    assert blobcat("cp", "a", "b").out == "a → b  version 1\n"
    clash = blobcat("mv", "a", "b")
    assert (clash.code, clash.out) == (4, "")
    assert clash.err.startswith("blobcat: move 'b': expected no file, found version 1\n")
    assert blobcat("mv", "a", "b", "--if-version", "1").out == "a → b  version 2\n"
    assert blobcat("ls").out == "b\n"
    gone = blobcat("cp", "a", "c")
    assert (gone.code, gone.err.splitlines()[0]) == (3, "blobcat: there is no file 'a' to copy")
    assert blobcat("restore", "a", "--version", "1").out == "a@1 → a  version 3\n"
    assert blobcat("mv", "a", "b", "--force").out == "a → b  version 3\n"
    record = blobcat("stat", "b", "--json").record
    assert (record["kind"], record["source"]) == ("move", "a@3")


def test_a_file_onto_itself_is_one_clear_line(blobcat: Blobcat) -> None:
    same = blobcat("mv", "a", "a")
    assert (same.code, same.err.splitlines()[0]) == (2, "blobcat: move 'a': source and target are the same")
