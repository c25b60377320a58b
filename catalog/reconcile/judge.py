"""In which state a blob or a write is, as it was read live. Pure: no request, no clock, no guess.

A state is the first that is true, in the order of `difference`. What headers and etags cannot tell is asked of the
bytes: `must_read` says when.
"""

from collections.abc import Sequence
from dataclasses import replace

from storage import Blob

from ..entities import FileVersion, IntentRow, VolumeInfo
from ..exchange import OP
from ..times import from_microseconds
from .difference import Action, Difference, State, at_of, iso
from .names import Name, name_of
from .seen import SeenBlob, SeenOp, named, rows_of

# --- Blobs -----------------------------------------------------------------------------------------------------------


def must_read(volume: VolumeInfo, seen: SeenBlob) -> bool:
    """Whether only its bytes can tell what is the matter: its etag has moved, and nothing else says what it holds."""
    if seen.blob is None or not seen.needed_by or seen.content is not None or not _moved(seen):
        return False
    file = seen.wanted(name_of(volume, seen.name).op)
    return seen.blob.size == file.size and _same_by_md5(seen.blob, file) is None


def judge_blob(volume: VolumeInfo, seen: SeenBlob) -> Difference | None:
    """What is the matter with a blob, and with the versions that refer to it; None where nothing is."""
    name, blob = name_of(volume, seen.name), seen.blob
    told = blob.headers.metadata.get(OP, "") if blob and seen.name.startswith(volume.root) else ""
    op = told or name.op
    mine = [row for row in seen.rows if row.file.etag == op]
    if blob is not None and not mine and seen.intent is not None and seen.intent.intent.op == op:
        return _of_intent(seen, seen.intent)
    purging = any(row.purging and not row.purged for row in seen.rows)
    if seen.needed_by and ((found := _of_versions(seen, name)) or not purging):
        return found  # what is wrong for those who need it counts more than a purge that leaves it alone
    if purging:
        return _of_purge(seen)
    return None if blob is None else _of_nobody(volume, seen, name, told)


def _of_intent(seen: SeenBlob, row: IntentRow) -> Difference:
    assert seen.blob  # noqa: S101 — asked before
    intent = row.intent
    state: State = "aborted" if intent.state == "aborted" else "in-flight"
    return Difference(
        state,
        seen.name,
        path=intent.path,
        op=intent.op,
        writer=intent.writer,
        at=iso(from_microseconds(row.timestamp)),
        why=f"the content of a {intent.kind} that was given up"
        if state == "aborted"
        else f"the content of a {intent.kind} that is under way",
        size=seen.blob.size,
        action="settle" if state == "aborted" else "none",
        blob_etag=seen.blob.etag,
        rows={f"i {intent.op} {intent.path}": row.etag},
    )


def _of_purge(seen: SeenBlob) -> Difference:
    rows = [row for row in seen.rows if row.purging and not row.purged]
    files = [row.file for row in rows]
    why = f"flagged by purge {rows[0].purging}"
    if seen.needed_by:
        why += f"; it stays, because {named(seen.needed_by[0])} refers to it"
    return _difference("purging", seen, files, why, "none" if seen.needed_by else "finish-purge")


def _of_versions(seen: SeenBlob, name: Name) -> Difference | None:
    found = _of_content(seen, name)
    if found is None or seen.agreed:
        return found
    return replace(found, action="none", why=f"{found.why}; the versions that refer to it do not agree about it")


def _of_content(seen: SeenBlob, name: Name) -> Difference | None:
    blob, files, file = seen.blob, seen.needed_by, seen.wanted(name.op)
    if blob is None:
        return _difference("missing", seen, files, "the blob is not there", "heal" if name.op else "none")
    moved, wrong = _moved(seen), _wrong(seen, file)
    signed = bool(name.op) and blob.headers.metadata.get(OP) == name.op
    if wrong:
        state: State = "foreign-overwrite" if moved and not signed else "corrupt"
        return _difference(state, seen, files, wrong, "heal" if name.op else "none")
    if not moved:
        return None
    disagree = _headers(blob, file, name)
    if disagree:
        return _difference("stale-metadata", seen, files, f"the bytes are right, but {disagree}", "rewrite-headers")
    told = sorted({each.blob_etag for each in _told(seen)} - {blob.etag})
    why = f"its etag is {blob.etag}, rows say {', '.join(told)}; bytes and headers are as they were"
    return _difference("touched", seen, files, why, "refresh")


