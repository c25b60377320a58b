"""The same commands on Azurite: where the catalog is makes no difference."""

import os
from uuid import uuid4

import pytest
from azure.storage.blob import ContainerClient

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


def test_a_purge_says_what_the_service_holds_and_what_to_do(remote: Blobcat, azurite: Azurite) -> None:
    """In one line each, in every run, until it is gone; the flags stay, so the next run goes on."""
    remote("init", "--shards", "1")
    for path in ("leased", "frozen"):
        for content in (b"1", b"2"):
            remote("put", "-", path, stdin=content)
    container = ContainerClient.from_connection_string(azurite.connection_string, os.environ["BLOBCAT_CONTAINER"])
    with container:
        leased, frozen = (
            container.get_blob_client(remote("history", path, "--json").records[-1]["blob"])
            for path in ("leased", "frozen")
        )
        lease, snapshot = leased.acquire_lease(), frozen.create_snapshot()["snapshot"]
        for _ in range(2):
            purged = remote("purge", "--keep-versions", "1", "--yes")
            assert purged.code == 0
            first, second = purged.err.splitlines()
            assert (
                first == f"held    frozen@1  its blob {frozen.blob_name} has snapshots: delete those, then purge again"
            )
            assert second.startswith(f"held    leased@1  somebody has a lease on its blob {leased.blob_name}: have it ")
        (one, other) = remote("purge", "--keep-versions", "1", "--yes", "--json").record["items"]
        assert (one["by"], other["by"]) == (frozen.blob_name, leased.blob_name)
        assert "has snapshots" in one["why"]
        plan = remote.folder / "plan.jsonl"
        assert remote("reconcile", "--plan", str(plan)).code == 1
        applied = remote("apply", str(plan))
        assert "somebody has a lease on its blob" in next(remote.folder.glob("plan.jsonl.*.journal")).read_text()
        assert applied.code == 1
        lease.break_lease(0)
        frozen.delete_blob("only")
    assert snapshot
    assert remote("purge", "--keep-versions", "1", "--yes", "--json").record["purged"]["versions"] == 2


def test_a_wrong_key_is_one_line_and_not_shown(remote: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBCAT_CREDENTIAL", WRONG_KEY)
    refused = remote("ls")
    assert refused.code == 5
    said, hint = refused.err.splitlines()
    assert "the account key is wrong, or the account's firewall does not let this machine in" in said
    assert hint.startswith("  → put the right account key into BLOBCAT_CREDENTIAL")
    assert remote("put", "-", "a", "--json").error["kind"] == "access-denied.key"
    assert WRONG_KEY not in refused.err + remote("ls", "--debug").err
