"""The same commands on Azurite: where the catalog is makes no difference."""

from uuid import uuid4

import pytest

from azurite.launch import Azurite
from tests.cli.driver import Blobcat

WRONG_KEY = "d3Jvbmcta2V5LWNhbmFyeQ=="


@pytest.fixture
def remote(empty: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    """Blobcat at a container and a table of its own, told by the environment."""
    name = f"t{uuid4().hex[:12]}"
    monkeypatch.setenv("BLOBCAT_URL", azurite.connection_string)
    monkeypatch.setenv("BLOBCAT_CONTAINER", name)
    monkeypatch.setenv("BLOBCAT_TABLE", name)
    return empty


def test_before_init_it_says_init(remote: Blobcat) -> None:
    refused = remote("ls")
    assert (refused.code, refused.err.splitlines()[1]) == (3, "  → make one with blobcat init")


def test_files_go_in_and_come_out(remote: Blobcat) -> None:
    assert remote("init", "--shards", "2").code == 0
    for name in ("a.txt", "b/c.txt"):
        remote.file(name, name.encode())
    assert remote("ingest", "in", "--json").record["written"] == 2
    assert remote("ls", "-r").lines == ["a.txt", "b/c.txt"]
    assert remote("query", "--where", "size=7").lines == ["b/c.txt"]
    assert remote("get", "b/c.txt", "-").stdout == b"b/c.txt"
    assert remote("rm", "a.txt").code == 0
    assert remote("verify").out.startswith("all whole  2 checked")


def test_a_wrong_key_is_one_line_and_not_shown(remote: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBCAT_CREDENTIAL", WRONG_KEY)
    refused = remote("ls")
    assert refused.code == 5
    said, hint = refused.err.splitlines()
    assert "the account key is wrong, or the account's firewall does not let this machine in" in said
    assert hint.startswith("  → put the right account key into BLOBCAT_CREDENTIAL")
    assert remote("put", "-", "a", "--json").error["kind"] == "access-denied.key"
    assert WRONG_KEY not in refused.err + remote("ls", "--debug").err
