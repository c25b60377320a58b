"""Answers that are not what was asked for: another bit, half of it, another blob, what was there some time ago.

Whoever reads gets bytes that are some version's, verified, or an IntegrityError; never anything else (S4).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from catalog import FileVersion, IntegrityError, NotFoundError, UnavailableError, Volume
from tests.faults.plan import Plan
from tests.faults.site import SETTINGS, Site, new_name
from tests.faults.transport import Fault

CONTENTS = {"other": b"other content, as long as a's", "a": b"the first content of a, again"}
SECOND = b"the second one"

Read = Callable[[Volume, FileVersion, Path], Awaitable[bytes]]


async def read(volume: Volume, file: FileVersion, _: Path) -> bytes:
    return await volume.read("a", version=file.version)


async def stream(volume: Volume, file: FileVersion, _: Path) -> bytes:
    async with volume.open("a", version=file.version) as reader:
        chunks = [chunk async for chunk in reader]
        assert reader.verified
    return b"".join(chunks)


async def seek(volume: Volume, file: FileVersion, _: Path) -> bytes:
    async with volume.open_seekable("a", version=file.version, read_ahead_bytes=1 << 20) as reader:
        content = await reader.read()
        assert reader.verified
    return content


async def download(volume: Volume, file: FileVersion, folder: Path) -> bytes:
    target = folder / f"{len(list(folder.iterdir()))}"
    try:
        await volume.download("a", target, version=file.version)
    except IntegrityError:
        assert not target.exists()
        raise
    return target.read_bytes()


async def verify(volume: Volume, file: FileVersion, _: Path) -> bytes:
    for finding in (await volume.verify("a")).findings:
        raise finding.error
    return CONTENTS["a"]


@pytest.mark.parametrize(
    "fault", [Fault.FLIPPED_BIT, Fault.CUT_BODY, Fault.SWAPPED], ids=lambda fault: fault.name.lower()
)
@pytest.mark.parametrize("way", [read, stream, seek, download, verify])
async def test_damaged_content_is_never_given_out(site: Site, way: Read, fault: Fault, tmp_path: Path) -> None:
    """Of the two requests, the one for rows and the one for content, the second fails."""
    name = new_name()
    async with site.client(name) as catalog:
        volume = await catalog.create_volume("v", shards=1)
        for path, content in CONTENTS.items():
            await volume.put(path, content)
    plan = Plan[Fault]()
    async with site.behind_transports(name, plan) as catalog:
        volume = await catalog.volume("v")
        file = await volume.stat("a")
        assert await way(volume, file, tmp_path) == CONTENTS["a"]
        plan.fault, plan.at = fault, 0
        assert await volume.read("other") == CONTENTS["other"]  # what is swapped for it
        plan.at = len(plan.requests) + 2
        if way is seek and fault is not Fault.FLIPPED_BIT:  # what is no answer to a range is asked for again
            assert await way(volume, file, tmp_path) == CONTENTS["a"]
        else:
            with pytest.raises(IntegrityError):
                await way(volume, file, tmp_path)
        assert plan.fired == 1
        assert await way(volume, file, tmp_path) == CONTENTS["a"], "the client goes on"


async def test_a_stale_answer_gives_the_bytes_of_the_version_that_it_speaks_of(site: Site) -> None:
    name = new_name()
    async with site.client(name) as catalog:
        volume = await catalog.create_volume("v", shards=1)
        await volume.put("a", CONTENTS["a"])
        plan = Plan[Fault](0, Fault.STALE)
        async with site.behind_transports(name, plan) as stale:
            reading = await stale.volume("v")
            assert await reading.read("a") == CONTENTS["a"]
            await volume.put("a", SECOND)
            plan.at = len(plan.requests) + 1
            assert await reading.read("a") == CONTENTS["a"]
            assert plan.fired == 1
            assert await reading.read("a") == SECOND


async def test_an_answer_that_is_cut_for_ever_is_an_error(site: Site) -> None:
    name, plan = new_name(), Plan[Fault]()
    async with site.behind_transports(name, plan, replace(SETTINGS, timeout_s=1)) as catalog:
        volume = await catalog.create_volume("v", shards=1)
        file = await volume.put("a", CONTENTS["a"])
        plan.fault, plan.at, plan.on = Fault.HALF_BODY, len(plan.requests) + 2, True
        with pytest.raises(UnavailableError):
            await volume.read("a", version=file.version)
        assert plan.fired > 1


async def test_what_is_gone_is_damage_and_no_empty_file(site: Site) -> None:
    name = new_name()
    async with site.client(name) as catalog:
        volume = await catalog.create_volume("v", shards=1)
        file = await volume.put("a", CONTENTS["a"])
        await site.blobs.get_blob_client(name, file.blob).delete_blob()
        with pytest.raises(IntegrityError) as caught:
            await volume.read("a")
        assert caught.value.kind == "integrity.missing"
        with pytest.raises(NotFoundError):
            await volume.read("b")
