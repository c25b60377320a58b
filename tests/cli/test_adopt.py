"""`adopt`: blobs that the container has already become files, in place."""

import asyncio
from pathlib import Path

import pytest

from storage import Always, Digests, Headers
from storage.local import LocalContent
from tests.cli.driver import Blobcat


def upload(**blobs: bytes) -> None:
    """As others write blobs; `__` in a name is a slash."""

    async def put() -> None:
        store = LocalContent(Path("cat/content"))
        for name, content in blobs.items():
            headers = Headers("text/plain", Digests.of(content).md5)
            await store.put(name.replace("__", "/"), content, when=Always(), headers=headers)
        await store.close()

    asyncio.run(put())


@pytest.fixture
def theirs(blobcat: Blobcat) -> Blobcat:
    upload(in__a=b"content of a", in__b__c=b"content of c", other=b"x")
    return blobcat


def test_adopt_makes_files_of_blobs(theirs: Blobcat) -> None:
    first = theirs("adopt")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("3 adopted (25 B)  0 were already  3 blobs in ")
    assert theirs("cat", "in/b/c").out == "content of c"
    second = theirs("adopt", "--json").record
    assert (second["adopted"], second["unchanged"], second["findings"]) == (0, 3, [])


def test_adopt_takes_what_it_is_told_to(theirs: Blobcat) -> None:
    dry = theirs("adopt", "in/", "--match", "old/*", "--into", "old", "--dry-run")
    assert dry.out.startswith("1 would be adopted (12 B)  0 were already  1 left out  2 blobs in ")
    assert theirs("ls", "-r").out == ""
    assert theirs("adopt", "in/", "--match", "old/*", "--into", "old").code == 0
    assert theirs("stat", "old/a", "--json").record["blob"] == "in/a"
    assert theirs("volumes", "--json").record["adopted"] == ["in/"]


def test_adopt_names_what_it_could_not_take(theirs: Blobcat) -> None:
    theirs("put", "-", "other", stdin=b"mine")
    theirs("adopt", "in/")
    upload(in__a=b"changed by others")
    failed = theirs("adopt")
    assert failed.code == 1
    assert failed.out.startswith("0 adopted  1 were already  1 drifted  1 in conflict  1 left out  4 blobs in ")
    assert [line.split()[:2] for line in failed.err.splitlines()] == [["drift", "in/a"], ["conflict", "other"]]
    found = theirs("adopt", "--json")
    assert (found.code, found.err, [each["why"] for each in found.record["findings"]]) == (1, "", ["drift", "conflict"])


def test_drift_is_said_to_be_that(theirs: Blobcat) -> None:
    theirs("adopt")
    upload(in__a=b"changed by others")
    refused = theirs("cat", "in/a")
    assert refused.code != 0
    assert "others changed blob 'in/a' since it was adopted" in refused.err
    assert "blobcat put" in refused.err
    verified = theirs("verify")
    assert (verified.code, verified.out.split()[:2]) == (1, ["drifted", "in/a"])


def test_verify_learns_what_was_adopted(theirs: Blobcat) -> None:
    theirs("adopt")
    assert theirs("stat", "in/a", "--json").record["digest"] == ""
    assert "digest" in theirs("stat", "in/a").out
    assert theirs("verify").code == 0
    known = theirs("stat", "in/a", "--json").record
    assert (known["digest"][:7], known["learned"]) == ("sha256:", True)


def test_adopt_of_what_is_a_volumes_own(theirs: Blobcat) -> None:
    (volume,) = theirs("volumes", "--json").records
    refused = theirs("adopt", volume["root"])
    assert refused.code == 2
    assert "lies in the root of volume" in refused.err


def test_adopt_where_nothing_is(theirs: Blobcat) -> None:
    missed = theirs("adopt", "inn/")
    assert missed.code == 3
    assert missed.out == ""
    assert missed.err.startswith("blobcat: there is no blob whose name begins with 'inn/': nothing")
    assert theirs("adopt", "inn/", "--json").code == 3
    (volume,) = theirs("volumes", "--json").records
    assert volume["adopted"] == []


def test_no_volume_is_made_among_what_is_adopted(theirs: Blobcat) -> None:
    theirs("adopt")
    refused = theirs("init", "--volume", "inner", "--root", "in/")
    assert refused.code == 4
    message, hint = refused.err.splitlines()
    assert message.startswith("blobcat: root 'in/' would hold 'in/a', a blob of others that volume ")
    assert hint == "  → choose another --root"


def test_adopt_in_an_empty_container(blobcat: Blobcat) -> None:
    empty = blobcat("adopt")
    assert (empty.code, empty.out) == (0, "nothing to adopt  the container has no blob\n")