def _of_nobody(volume: VolumeInfo, seen: SeenBlob, name: Name, op: str) -> Difference:
    """Ours is what says so, under the name that we gave it, in this volume: all else is another's."""
    assert seen.blob  # noqa: S101 — asked before
    found = seen.blob.headers.metadata
    theirs = "nobody's: it carries no id of ours" if not op else ""
    if op and op != name.op:
        theirs = "a copy of content of ours, under a name that we did not give it"
    if op and found.get("epoch", volume.epoch) != volume.epoch:
        theirs = f"another volume wrote it ({found['epoch']}), or one that was deleted"
    if theirs:
        state: State = "foreign-new" if name.path else "invalid-name"
        why = theirs if name.path else "its name can be no file's"
        return Difference(state, seen.name, path=name.path, why=why, size=seen.blob.size, blob_etag=seen.blob.etag)
    why = "no version refers to it, and no write is under way"
    if any(row.purged for row in seen.rows):
        why = "its versions say that it was purged"
    return Difference(
        "orphan-ours",
        seen.name,
        path=found.get("path", name.path),
        op=op,
        writer=found.get("writer", ""),
        at=at_of(op),
        why=why,
        size=seen.blob.size,
        blob_etag=seen.blob.etag,
    )


def _difference(state: State, seen: SeenBlob, files: Sequence[FileVersion], why: str, action: Action) -> Difference:
    file = min(files, key=lambda each: (each.created, each.path, each.version))
    return Difference(
        state,
        seen.name,
        path=file.path,
        versions=tuple(sorted(named(each) for each in files)),
        op=file.etag,
        writer=file.writer,
        at=iso(file.created),
        why=why,
        size=file.size,
        action=action,
        blob_etag=seen.blob.etag if seen.blob else "",
        rows=rows_of([row for row in seen.rows if not row.purged], seen.heads),
    )


def _moved(seen: SeenBlob) -> bool:
    """Whether the blob has another etag than somebody who needs it says."""
    return seen.blob is not None and any(file.blob_etag != seen.blob.etag for file in _told(seen))


def _told(seen: SeenBlob) -> list[FileVersion]:
    """What rows and heads say, of those that need it."""
    return [row.file for row in seen.rows if row.live] + [head.file for head in seen.heads]


def _wrong(seen: SeenBlob, file: FileVersion) -> str:  # noqa: PLR0911 — one line per proof
    """What proves that the bytes are others; empty where nothing does."""
    blob, content = seen.blob, seen.content
    assert blob  # noqa: S101 — asked before
    if isinstance(content, str):
        return content
    if not _moved(seen) and (content is None or content.sha256 == blob.headers.metadata.get("sha256")):
        return ""  # nobody has written it since its put: where a row says otherwise, the row was edited
    if content is not None:
        if file.digest and content.digest != file.digest:
            return f"its bytes have the digest {content.digest}, not {file.digest}"
        if not file.digest and file.md5 and content.md5.hex() != file.md5:
            return f"its bytes have the MD5 {content.md5.hex()}, not {file.md5}"
        if content.size != file.size:
            return f"it has {content.size:,} bytes, not {file.size:,}"
        if not file.digest and not file.md5 and _moved(seen):
            return "others have changed it, and nothing tells what it held when it was adopted"
        return ""
    if blob.size != file.size:
        return f"it has {blob.size:,} bytes, not {file.size:,}"
    if _same_by_md5(blob, file) is False and _moved(seen):
        return f"its MD5 is {_md5(blob)}, not {file.md5}"
    return ""


def _same_by_md5(blob: Blob, file: FileVersion) -> bool | None:
    """Whether the service's MD5 of the content is that of the version; None where either does not tell."""
    found = _md5(blob)
    return found == file.md5 if found and file.md5 else None


def _md5(blob: Blob) -> str:
    return blob.headers.md5.hex() if blob.headers.md5 else ""


def _headers(blob: Blob, file: FileVersion, name: Name) -> str:
    """What the headers of one of our blobs say that is not so."""
    if not name.op:  # nobody but its owner knows what they ought to be
        return ""
    found = blob.headers.metadata
    told = {
        "op": (found.get(OP), name.op),
        "path": (found.get("path"), name.path),
        "sha256": (found.get("sha256"), file.digest.removeprefix("sha256:")),
        "size": (found.get("size"), f"{file.size}"),
        "MD5": (_md5(blob) or file.md5, file.md5),
        "content type": (blob.headers.content_type, file.content_type),
    }
    wrong = [what for what, (says, is_) in told.items() if says != is_]
    return f"its headers are not: {', '.join(wrong)}" if wrong else ""


# --- Writes ----------------------------------------------------------------------------------------------------------


def judge_op(seen: SeenOp, *, settle: bool) -> Difference | None:
    """A write under way; `settle`: whether it is older than its patience."""
    rows = [row for row in seen.rows if row.intent.state == "open"]
    if not rows:
        return None
    intent, since = rows[0].intent, min(row.timestamp for row in rows)
    where = f"{intent.source} → {intent.path}" if intent.source else intent.path
    return Difference(
        "in-flight",
        seen.op,
        path=intent.path,
        op=seen.op,
        writer=intent.writer,
        at=iso(from_microseconds(since)),
        why=f"{intent.kind} {where}" + ("" if settle else "; its writer may be alive"),
        action="settle" if settle else "none",
        rows={f"i {row.intent.op} {row.intent.path}": row.etag for row in rows},
    )
