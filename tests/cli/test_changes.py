"""`blobcat changes`: from cursor to cursor, in a file that keeps it."""

import os

import pytest

from tests.cli.driver import Blobcat


def test_a_cursor_is_kept_in_a_file(blobcat: Blobcat) -> None:
    kept = blobcat.folder / "seen"
    assert blobcat("changes", "--on", "--cursor", str(kept)).lines == []
    assert kept.read_text("utf-8").startswith("blobcat-changes")
    for name in ("a", "b"):
        blobcat("put", "-", name, stdin=b"1")
    assert len(blobcat("changes", "--cursor", str(kept)).lines) == 2
    assert blobcat("changes", "--cursor", str(kept)).lines == []
    blobcat("rm", "a")
    assert [each["kind"] for each in blobcat("changes", "--cursor", str(kept), "--json").records] == ["delete"]


def test_what_fails_leaves_the_cursor_as_it_was(blobcat: Blobcat) -> None:
    """An error comes on stderr, and never where the place is kept."""
    kept = blobcat.folder / "seen"
    blobcat("changes", "--on", "--cursor", str(kept))
    before = kept.read_text("utf-8")
    blobcat("changes", "--off")
    failed = blobcat("changes", "--cursor", str(kept))
    assert (failed.code, "has no change log" in failed.err) == (2, True)
    assert "blobcat changes --on" in failed.err
    assert kept.read_text("utf-8") == before


def test_mistakes_are_told_in_a_line(blobcat: Blobcat) -> None:
    (blobcat.folder / "bad").write_bytes(b"\xff")
    (blobcat.folder / "itself").symlink_to("itself")
    for arguments, said in (
        (["--on", "--off"], "--on and --off at once"),
        (["--since", "x", "--cursor", "y"], "--since and --cursor at once"),
        (["--cursor", str(blobcat.folder / "bad")], "holds no cursor"),
        (["--cursor", str(blobcat.folder / "itself")], f"cannot read {blobcat.folder}/itself: "),
    ):
        wrong = blobcat("changes", *arguments)
        assert (wrong.code, said in wrong.err) == (2, True), wrong.err


@pytest.mark.parametrize(
    ("place", "said", "code"),
    [
        ("nowhere/seen", "there is no such folder", 3),
        ("in", "a folder is there", 2),
        (".", "a folder is there", 2),
        ("closed/seen", "no permission", 5),
    ],
)
def test_where_no_cursor_can_be_kept_nothing_is_done_or_shown(
    blobcat: Blobcat, place: str, said: str, code: int
) -> None:
    """Else it would be shown again: whoever acts on each change once relies on the file."""
    blobcat("changes", "--on")
    blobcat("put", blobcat.file("a"), "a")
    blobcat("changes", "--off")
    (blobcat.folder / "closed").mkdir(mode=0o500)
    if place.startswith("closed") and os.geteuid() == 0:
        place = "/sys/seen"  # root may write everywhere else
    refused = blobcat("changes", "--on", "--cursor", place)
    assert (refused.code, refused.out) == (code, "")
    assert refused.err.splitlines()[0] == f"blobcat: cannot write {place}: {said}"
    assert "has no change log" in blobcat("changes").err


def test_a_dash_is_standard_output(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a", stdin=b"1")
    assert blobcat("query", "--format", "csv", "--columns", "path", "-o", "-").lines == ["path", "a"]
    assert not (blobcat.folder / "-").exists()
