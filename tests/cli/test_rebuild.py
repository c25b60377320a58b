"""`rebuild`: a volume again, of its blobs, after the table was lost."""

from pathlib import Path

from tests.cli.driver import Blobcat


def lose() -> None:
    """The table of a local catalog is a file."""
    for path in Path("cat").glob("catalog.db*"):
        path.unlink()


def test_rebuild_makes_the_volume_again(blobcat: Blobcat) -> None:
    (volume,) = blobcat("volumes", "--json").records
    name = volume["name"]
    for content in (b"one", b"two"):
        blobcat("put", "-", "x/a.txt", stdin=content)
    blobcat("put", "-", "b.txt", stdin=b"b")
    lose()
    done = blobcat("rebuild", name, "--shards", "2")
    assert (done.code, done.out.split("  ")[:2]) == (0, ["2 files", "3 versions (7 B)"])
    assert "deleted are there again" in done.err
    assert blobcat("cat", "x/a.txt").out == "two"
    assert blobcat("verify").code == 0
    refused = blobcat("rebuild", name)
    assert refused.code != 0
    assert "delete that one first" in refused.err


def test_rebuild_names_bad_blobs(blobcat: Blobcat) -> None:
    (volume,) = blobcat("volumes", "--json").records
    blobcat("put", "-", "a", stdin=b"a")
    lose()
    nothing = blobcat("rebuild", "other")
    assert (nothing.code, "nothing to rebuild" in nothing.err) == (3, True)
    record = blobcat("rebuild", volume["name"], "--json").record
    assert (record["files"], record["bad"], record["findings"]) == (1, 0, [])
