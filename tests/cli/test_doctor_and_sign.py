"""`blobcat doctor` and `blobcat sign`."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen
from uuid import uuid4

import pytest

from azurite.launch import Azurite
from tests.cli.driver import Blobcat


@pytest.fixture
def remote(empty: Blobcat, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    name = f"t{uuid4().hex[:12]}"
    monkeypatch.setenv("BLOBCAT_URL", f"{azurite.url}/{name}?table={name}")
    assert empty("init", "--shards", "2").code == 0
    return empty


def test_a_healthy_catalog(blobcat: Blobcat) -> None:
    found = blobcat("doctor")
    assert (found.code, found.err) == (0, "")
    assert found.lines[-1] == "well  14 looked at, 0 failed, 0 to think about"
    assert all(line.startswith("ok    ") for line in found.lines[:-1])


def test_a_healthy_catalog_in_json(remote: Blobcat) -> None:
    found = remote("doctor", "--json")
    assert found.code == 0
    assert found.record["ok"] is True
    assert {item["status"] for item in found.record["items"]} == {"ok"}
    assert [*found.record["items"][0]] == ["name", "status", "detail", "hint"]


def test_where_there_is_no_catalog_it_fails_and_says_what_to_do(empty: Blobcat) -> None:
    found = empty("doctor")
    assert found.code == 1
    assert "→ blobcat init makes it" in found.out
    assert found.lines[-1].startswith("not well  4 looked at, 2 failed")
    assert empty("doctor", "--json").code == 1


def test_a_url_reads_the_file(remote: Blobcat) -> None:
    remote("put", remote.file("a b.txt"), "x/a b.txt")
    signed = remote("sign", "x/a b.txt", "--expires-in", "30m")
    assert (signed.code, signed.err) == (0, "")
    with urlopen(signed.lines[0]) as answer:  # noqa: S310 — Azurite's
        assert answer.read() == b"hello\n"
    record = remote("sign", "x/a b.txt", "--json").record
    assert (record["path"], record["expires_in_s"]) == ("x/a b.txt", 3600)
    assert parse_qs(urlsplit(record["url"]).query)["sp"] == ["r"]


@pytest.mark.parametrize("time", ["", "1", "h", "-1h", "1w", "1.5h", "1h30m"])
def test_a_time_that_is_none_is_wrong_usage(remote: Blobcat, time: str) -> None:
    refused = remote("sign", "a", f"--expires-in={time}")
    assert refused.code == 2
    assert "--expires-in 12h" in refused.err


def test_a_folder_signs_nothing(blobcat: Blobcat, tmp_path: Path) -> None:
    blobcat("put", blobcat.file("a.txt"), "a.txt")
    refused = blobcat("sign", "a.txt")
    assert refused.code == 2
    assert refused.err.splitlines()[0] == (
        "blobcat: only a catalog on Azure signs urls: what is on this machine is read, or downloaded"
    )
