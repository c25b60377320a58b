"""What can happen to a catalog and to its content, one small function each. Made with the ports alone.

Each is given a scene and a path in a folder of its own, and leaves one thing wrong there. `cases` says
what a reconcile must make of each.
"""

import os
from hashlib import blake2b

from catalog import Catalog, Volume
from catalog.changes import Change
from catalog.columns import parse_version, purging_values
from catalog.entities import VersionRow
from catalog.exchange import partition_of
from catalog.keys import head_row, shard_of, version_row
from catalog.messages import InsertIntent
from catalog.modes import Overwrite
from catalog.op import Op, Phase, intent_of
from catalog.purger import Purger
from catalog.purging import Purged
from catalog.retention import Sharing
from catalog.rows import Value, Values
from catalog.table import Insert, Replace
from storage import Always, Blocks, Digests, Headers, IfAbsent, IfMatch, Touches
from tests.reconcile.scene import Scene, Subject

NEVER = "never written"


# --- Blobs of ours ---------------------------------------------------------------------------------------------------


async def deleted(scene: Scene, path: str) -> None:
    """Somebody deleted content."""
    await scene.content.delete((await scene.subject(path)).blob, when=Always())


async def deleted_without_twin(scene: Scene, path: str) -> None:
    """And nothing else has the same bytes."""
    await scene.content.delete((await scene.subject(path)).first.blob, when=Always())


async def overwritten(scene: Scene, path: str) -> None:
    """Somebody put a blob of their own in its place."""
    await scene.content.put((await scene.subject(path)).blob, b"a stranger's", when=Always(), headers=Headers())


async def overwritten_same_size(scene: Scene, path: str) -> None:
    """As many bytes as there were."""
    subject = await scene.subject(path)
    await scene.content.put(subject.blob, b"?" * subject.second.size, when=Always(), headers=Headers())


