"""Adopting blobs that a container has already: what becomes a file, what does not, and what others may do to it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import md5, sha256
from pathlib import Path

import pytest

from catalog import (
    AdoptProgress,
    AdoptReport,
    Catalog,
    ConflictError,
    F,
    IfVersion,
    IntegrityError,
    InvalidError,
    NotFoundError,
    Overwrite,
    Volume,
    connect,
)
from catalog.adopt import WINDOW
from catalog.entities import chain
from catalog.exchange import partition_of
from catalog.keys import CATALOG, REGISTRY, head_row, version_row, volume_row
from catalog.sqlite_table import SqliteTable
from storage import Always, Blob, Headers, IfMatch, Touches
from storage.memory import MemoryContent
from tests.faults.meddler import Before, Meddler
from tests.faults.ports import Fault, FaultContent, FaultTable
from tests.harness.index_rows import amiss_in, index_rows_of


def hex_md5(content: bytes) -> str:
    return md5(content, usedforsecurity=False).hexdigest()


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


async def upload(
    cat: Catalog, name: str, content: bytes = b"content", *, md5_kept: bool = True, content_type: str = "text/plain"
) -> str:
    """As others would write a blob: past the catalog."""
    sum_ = md5(content, usedforsecurity=False).digest() if md5_kept else None
    headers = Headers(content_type, sum_, {"owner": "others"})
    return await cat._content.put(name, content, when=Always(), headers=headers)


async def blobs_of(cat: Catalog) -> dict[str, Blob]:
    return {blob.name: blob async for blob in cat._content.list()}


async def paths_of(volume: Volume) -> list[str]:
    return [file.path async for file in volume.list(recursive=True)]


def counts(report: AdoptReport) -> tuple[int, int, int, dict[str, int]]:
    """New, as before, left out, and what else, once each."""
    others = {name: getattr(report, name) for name in ("invalid", "drifted", "conflicts", "deleted", "failed")}
    found = {name: count for name, count in others.items() if count}
    assert report.listed == report.adopted + report.unchanged + report.left_out + sum(found.values())
    assert len(report.findings) == sum(found.values())
    return report.adopted, report.unchanged, report.left_out, found


async def test_blobs_become_files_in_place(cat: Catalog, volume: Volume) -> None:
    etags = {name: await upload(cat, name, name.encode()) for name in ("a.csv", "2026/b c.csv", "2026/日本.txt")}
    before = await blobs_of(cat)
    report = await volume.adopt()
    assert counts(report) == (3, 0, 0, {})
    assert (report.bytes_adopted, report.unverifiable, report.ok) == (sum(len(n.encode()) for n in etags), 0, True)
    assert set(await paths_of(volume)) == etags.keys()
    for name, etag in etags.items():
        file = await volume.stat(name)
        assert (file.kind, file.version, file.blob, file.blob_etag) == ("adopt", 1, name, etag)
        assert (file.size, file.digest, file.md5) == (len(name.encode()), "", hex_md5(name.encode()))
        assert (file.content_type, file.metadata, file.learned) == ("text/plain", {}, False)
        assert file.chain == chain("", file)
        assert await volume.read(name) == name.encode()
    assert await blobs_of(cat) == before


async def test_a_second_run_finds_all_as_it_was(cat: Catalog, volume: Volume) -> None:
    for number in range(12):
        await upload(cat, f"{number}/x")
    assert counts(await volume.adopt()) == (12, 0, 0, {})
    await upload(cat, "new")
    assert counts(await volume.adopt()) == (1, 12, 0, {})
    assert counts(await volume.adopt("1")) == (0, 3, 0, {})
    assert [file.version async for file in volume.history("3/x")] == [1]


async def test_a_dry_run_changes_nothing(cat: Catalog, volume: Volume) -> None:
    await upload(cat, "a")
    assert counts(await volume.adopt(dry_run=True)) == (1, 0, 0, {})
    assert await paths_of(volume) == []
    assert (await cat.volume("raw")).info.adopted == ()


async def test_a_pattern_and_a_folder_choose_what_goes_where(cat: Catalog, volume: Volume) -> None:
    for name in ("in/2026/a.csv", "in/2026/b.txt", "in/c.csv", "out/d.csv"):
        await upload(cat, name)
    report = await volume.adopt("in/", match="old/**/*.csv", into="old")
    assert counts(report) == (2, 0, 1, {})
    assert await paths_of(volume) == ["old/2026/a.csv", "old/c.csv"]
    assert (await volume.stat("old/c.csv")).blob == "in/c.csv"


async def test_what_volumes_wrote_is_left_out(cat: Catalog, volume: Volume) -> None:
    gone = await cat.create_volume("gone", shards=1)
    await gone.put("x", b"x")
    await gone.delete("x")
    await cat.delete_volume("gone")
    await volume.put("p", b"p")
    await upload(cat, "raw/beside")
    await upload(cat, "gone/beside")
    await upload(cat, "a")
    copied = (await volume.stat("p")).blob
    blob = (await blobs_of(cat))[copied]
    other = copied.replace("raw/", "another-catalogs/")
    await cat._content.put(other, b"p", when=Always(), headers=blob.headers)
    assert counts(await volume.adopt()) == (1, 0, 5, {})
    assert await paths_of(volume) == ["a", "p"]
    for root in ("raw/", "gone/"):
        with pytest.raises(InvalidError) as refused:
            await volume.adopt(root)
        assert refused.value.kind == "invalid.root"


async def test_names_that_can_be_no_path_are_reported_with_the_rule(cat: Catalog, volume: Volume) -> None:
    names = {"a\u202eb": "bidirectional", "C:/x": "drive", ".versions/x": ".versions", "x" * 256: "255 bytes"}
    for name in (*names, "good"):
        await upload(cat, name)
    await cat._content.put("folder", b"", when=Always(), headers=Headers(metadata={"hdi_isfolder": "true"}))
    report = await volume.adopt()
    assert counts(report) == (1, 0, 0, {"invalid": 5})
    found = {finding.blob: finding for finding in report.findings}
    assert {finding.why for finding in found.values()} == {"invalid-name"}
    for name, rule in (*names.items(), ("folder", "stands for a folder")):
        assert rule in found[name].reason
    assert not report.ok


async def test_names_that_no_store_of_ours_would_write_are_reported() -> None:
    """Others write them: they come in a listing."""
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await upload(cat, "good")
        blob, data = cat._content._container.blobs["good"]  # type: ignore[attr-defined]
        for name in ("a//b", "a/", "a/../b", "a.", "a\x01b", "/a"):
            other = Blob(name, blob.size, blob.etag, blob.headers)
            cat._content._container.blobs[name] = (other, data)  # type: ignore[attr-defined]
        report = await volume.adopt()
        assert counts(report) == (1, 0, 0, {"invalid": 6})
        assert await paths_of(volume) == ["good"]


async def test_two_names_that_are_one_path_are_a_conflict(cat: Catalog, volume: Volume) -> None:
    await upload(cat, "e\u0301", b"two code points")
    await upload(cat, "\u00e9", b"one")
    for expected in ((1, 0), (0, 1)):
        report = await volume.adopt()
        assert counts(report) == (*expected, 0, {"conflicts": 1})
        assert [finding.blob for finding in report.findings] == ["\u00e9"]
    assert await volume.read("\u00e9") == b"two code points"


async def test_what_is_in_the_catalog_is_not_touched(cat: Catalog, volume: Volume) -> None:
    await volume.put("mine", b"mine")
    await volume.put("deleted", b"x")
    await volume.delete("deleted")
    for name in ("mine", "deleted", "drifts"):
        await upload(cat, name)
    assert counts(await volume.adopt()) == (1, 0, 2, {"conflicts": 1, "deleted": 1})
    await upload(cat, "drifts", b"another")
    report = await volume.adopt()
    assert counts(report) == (0, 0, 2, {"conflicts": 1, "deleted": 1, "drifted": 1})
    assert {finding.blob: finding.why for finding in report.findings} == {
        "mine": "conflict",
        "deleted": "deleted",
        "drifts": "drift",
    }
    assert await volume.read("mine") == b"mine"
    assert [file.kind async for file in volume.history("deleted")] == ["delete", "put"]


async def test_a_type_that_cannot_be_is_told_by_the_path() -> None:
    """Others may leave it out; a store of ours would not write that."""
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        await upload(cat, "a.csv")
        blob, data = cat._content._container.blobs["a.csv"]  # type: ignore[attr-defined]
        untyped = Blob(blob.name, blob.size, blob.etag, Headers("", blob.headers.md5))
        cat._content._container.blobs["a.csv"] = (untyped, data)  # type: ignore[attr-defined]
        await volume.adopt()
        assert (await volume.stat("a.csv")).content_type == "text/csv"


class Hooked(MemoryContent):
    """Before a listing has ended, something else happens."""

    meanwhile: Callable[[], Awaitable[object]]

    async def list(self, prefix: str = "") -> AsyncIterator[Blob]:
        async for blob in super().list(prefix):
            yield blob
        await self.meanwhile()


async def test_of_a_volume_that_goes_meanwhile_nothing_is_adopted() -> None:
    content = Hooked()
    cat = Catalog(SqliteTable(":memory:"), content)
    volume = await cat.create_volume("raw", shards=1)
    await upload(cat, "a")
    content.meanwhile = lambda: cat.delete_volume("raw")
    with pytest.raises(NotFoundError):
        await volume.adopt()
    await cat.close()


# What was adopted, and is not ours.


@pytest.fixture
async def adopted(cat: Catalog, volume: Volume) -> Volume:
    """A volume with two adopted files: `a`, and `b` without an MD5, where the store lets a blob be without."""
    await upload(cat, "a", b"content of a")
    await upload(cat, "b", b"content of b", md5_kept=False)
    await volume.adopt()
    return volume


async def rows_of(cat: Catalog, volume: Volume, path: str, version: int = 1) -> Sequence[dict[str, object]]:
    keys = head_row(path), version_row(path, version)
    rows = [await cat._table.get(partition_of(volume.info, path), key) for key in keys]
    return [dict(row.values) for row in rows if row]


@pytest.mark.parametrize("how", ["read", "open", "open_seekable", "verify"])
async def test_the_digest_is_learned_when_content_is_read(cat: Catalog, adopted: Volume, how: str) -> None:
    before = await adopted.stat("a")
    match how:
        case "read":
            await adopted.read("a")
        case "open":
            async with adopted.open("a") as reader:
                assert b"".join([chunk async for chunk in reader]) == b"content of a"
                assert reader.verified
        case "open_seekable":
            async with adopted.open_seekable("a") as seekable:
                assert await seekable.read() == b"content of a"
                assert seekable.verified
        case _:
            assert (await adopted.verify()).ok
    after = await adopted.stat("a")
    assert (before.digest, after.digest) == ("", digest_of(b"content of a"))
    assert (before.learned, after.learned) == (False, True)
    assert after == await adopted.stat("a", version=1)
    assert chain("", after) == after.chain == before.chain
    for row in await rows_of(cat, adopted, "a"):
        assert (row["digest"], row["learned_digest"]) == ("", digest_of(b"content of a"))


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED], ids=str)
async def test_what_cannot_be_noted_fails_no_read(cat: Catalog, adopted: Volume, fault: Fault) -> None:
    """It is learned by who reads it next."""
    wire = Meddler(Before("table.submit", fault))
    client = Catalog(FaultTable(cat._table, wire), FaultContent(cat._content, wire))
    assert await (await client.volume(adopted.info.name)).read("a") == b"content of a"
    await client.close()
    assert wire.over
    assert (await adopted.stat("a")).learned == (fault is Fault.LOST_AFTER)
    assert await adopted.read("a") == b"content of a"
    assert (await adopted.stat("a")).learned


async def test_what_is_learned_is_in_indexes_too(cat: Catalog, adopted: Volume) -> None:
    """In the same transaction; and the row moves where an index is in order of digest."""
    reader = await cat.volume(adopted.info.name)  # whose settings are old, and stay so: it only reads
    await adopted.create_index("writer")
    await adopted.create_index("digest")
    before = await index_rows_of(cat._table, adopted.info, "a")
    assert await reader.read("a") == b"content of a"
    assert not (await adopted.stat("a")).learned
    assert await adopted.read("a") == b"content of a"
    assert (await adopted.stat("a")).learned
    after = await index_rows_of(cat._table, adopted.info, "a")
    assert len(before.keys() & after.keys()) == 1
    assert len(before) == len(after) == 2
    assert await amiss_in(cat._table, adopted.info) == []


async def test_a_new_version_is_not_told_what_was_learned_of_the_one_before(cat: Catalog, adopted: Volume) -> None:
    """It is written while the older one is being noted: the head is its own by then."""
    wire = Meddler(Before("table.submit", lambda _: adopted.put("a", b"newer")))
    client = Catalog(FaultTable(cat._table, wire), FaultContent(cat._content, wire))
    assert await (await client.volume(adopted.info.name)).read("a") == b"content of a"
    await client.close()
    assert wire.over
    head, _ = await rows_of(cat, adopted, "a", 2)
    assert (head["version"], head["digest"], head.get("learned_digest")) == (2, digest_of(b"newer"), None)
    assert await adopted.read("a", version=1) == b"content of a"
    assert (await adopted.stat("a", version=1)).learned


async def test_a_learned_digest_is_found(adopted: Volume) -> None:
    learned = digest_of(b"content of a")
    conditions = [F.digest == learned, F.digest.startswith(learned[:20]), F.digest.isin([learned]), ~(F.digest == "")]
    assert [[file.path async for file in adopted.query(condition)] for condition in conditions] == [[]] * 4
    await adopted.read("a")
    assert [[file.path async for file in adopted.query(condition)] for condition in conditions] == [["a"]] * 4
    assert "a" not in [file.path async for file in adopted.query(F.digest == "")]


async def test_a_download_learns_too(cat: Catalog, adopted: Volume, tmp_path: Path) -> None:
    await adopted.download("a", tmp_path / "a")
    assert (await adopted.stat("a")).digest == digest_of(b"content of a")


async def test_who_reads_a_part_learns_nothing(adopted: Volume) -> None:
    async with adopted.open("a", start=1) as reader:
        assert await reader.read() == b"ontent of a"
        assert not reader.verified
    assert (await adopted.stat("a")).digest == ""


async def test_without_any_digest_a_read_is_not_verified_until_it_was_read_once(cat: Catalog) -> None:
    volume = await cat.create_volume("raw", shards=1)
    await upload(cat, "b", b"content of b", md5_kept=False)
    report = await volume.adopt()
    has_md5 = (await volume.stat("b")).md5 is not None  # Azure makes one, of what is put as a whole
    assert report.unverifiable == (not has_md5)
    for verified in (has_md5, True):
        async with volume.open("b") as reader:
            assert await reader.read() == b"content of b"
            assert reader.verified is verified
    async with volume.open_seekable("b") as seekable:
        await seekable.read()
        assert seekable.verified


async def test_bytes_that_are_not_those_of_the_md5_are_damage_and_teach_nothing() -> None:
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=1)
        wrong = Headers("text/plain", md5(b"other", usedforsecurity=False).digest())
        await cat._content.put("a", b"content", when=Always(), headers=wrong)
        await volume.adopt()
        for _ in range(2):
            with pytest.raises(IntegrityError) as caught:
                await volume.read("a")
            assert caught.value.kind == "integrity.digest"
        async with volume.open_seekable("a") as seekable:
            with pytest.raises(IntegrityError):
                await seekable.read()
            assert not seekable.verified
        assert (await volume.stat("a")).digest == ""
        assert [finding.file.path for finding in (await volume.verify()).findings] == ["a"]


@pytest.mark.parametrize("change", ["replaced", "touched"])
@pytest.mark.parametrize("learned", [False, True])
async def test_what_others_changed_is_said_to_be_that(
    cat: Catalog, adopted: Volume, change: str, *, learned: bool
) -> None:
    if learned:
        await adopted.read("a")
    etag = (await adopted.stat("a")).blob_etag
    if change == "replaced":
        await upload(cat, "a", b"another's")
    else:
        assert isinstance(cat._content, Touches)
        await cat._content.touch("a", headers=Headers(), when=IfMatch(etag))
    with pytest.raises(IntegrityError, match="others changed blob 'a' since it was adopted") as caught:
        await adopted.read("a")
    assert caught.value.kind == "integrity.drift"
    with pytest.raises(IntegrityError, match="since it was adopted"):
        async with adopted.open("a", start=2, length=3) as reader:
            await reader.read()
    with pytest.raises(IntegrityError, match="since it was adopted"):
        async with adopted.open_seekable("a") as seekable:
            await seekable.read(1)
    [finding] = (await adopted.verify()).findings
    assert (finding.file.path, finding.error.kind) == ("a", "integrity.drift")


async def test_what_others_removed_is_said_to_be_that(cat: Catalog, adopted: Volume) -> None:
    await cat._content.delete("a", when=Always())
    with pytest.raises(IntegrityError, match="others removed blob 'a' since it was adopted") as caught:
        await adopted.read("a")
    assert caught.value.kind == "integrity.missing"


async def test_writing_leaves_the_blob_alone(cat: Catalog, adopted: Volume) -> None:
    before = await blobs_of(cat)
    first = await adopted.put("a", b"content of a", mode=IfVersion(1))
    assert (first.version, first.kind) == (2, "put")
    assert first.blob.startswith("raw/.versions/a~")
    await adopted.set_metadata("b", {"n": 1})
    await adopted.copy("b", "c")
    await adopted.move("b", "d")
    await adopted.delete("a")
    await cat.recover(patience_s=0)
    after = await blobs_of(cat)
    assert {name: after[name] for name in before} == before
    assert await adopted.read("a", version=1) == b"content of a"
    assert await adopted.read("c") == await adopted.read("d") == b"content of b"
    restored = await adopted.restore("a", version=1)
    assert (restored.version, restored.blob, restored.kind) == (4, "a", "restore")
    assert await adopted.read("a") == b"content of a"


async def test_content_without_a_digest_is_the_same_only_if_it_is_the_same_blob(cat: Catalog, adopted: Volume) -> None:
    """Two that are both unknown are not equal."""
    await adopted.copy("a", "x")
    assert (await adopted.copy("a", "x", mode=Overwrite())).version == 1
    assert (await adopted.copy("b", "x", mode=Overwrite())).version == 2
    assert await adopted.read("x") == b"content of b"


async def test_a_copy_learns_for_itself(cat: Catalog, adopted: Volume) -> None:
    assert (await adopted.copy("a", "x")).digest == ""
    await adopted.read("x")
    copied = await adopted.stat("x")
    assert (copied.digest, copied.learned) == (digest_of(b"content of a"), True)
    assert (await adopted.stat("a")).digest == ""
    await adopted.read("a")
    known = await adopted.copy("a", "y")
    assert (known.digest, known.learned) == (digest_of(b"content of a"), False)


async def test_a_read_of_an_old_version_teaches_that_version_alone(cat: Catalog, adopted: Volume) -> None:
    await adopted.put("a", b"new")
    await adopted.read("a", version=1)
    head, first = await rows_of(cat, adopted, "a")
    assert "learned_digest" not in head
    assert first["learned_digest"] == digest_of(b"content of a")
    assert (await adopted.stat("a")).digest == digest_of(b"new")


async def test_a_purge_holds_what_was_adopted(cat: Catalog, adopted: Volume) -> None:
    before = await blobs_of(cat)
    await adopted.delete("a")
    report = await adopted.purge(keep_versions=0)
    assert (report.purged.versions, report.held.versions) == (0, 1)
    assert await blobs_of(cat) == before
    assert await adopted.read("a", version=1) == b"content of a"


async def test_an_ingest_of_the_same_files_writes_nothing(cat: Catalog, volume: Volume, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in {"a": b"content of a", "b": b"changed.."}.items():
        (folder / name).write_bytes(content)
        await upload(cat, name, b"content of a"[: len(content)])
    await volume.adopt()
    report = await volume.ingest(folder)
    assert (report.unchanged, report.written) == (1, 1)
    assert await volume.read("b") == b"changed.."


# The prefixes of a volume.


async def uploaded_and_adopted(cat: Catalog, volume: Volume, prefix: str) -> None:
    await upload(cat, f"{prefix}x")
    assert (await volume.adopt(prefix)).adopted == 1


async def test_prefixes_are_noted_the_outermost_alone(cat: Catalog, volume: Volume) -> None:
    for prefix in ("x/b/", "x/a/", "y", "x/a/deeper/"):
        await uploaded_and_adopted(cat, volume, prefix)
    assert list(volume.info.adopted) == ["x/a/", "x/b/", "y"]
    assert (await cat.volume("raw")).info == volume.info
    await uploaded_and_adopted(cat, volume, "x/")
    assert list(volume.info.adopted) == ["x/", "y"]
    await uploaded_and_adopted(cat, volume, "")
    assert list((await cat.volume("raw")).info.adopted) == [""]
    row = await cat._table.get(REGISTRY, volume_row("raw"))
    assert row
    assert json.loads(str(row.values["adopted"])) == [""]


async def test_no_two_volumes_adopt_the_same(cat: Catalog, volume: Volume) -> None:
    other = await cat.create_volume("other", shards=1)
    await uploaded_and_adopted(cat, volume, "x/")
    for prefix in ("", "x", "x/", "x/y/"):
        for dry_run in (False, True):
            with pytest.raises(ConflictError) as refused:
                await other.adopt(prefix, dry_run=dry_run)
            assert (refused.value.kind, refused.value.found) == ("conflict.adopted", "x/")
    await uploaded_and_adopted(cat, other, "y/")
    assert other.info.adopted == ("y/",)


@pytest.mark.parametrize("match", [None, "**/*.csv"])
async def test_where_nothing_is_to_be_adopted_nothing_is_noted(cat: Catalog, volume: Volume, match: str | None) -> None:
    """A prefix that was mistyped stays free."""
    if match:
        await upload(cat, "typo/a.txt")
    other = await cat.create_volume("other", shards=1)
    before = [await cat._table.get(REGISTRY, row) for row in (CATALOG, volume_row("raw"))]
    assert (await volume.adopt("typo/", match=match)).adopted == 0
    assert [await cat._table.get(REGISTRY, row) for row in (CATALOG, volume_row("raw"))] == before
    assert volume.info.adopted == ()
    await upload(cat, "typo/b.txt")
    assert (await other.adopt("typo/")).adopted == (2 if match else 1)


async def test_a_second_run_writes_nothing(cat: Catalog, volume: Volume) -> None:
    await uploaded_and_adopted(cat, volume, "x/")
    before = await cat._table.get(REGISTRY, CATALOG)
    assert (await volume.adopt("x/")).unchanged == 1
    assert await cat._table.get(REGISTRY, CATALOG) == before


async def test_there_is_an_end_to_prefixes(cat: Catalog, volume: Volume) -> None:
    for number in range(30):
        await uploaded_and_adopted(cat, volume, f"p{number:02}/")
    with pytest.raises(InvalidError) as refused:
        await volume.adopt("q/")
    assert refused.value.kind == "invalid.prefixes"
    await uploaded_and_adopted(cat, volume, "p")
    assert volume.info.adopted == ("p",)


async def test_a_volume_whose_root_lies_in_an_adopted_prefix_is_left_out_from_then_on(
    cat: Catalog, volume: Volume
) -> None:
    await uploaded_and_adopted(cat, volume, "")
    inner = await cat.create_volume("inner", shards=1, root="in/")
    await inner.put("x", b"x")
    await upload(cat, "in/new")
    assert counts(await volume.adopt()) == (0, 1, 2, {})
    with pytest.raises(InvalidError):
        await inner.adopt("in/")
    assert await paths_of(volume) == ["x"]


@pytest.mark.parametrize(("prefix", "root"), [("", "in/"), ("in/", "in/deep/"), ("in/", "in/"), ("in/deep/", "in/")])
async def test_no_volume_is_made_where_others_blobs_are_that_may_be_adopted(
    cat: Catalog, volume: Volume, prefix: str, root: str
) -> None:
    await upload(cat, "in/deep/x")
    assert (await volume.adopt(prefix)).adopted == 1
    with pytest.raises(ConflictError, match="choose a root without blobs of others") as refused:
        await cat.create_volume("inner", shards=1, root=root)
    assert (refused.value.kind, refused.value.found) == ("conflict.adopted-root", "in/deep/x")
    assert [info.name async for info in cat.volumes()] == ["raw"]
    await cat._content.delete("in/deep/x", when=Always())
    await cat.create_volume("inner", shards=1, root=root)


async def test_a_volume_is_made_where_others_blobs_are_that_nobody_adopts(cat: Catalog, volume: Volume) -> None:
    await uploaded_and_adopted(cat, volume, "there/")
    await upload(cat, "in/x")
    await cat.create_volume("inner", shards=1, root="in/")


async def test_what_a_deleted_volume_left_is_in_nobodys_way(cat: Catalog, volume: Volume) -> None:
    """Its name and its root can be used again, though all around it is adopted; what it had adopted is free."""
    gone = await cat.create_volume("gone", shards=1)
    await gone.put("x", b"x")
    await gone.delete("x")
    await upload(cat, "gone/beside")
    await uploaded_and_adopted(cat, gone, "there/")
    await gone.delete("there/x")
    await cat.delete_volume("gone")
    assert counts(await volume.adopt()) == (1, 0, 2, {})
    again = await cat.create_volume("gone", shards=1)
    assert await paths_of(again) == []


async def test_a_volume_that_is_made_while_blobs_are_listed_keeps_what_is_its_own() -> None:
    content = Hooked()
    cat = Catalog(SqliteTable(":memory:"), content)
    volume = await cat.create_volume("raw", shards=1)
    await upload(cat, "in/a")
    await upload(cat, "b")
    content.meanwhile = lambda: cat.create_volume("inner", shards=1, root="in/")
    assert counts(await volume.adopt()) == (1, 0, 1, {})
    assert await paths_of(volume) == ["b"]
    await cat.close()


async def test_of_a_volume_that_is_gone_nothing_is_adopted(cat: Catalog, volume: Volume) -> None:
    await upload(cat, "a")
    await cat.delete_volume("raw")
    with pytest.raises(NotFoundError):
        await volume.adopt()


async def test_with_into_a_prefix_is_a_folder(volume: Volume) -> None:
    with pytest.raises(InvalidError) as refused:
        await volume.adopt("in", into="x")
    assert refused.value.kind == "invalid.prefix"


async def test_progress_is_told_and_what_it_raises_ends_the_run(cat: Catalog, volume: Volume) -> None:
    for number in range(5):
        await upload(cat, f"{number}")
    heard: list[AdoptProgress] = []
    await volume.adopt(progress=heard.append)
    assert heard[-1] == AdoptProgress(listed=5, adopted=5, done=True)

    def stop(_now: AdoptProgress) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        await volume.adopt(progress=stop)


async def test_more_than_a_window_is_adopted_and_met_again() -> None:
    """In an order that is not that of their names: `a-b` comes before `a/b` there, and after it in the catalog."""
    async with connect("memory:") as cat:
        volume = await cat.create_volume("raw", shards=2)
        names = {f"{a}{sep}{b}" for a in ("a", "ab", "b-") for sep in ("-", "/", ".x/", "/0/") for b in range(500)}
        assert len(names) > WINDOW
        for name in names:
            await upload(cat, name)
        assert counts(await volume.adopt()) == (len(names), 0, 0, {})
        assert set(await paths_of(volume)) == names
        assert counts(await volume.adopt()) == (0, len(names), 0, {})
