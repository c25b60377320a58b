"""What keeps a reconcile from reading, in this process or in others: one error that says so; nothing stays."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import AccessDeniedError, Rate, UnavailableError, connect
from catalog.locations import AzureLocation, parse_location
from catalog.reconcile.scan import Scanner, Scope
from catalog.reconcile.workers import Workers
from storage import Secret
from tests.reconcile.scene import Scene, indexed
from tests.reconcile.test_resume import SLOWLY, children, until
from tests.volumes.conftest import URLS

WORKERS = pytest.mark.parametrize("workers", [1, 2])
LONG = "/".join(["l" * 120] * 3)
FULL = """
import asyncio, json, os, resource, sys, tempfile
from catalog import CatalogError, connect

async def main(url, workers):
    async with connect(url) as cat:
        said = []
        for kib in (24, 48, 96, 160, 220, 100_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (kib << 10, resource.RLIM_INFINITY))
            try:
                plan = await cat.reconcile("raw", workers=int(workers))
                said.append(f"complete: {plan.complete}")
                del plan
            except CatalogError as error:
                said.append(f"{type(error).__name__} {error.kind}")
            said += os.listdir(tempfile.gettempdir())
        print(json.dumps(said))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A volume on this disk."""
    async with connect(f"local:{tmp_path / 'cat'}", writer="tests") as cat:
        scene = await indexed(cat, "raw", shards=4)
        await scene.subject("d/a.txt")
        yield scene


async def test_a_credential_that_the_workers_are_refused_with(request: pytest.FixtureRequest, temporary: Path) -> None:
    """It was right when the catalog was opened."""
    async with connect(URLS["azurite"](request), writer="tests") as cat:
        await cat.create_volume("raw", shards=4)
        reconciling = cat._reconciling
        assert reconciling.origin
        location = parse_location(reconciling.origin.url.reveal())
        assert isinstance(location, AzureLocation)
        wrong = Secret(
            f"AccountName=devstoreaccount1;AccountKey=d3Jvbmc=;BlobEndpoint={location.blob_endpoint};"
            f"TableEndpoint={location.table_endpoint}"
        )
        origin = replace(reconciling.origin, url=wrong, container=location.container, table=location.table)
        cat._reconciling = replace(reconciling, origin=origin)
        with pytest.raises(AccessDeniedError) as caught:
            await cat.reconcile("raw", workers=2)
        assert caught.value.kind == "access-denied.key"
    assert not [*temporary.iterdir()]


@WORKERS
async def test_a_disk_that_is_full(workers: int, scene: Scene, tmp_path: Path, temporary: Path) -> None:
    """Wherever that is noticed: in a part, in what is made of them, in the plan."""
    for number in range(120):
        await scene.volume.put(f"{LONG}/{number}", b"")
    ran = subprocess.run(
        [sys.executable, "-c", FULL, f"local:{tmp_path / 'cat'}", f"{workers}"],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        check=True,
        text=True,
    )
    *failed, last = json.loads(ran.stdout)
    assert last == "complete: True"
    assert len(failed) == 5
    assert {*failed} <= {"UnavailableError unavailable.disk-full", "UnavailableError unavailable.disk"}
    assert not ran.stderr


@pytest.mark.parametrize("program", ["not there", "ends at once", "reads, and ends"])
async def test_a_process_that_cannot_start(
    program: str, scene: Scene, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "python"
    if program != "not there":
        file.write_text(f"#!/bin/sh\n{'read line' if program == 'reads, and ends' else ''}\nexit 3\n")
        file.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(file))
    with pytest.raises(UnavailableError) as caught:
        await scene.cat.reconcile("raw", workers=2)
    assert caught.value.kind == "unavailable.worker"
    assert ("No such file" if program == "not there" else "exit code 3") in str(caught.value)
    assert not [*temporary.iterdir()]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("while read line; do :; done", "it was not ready within"),
        ("printf '{'; while read line; do :; done", "it was not ready within"),
        ("exec cat > /dev/null", "it answers no more, and has not ended within"),
    ],
    ids=["silent", "half a line", "no stdout"],
)
async def test_a_process_that_is_never_ready(
    program: str, said: str, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hears all that it is told, and waits for something else. None of them outlives the call, not as a zombie."""
    before = children(dead=True)
    file = tmp_path / "python"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(file))
    reconciling, scope = scene.cat._reconciling, Scope(scene.volume.info)
    assert reconciling.origin
    with ThreadPoolExecutor(1) as threads:
        scanner = Scanner(scope, reconciling.lister, scene.content, threads, tmp_path)
        workers = Workers(reconciling.origin, reconciling.settings, Rate(), 2, limit_s=0.02)
        with pytest.raises(UnavailableError, match=rf"{said} 0\.02 s") as caught:
            await workers.scan(scanner, ["shard-00", "shard-01"], scope, tmp_path)
    assert caught.value.kind == "unavailable.worker"
    assert children(dead=True) == before


async def test_a_process_that_does_not_find_our_code(
    scene: Scene, temporary: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert "catalog.reconcile.workers" in sys.modules, "nothing is to be imported later on"
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "python3" in path and "site-packages" not in path])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(UnavailableError, match="No module named") as caught:
        await scene.cat.reconcile("raw", workers=2)
    assert caught.value.kind == "unavailable.worker"
    assert not [*temporary.iterdir()]
    assert not capfd.readouterr().err


async def test_workers_open_a_relative_folder_where_it_was(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with connect("local:cat") as cat:
        os.chdir("elsewhere")
        plan = await cat.reconcile(scene.volume.info.name, workers=2)
    assert plan.complete


async def test_an_interrupt_of_a_terminal_is_not_for_workers(scene: Scene) -> None:
    """It goes to all processes of a group, and each would show where it was: theirs is another one."""
    running = asyncio.create_task(scene.cat.reconcile("raw", workers=2, rate=SLOWLY))
    await until(children)
    assert os.getpgid(0) not in {os.getpgid(child) for child in children()}
    running.cancel()
    await asyncio.wait([running])
    assert not children()
