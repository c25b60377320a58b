"""What shares a blob with what is to go: gathered in a temporary file, and given out again, blob by blob."""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from catalog.candidates import Candidates
from catalog.entities import FileVersion, VersionRow
from catalog.errors import UnavailableError
from catalog.retention import Sharing, Verdict
from catalog.times import EPOCH


@pytest.fixture
async def candidates() -> AsyncIterator[Candidates]:
    with ThreadPoolExecutor(2) as threads:
        async with Candidates("v", threads) as opened:
            yield opened


def verdict(
    path: str, version: int, blob: str, *, kind: Any = "put", goes: bool = True, purged: bool = False
) -> Verdict:
    file = FileVersion(
        "v", path, version, kind, f"op-{path}{version}", 7, "", None, "", {}, EPOCH, None, "", None, "", blob, "", None
    )
    return Verdict(VersionRow(file, f"etag-{path}{version}", "run", purged), version + 1, goes)


async def lots(candidates: Candidates, rows_max: int = 100) -> list[list[Sharing]]:
    return [batch async for batch in candidates.sharing(rows_max)]


def names(sharing: Sharing) -> Sequence[str]:
    return [f"{row.file.path}@{row.file.version}" for row in sharing.rows]


async def test_what_is_needed_of_a_version_comes_back(candidates: Candidates) -> None:
    given = verdict("a", 1, "x")
    await candidates.add([given])
    assert await lots(candidates) == [[Sharing([given.row], {"a": 2}, "")]]


async def test_versions_of_one_blob_come_together(candidates: Candidates) -> None:
    await candidates.add([verdict("a", 1, "x"), verdict("b", 1, "y")])
    await candidates.add([verdict("c", 3, "x", kind="copy")])
    ((one, other),) = await lots(candidates)
    assert (names(one), one.newest, one.kept_by) == (["a@1", "c@3"], {"a": 2, "c": 4}, "")
    assert (names(other), other.size) == (["b@1"], 7)


async def test_a_version_that_stays_keeps_what_it_shares(candidates: Candidates) -> None:
    await candidates.add([verdict("a", 1, "x"), verdict("b", 1, "x", kind="move", goes=False)])
    ((sharing,),) = await lots(candidates)
    assert (names(sharing), sharing.kept_by) == (["a@1"], "b@1")


@pytest.mark.parametrize(
    ("other", "kept_by"),
    [
        (verdict("a", 1, "x", goes=False), "the version that wrote it"),
        (verdict("a", 1, "x", kind="adopt"), "adopted"),
        (verdict("a", 1, "x", kind="adopt", goes=False), "adopted"),
        (verdict("a", 1, "x"), ""),
    ],
)
async def test_a_copy_needs_the_put_that_wrote_it(candidates: Candidates, other: Verdict, kept_by: str) -> None:
    await candidates.add([verdict("b", 1, "x", kind="copy"), other])
    ((sharing,),) = await lots(candidates)
    assert sharing.kept_by == kept_by


async def test_what_is_purged_keeps_nothing_and_what_stays_alone_is_not_asked_for(candidates: Candidates) -> None:
    await candidates.add([verdict("a", 1, "x"), verdict("b", 1, "x", kind="copy", goes=False, purged=True)])
    await candidates.add([verdict("c", 1, "z", kind="copy", goes=False)])
    ((sharing,),) = await lots(candidates)
    assert (names(sharing), sharing.kept_by) == (["a@1"], "")


async def test_they_come_in_lots_and_no_blob_in_two(candidates: Candidates) -> None:
    for blob in "wxyz":
        await candidates.add([verdict(blob, 1, blob), verdict(blob, 2, blob, kind="metadata")])
    assert [[names(each) for each in lot] for lot in await lots(candidates, rows_max=3)] == [
        [["w@1", "w@2"], ["x@1", "x@2"]],
        [["y@1", "y@2"], ["z@1", "z@2"]],
    ]


async def test_nothing_is_no_lot(candidates: Candidates) -> None:
    await candidates.add([])
    assert await lots(candidates) == []


async def test_a_full_disk_is_told_as_such(candidates: Candidates) -> None:
    candidates._db.execute("PRAGMA max_page_count = 2").close()
    with pytest.raises(UnavailableError) as caught:
        await candidates.add([verdict(f"{number}" * 500, 1, "x") for number in range(9)])
    assert caught.value.kind == "unavailable.disk-full"
