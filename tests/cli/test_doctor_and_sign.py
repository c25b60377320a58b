"""`blobcat doctor` and `blobcat sign`."""

import os
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen
from uuid import uuid4

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from azurite.launch import Azurite
from catalog.locations import AZURITE_ACCOUNT, AZURITE_KEY
from tests.cli.driver import Blobcat, Result
from tests.storage.servers import closed_port

WRONG_KEY = "d3Jvbmcta2V5LWNhbmFyeQ=="


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


def failures(found: Result) -> dict[str, str]:
    """What failed, and the hint that stands below it."""
    lines = found.lines
    return {
        line.removeprefix("fail").split("  ")[1].strip(): hint.strip()
        for line, hint in pairwise(lines)
        if line.startswith("fail")
    }


def test_where_no_azurite_is_it_fails(empty: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    monkeypatch.setenv("BLOBCAT_URL", f"azurite://127.0.0.1:{port}:{port}")
    found = empty("doctor")
    assert (found.code, found.err) == (1, "")
    assert failures(found) == dict.fromkeys(("table", "content"), "→ is the url right, and the network?")
    assert found.out.count(f"nothing answers at 127.0.0.1:{port}: is Azurite running?") == 2
    assert found.lines[-1] == "not well  4 looked at, 2 failed, 0 to think about"
    in_json = empty("doctor", "--json")
    assert (in_json.code, in_json.err, in_json.record["ok"]) == (1, "", False)
    assert [item["name"] for item in in_json.record["items"] if item["status"] == "fail"] == ["table", "content"]


def test_a_missing_container_fails_and_the_table_is_well(remote: Blobcat) -> None:
    url = os.environ["BLOBCAT_URL"]
    container = url.rpartition("/")[2].partition("?")[0]
    missing = url.replace(f"/{container}?", "/missing?")
    found = remote("doctor", "--url", missing)
    assert (found.code, found.err) == (1, "")
    assert failures(found) == {"content": "→ blobcat init makes it"}
    assert found.lines[-1].startswith("not well  ")
    in_json = remote("doctor", "--url", missing, "--json")
    assert (in_json.code, in_json.record["ok"]) == (1, False)
    (failed,) = [item for item in in_json.record["items"] if item["status"] == "fail"]
    assert (failed["name"], failed["hint"]) == ("content", "blobcat init makes it")


def test_a_sas_that_only_reads_is_warned_of_and_leaves_the_exit_code_at_0(
    remote: Blobcat, monkeypatch: pytest.MonkeyPatch
) -> None:
    sas = generate_account_sas(
        AZURITE_ACCOUNT,
        AZURITE_KEY,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
        services="bt",  # its type knows no tables, the service does
    )
    monkeypatch.setenv("BLOBCAT_CREDENTIAL", sas)
    found = remote("doctor", "--json")
    assert (found.code, found.record["ok"]) == (0, True)
    warned = {item["name"]: item["hint"] for item in found.record["items"] if item["status"] == "warn"}
    assert {*warned} == {"content writes"}  # Azurite lets any SAS write rows in a batch
    assert all("Storage Table Data Contributor" in hint for hint in warned.values())
    assert remote("doctor").lines[-1].endswith("0 failed, 1 to think about")
    assert remote("put", "-", "a", "--json").error["kind"].startswith("access-denied")


def test_a_wrong_key_fails(remote: Blobcat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOBCAT_CREDENTIAL", WRONG_KEY)
    found = remote("doctor", "--json")
    assert (found.code, found.record["ok"]) == (1, False)
    failed = [item for item in found.record["items"] if item["status"] == "fail"]
    assert [item["name"] for item in failed] == ["table", "content"]
    assert all("the account key is wrong" in item["detail"] for item in failed)
    assert WRONG_KEY not in found.out


def test_a_url_reads_the_file(remote: Blobcat) -> None:
    remote("put", remote.file("a b.txt"), "x/a b.txt")
    signed = remote("sign", "x/a b.txt", "--expires-in", "30m")
    assert (signed.code, signed.err) == (0, "")
    with urlopen(signed.lines[0]) as answer:  # noqa: S310 — Azurite's
        assert answer.read() == b"hello\n"
    record = remote("sign", "x/a b.txt", "--json").record
    assert (record["path"], record["expires_in_s"]) == ("x/a b.txt", 3600)
    assert parse_qs(urlsplit(record["url"]).query)["sp"] == ["r"]


@pytest.mark.parametrize("time", ["", "1", "h", "-1h", "1y", "1.5h", "1h30m"])
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