async def truncated(scene: Scene, path: str) -> None:
    """Our headers, half of our bytes."""
    subject = await scene.subject(path)
    await _replaced(scene, subject, f"2 of {path}".encode()[: subject.second.size // 2], told=False)


async def flipped(scene: Scene, path: str) -> None:
    """Our headers but for the MD5; a bit is another."""
    subject = await scene.subject(path)
    await _replaced(scene, subject, _flipped(path), told=False)


async def flipped_and_hidden(scene: Scene, path: str) -> None:
    """All our headers, the MD5 too, as it was: only the bytes tell."""
    await _replaced(scene, await scene.subject(path), _flipped(path), told=True)


async def _replaced(scene: Scene, subject: Subject, data: bytes, *, told: bool) -> None:
    """Other bytes below our headers. `told`: with the MD5 of the old ones, which a put of blocks does not check."""
    headers = (await scene.content.stat(subject.blob)).headers
    if told:
        await scene.content.stage(subject.blob, "block", data)
        await scene.content.put(subject.blob, Blocks(("block",)), when=Always(), headers=headers)
    else:
        headers = Headers(headers.content_type, Digests.of(data).md5, headers.metadata)
        await scene.content.put(subject.blob, data, when=Always(), headers=headers)


def _flipped(path: str) -> bytes:
    data = bytearray(f"2 of {path}".encode())
    data[0] ^= 1
    return bytes(data)


async def flipped_on_disk(scene: Scene, path: str) -> None:
    """The file changed behind the index's back, as disks do it."""
    file = await scene.file_of((await scene.subject(path)).blob)
    file.chmod(0o644)
    file.write_bytes(_flipped(path))


async def truncated_on_disk(scene: Scene, path: str) -> None:
    """The file is shorter than the index says."""
    file = await scene.file_of((await scene.subject(path)).blob)
    file.chmod(0o644)
    os.truncate(file, 3)


async def removed_on_disk(scene: Scene, path: str) -> None:
    """The file is gone, and the index does not know."""
    (await scene.file_of((await scene.subject(path)).blob)).unlink()


async def touched(scene: Scene, path: str) -> None:
    """Another etag; the same bytes and headers."""
    blob = await scene.content.stat((await scene.subject(path)).blob)
    assert isinstance(scene.content, Touches)
    await scene.content.touch(blob.name, headers=blob.headers, when=IfMatch(blob.etag))


async def written_again(scene: Scene, path: str) -> None:
    """As a backup is brought back."""
    blob = await scene.content.stat((await scene.subject(path)).blob)
    await scene.content.put(blob.name, f"2 of {path}".encode(), when=Always(), headers=blob.headers)


async def headers_stripped(scene: Scene, path: str) -> None:
    """As many a tool copies it: the bytes, and nothing else."""
    subject = await scene.subject(path)
    await scene.content.put(subject.blob, f"2 of {path}".encode(), when=Always(), headers=Headers())


async def headers_changed(scene: Scene, path: str) -> None:
    """Somebody edited a header."""
    blob = await scene.content.stat((await scene.subject(path)).blob)
    assert isinstance(scene.content, Touches)
    changed = Headers(blob.headers.content_type, blob.headers.md5, {**blob.headers.metadata, "sha256": "0" * 64})
    await scene.content.touch(blob.name, headers=changed, when=IfMatch(blob.etag))


async def type_changed(scene: Scene, path: str) -> None:
    """Somebody gave it another content type."""
    blob = await scene.content.stat((await scene.subject(path)).blob)
    assert isinstance(scene.content, Touches)
    changed = Headers("text/x-other", blob.headers.md5, blob.headers.metadata)
    await scene.content.touch(blob.name, headers=changed, when=IfMatch(blob.etag))


# --- Blobs of others -------------------------------------------------------------------------------------------------


async def foreign(scene: Scene, path: str) -> None:
    """A file of somebody's below the root."""
    await _strange(scene, path)


async def foreign_in_versions(scene: Scene, path: str) -> None:
    """A blob where we keep content, of a name that is none of ours."""
    await _strange(scene, f".versions/{path}")


async def foreign_with_our_name(scene: Scene, path: str) -> None:
    """A blob with a name as we choose it."""
    await _strange(scene, f".versions/{path}~{op_of(path)}.txt")


async def not_normal(scene: Scene, path: str) -> None:
    """R2: a name that is no path's, for it is spelt in another way than paths are."""
    await _strange(scene, f"{path}e\u0301")


async def too_long(scene: Scene, path: str) -> None:
    """A segment that no disk takes."""
    await _strange(scene, f"{path}{'x' * 300}")


async def _strange(scene: Scene, name: str) -> None:
    await scene.content.put(f"{scene.volume.info.root}{name}", b"strange", when=IfAbsent(), headers=Headers())


# --- Rows ------------------------------------------------------------------------------------------------------------


async def only_version_removed(scene: Scene, path: str) -> None:
    """The row of the one version that there was."""
    await scene.volume.put(path, b"only")
    await scene.remove(path, version_row(path, 1))


async def middle_version_removed(scene: Scene, path: str) -> None:
    """A row of history, the version of which nobody else remembers."""
    await scene.subject(path)
    await scene.volume.put(path, b"third")
    await scene.remove(path, version_row(path, 2))


async def newest_version_removed(scene: Scene, path: str) -> None:
    """What the head says still."""
    await scene.subject(path)
    await scene.remove(path, version_row(path, 2))


async def head_removed(scene: Scene, path: str) -> None:
    """What the newest version says still."""
    await scene.subject(path)
    await scene.remove(path, head_row(path))


async def all_rows_removed(scene: Scene, path: str) -> None:
    """As a service loses them: the blobs are all that is left."""
    await scene.volume.put(path, b"left alone")
    await scene.remove(path, head_row(path), version_row(path, 1), *await scene.index_rows(path))


async def chain_edited(scene: Scene, path: str) -> None:
    """The link of an older version."""
    await scene.subject(path)
    await scene.merge(path, version_row(path, 1), {"chain": "0" * 64})


async def digest_edited(scene: Scene, path: str) -> None:
    """The newest version says that it was other content."""
    await scene.subject(path)
    await scene.merge(path, version_row(path, 2), {"digest": f"sha256:{'0' * 64}"})


async def size_edited(scene: Scene, path: str) -> None:
    """And that it was larger."""
    await scene.subject(path)
    await scene.merge(path, version_row(path, 2), {"size": 1_000_000})


async def content_swapped_in_row(scene: Scene, path: str) -> None:
    """The newest version says that it was the content of another file, which is there."""
    await scene.subject(path)
    other = await scene.volume.put(f"{path}.other", b"what it never was")
    values: dict[str, Value] = {"digest": other.digest, "size": other.size, "md5": other.md5 or ""}
    await scene.merge(path, version_row(path, 2), values)


async def copy_edited(scene: Scene, path: str) -> None:
    """An older version, which shares its blob, says that it was the content of another file of the same size."""
    subject = await scene.subject(path)
    copied = f"{path}.copied"
    await scene.volume.copy(path, copied)
    await scene.volume.put(copied, b"later")
    other = await scene.volume.put(f"{path}.other", b"x" * subject.second.size)
    values: dict[str, Value] = {"digest": other.digest, "md5": other.md5 or "", "blob_etag": "of elsewhere"}
    await scene.merge(copied, version_row(copied, 1), values)


async def head_edited(scene: Scene, path: str) -> None:
    """The head says something that its version does not."""
    await scene.subject(path)
    await scene.merge(path, head_row(path), {"size": 1_000_000})


async def head_type_edited(scene: Scene, path: str) -> None:
    """The same, of what no blob can tell."""
    await scene.subject(path)
    await scene.merge(path, head_row(path), {"content_type": "text/x-other"})


async def head_rolled_back(scene: Scene, path: str) -> None:
    """The head as it was a version ago, as a service restores it."""
    await scene.volume.put(path, b"1")
    older = await scene.row(path, head_row(path))
    await scene.volume.put(path, b"2")
    await scene.table.submit(partition_of(scene.volume.info, path), [Replace(head_row(path), older.values)])


async def claim_without_intents(scene: Scene, path: str) -> None:
    """A head that speaks of a move, of which nobody else knows."""
    await scene.subject(path)
    await scene.merge(path, head_row(path), {"moving": op_of(path), "moving_to": f"{path}.moved"})


# --- Rows of indexes --------------------------------------------------------------------------------------------------


async def index_rows_removed(scene: Scene, path: str) -> None:
    """A file that no query by index finds any more."""
    await scene.subject(path)
    await scene.remove(path, *await scene.index_rows(path))


async def index_row_edited(scene: Scene, path: str) -> None:
    """One says something else than the head, of what is no field of its index."""
    await scene.subject(path)
    await scene.merge(path, (await scene.index_rows(path))[0], {"version": 1})


async def index_row_type_edited(scene: Scene, path: str) -> None:
    """The same, of what only a look at all columns shows."""
    await scene.subject(path)
    await scene.merge(path, (await scene.index_rows(path))[0], {"content_type": "text/x-other"})


async def index_row_left(scene: Scene, path: str) -> None:
    """One of a version that was replaced, as a service brings it back."""
    await scene.volume.put(path, f"1 of {path}".encode())
    rows = [await scene.row(path, row) for row in await scene.index_rows(path)]
    await scene.volume.put(path, f"2 of {path}".encode())
    now = {*await scene.index_rows(path)}
    (old,) = (row for row in rows if row.row not in now)
    await insert(scene, path, old.row, old.values)


async def index_rows_of_nobody(scene: Scene, path: str) -> None:
    """One of a path where there has never been a file, in an index that has never been."""
    await insert(scene, path, f"x99 1{op_of(path)} there", {"schema": 1, "path": path})


async def mark_removed(scene: Scene, path: str) -> None:
    """The head does not say any more that it is in indexes, and its rows are nobody's."""
    await scene.subject(path)
    head = await scene.row(path, head_row(path))
    values = {name: value for name, value in head.values.items() if name != "indexed"}
    await scene.table.submit(partition_of(scene.volume.info, path), [Replace(head.row, values)])


async def mark_of_no_index(scene: Scene, path: str) -> None:
    """The head says that it is in one that has never been: nobody can write there."""
    await scene.subject(path)
    await scene.merge(path, head_row(path), {"indexed": "1 2 99"})


# --- Writes that were given up ---------------------------------------------------------------------------------------


async def aborted_and_late(scene: Scene, path: str) -> None:
    """A put that was aborted, and whose content arrived afterwards."""
    await begun(scene, path, "put")
    await scene.cat._recovery.settle(scene.volume.info, path, op_of(path), patience_s=0)
    data = b"late"
    digests = Digests.of(data)
    metadata = {
        "op": op_of(path),
        "path": path,
        "sha256": digests.sha256,
        "md5": digests.md5.hex(),
        "size": f"{len(data)}",
    }
    headers = Headers("text/plain", digests.md5, metadata)
    await scene.content.put(blob_of(scene, path), data, when=IfAbsent(), headers=headers)


def op_of(path: str) -> str:
    """An id as ours are, of no write that there was."""
    return f"01ARZ3NDEKTSV4RRFF{blake2b(path.encode(), digest_size=4).hexdigest().upper()}"


def blob_of(scene: Scene, path: str) -> str:
    """The blob of a put by `op_of` it."""
    return f"{scene.volume.info.root}.versions/{path}~{op_of(path)}"


async def begun(scene: Scene, path: str, kind: str) -> None:
    """The intent of a write by `op_of` it."""
    writer, info = scene.cat._writer, scene.volume.info
    change = Change(info.name, path, kind, Overwrite(), NEVER, {}, "text/plain")  # type: ignore[arg-type]
    op = Op(op_of(path), change, blob_of(scene, path), info.generation, 0, Phase.INTENT)
    await writer._exchange(info, writer.deadline()).send(op, InsertIntent(intent_of(op)))


# --- Purges ----------------------------------------------------------------------------------------------------------


async def purge_begun(scene: Scene, path: str) -> None:
    """Flagged, and its purger died."""
    await _flag(scene, await scene.subject(path))


async def purge_half_done(scene: Scene, path: str) -> None:
    """The content is gone, and the row does not say so yet."""
    subject = await scene.subject(path)
    await _flag(scene, subject)
    await scene.content.delete(subject.first.blob, when=Always())


async def purge_of_shared(scene: Scene, path: str) -> None:
    """Flagged, but a copy needs it."""
    subject = await _shared(scene, path)
    await _flag(scene, subject)


async def purge_of_shared_and_lost(scene: Scene, path: str) -> None:
    """And then its content was lost."""
    subject = await _shared(scene, path)
    await _flag(scene, subject)
    await scene.content.delete(subject.first.blob, when=Always())


async def purged_and_back(scene: Scene, path: str) -> None:
    """Purged to the end; and then somebody brought the blob back."""
    subject = await scene.subject(path)
    blob = await scene.content.stat(subject.first.blob)
    row = parse_version(scene.volume.name, await scene.version(path, 1))
    assert isinstance(await purge(scene.cat, scene.volume, row), Purged)
    await scene.content.put(blob.name, f"1 of {path}".encode(), when=IfAbsent(), headers=blob.headers)


async def purge(client: Catalog, volume: Volume, *rows: VersionRow) -> object:
    """Purge what these versions share."""
    writer, tools = client._writer, client._tools
    purger = Purger(writer.committer, tools.lister, client._content, volume.info, writer.deadline, 4)
    return (await purger.purge("run", [Sharing(rows, {})]))[0]


async def _shared(scene: Scene, path: str) -> Subject:
    first = await scene.volume.put(path, f"1 of {path}".encode())
    await scene.volume.copy(path, f"{path}.copy")
    second = await scene.volume.put(path, f"2 of {path}".encode())
    return Subject(path, first, second, await scene.volume.put(f"{path}.twin", f"1 of {path}".encode()))


async def _flag(scene: Scene, subject: Subject) -> None:
    await scene.merge(subject.path, version_row(subject.path, 1), purging_values("an-old-run"))


# --- Rows that are none of ours --------------------------------------------------------------------------------------


async def newer_schema(scene: Scene, path: str) -> None:
    """A row that a later version has written."""
    await scene.subject(path)
    await scene.merge(path, version_row(path, 1), {"schema": 1_000})


async def no_row_of_ours(scene: Scene, path: str) -> None:
    """Somebody else's, in our partition."""
    await insert(scene, path, "v-strange", {"colour": "green"})


async def unknown_row(scene: Scene, path: str) -> None:
    """R3: a kind of row that we do not know."""
    await insert(scene, path, "k-strange", {"schema": 1})


async def row_without_columns(scene: Scene, path: str) -> None:
    """A version without what every version has."""
    await insert(scene, path, "v-strange", {"schema": 1})


async def column_lost(scene: Scene, path: str, column: str, *, head: bool) -> None:
    """A version, or a head, that does not say one thing that each of them says."""
    await scene.subject(path)
    row = head_row(path) if head else version_row(path, 1)
    values = {name: value for name, value in (await scene.row(path, row)).values.items() if name != column}
    await scene.table.submit(partition_of(scene.volume.info, path), [Replace(row, values)])


async def insert(scene: Scene, path: str, row: str, values: Values) -> None:
    """Put a row there."""
    await scene.table.submit(partition_of(scene.volume.info, path), [Insert(row, values)])


def apart(scene: Scene, path: str) -> str:
    """A path beside this one, in another shard."""
    shards = scene.volume.info.shards
    others = (f"{path}-{number}" for number in range(1_000))
    return next(other for other in others if shard_of(other, shards) != shard_of(path, shards))
