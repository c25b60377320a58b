"""`blobcat index`: made, listed, used, dropped."""

from tests.cli.driver import Blobcat


def test_an_index_is_made_listed_and_dropped(blobcat: Blobcat) -> None:
    for name in ("a", "b"):
        blobcat("put", "-", name, stdin=b"1")
    assert blobcat("index").err == "no indexes yet  blobcat index meta.KEY makes one\n"
    assert blobcat("index", "meta.owner", "created:desc").lines == ["meta.owner created:desc  ready  2 files added"]
    assert blobcat("index", "meta.owner", "created:desc").lines == ["meta.owner created:desc  ready"]
    blobcat("index", "size")
    assert blobcat("index").lines == ["meta.owner created:desc  ready", "size  ready"]
    assert [each["on"] for each in blobcat("index", "--json").records] == [["meta.owner", "-created"], ["size"]]
    dropped = blobcat("index", "--drop", "meta.owner", "created:desc")
    assert (dropped.code, dropped.err) == (0, "index meta.owner created:desc dropped\n")
    assert blobcat("index").lines == ["size  ready"]


def test_mistakes_are_told_in_a_line(blobcat: Blobcat) -> None:
    wrong = blobcat("index", "owner")
    assert wrong.code == 2
    assert "there is no field 'owner': use meta.KEY or one of version" in wrong.err
    nameless = blobcat("index", "--drop")
    assert nameless.code == 2
    assert "which index is to be dropped?" in nameless.err
    missing = blobcat("index", "--drop", "size")
    assert missing.code == 3
    assert "volume 'main' has no index (size); it has none" in missing.err
    assert "blobcat index shows those that there are" in missing.err
