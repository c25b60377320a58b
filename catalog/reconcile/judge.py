"""In which state a blob, a path or a write is, as it was read live. Pure: no request, no clock, no guess.

A state is the first that is true, in the order of `difference`. What headers and etags cannot tell is asked of the
bytes: `must_read` says when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from storage import Blob, Digests

from ..entities import FileVersion, Head, IntentRow, VersionRow, VolumeInfo, chain
from ..exchange import OP
from ..times import from_microseconds
from .difference import Action, Difference, State, at_of, iso
from .names import Name, name_of

UNREADABLE: Final = "its bytes cannot be read"


@dataclass(frozen=True, slots=True)
class SeenBlob:
    """All that is known of a blob's name at one moment."""

    name: str
    blob: Blob | None
    rows: tuple[VersionRow, ...] = ()
    """The versions that refer to it."""
    heads: tuple[Head, ...] = ()
    """The heads that do."""
    intent: IntentRow | None = None
    """Of the write whose id the blob, or its name, tells."""
    content: Digests | str | None = None
    """What its bytes are; UNREADABLE with the reason; None where nobody has read them."""

    @property
    def needed_by(self) -> tuple[FileVersion, ...]:
        """The versions that need it; also one of which only the head is left."""
        known = {(row.file.path, row.file.version) for row in self.rows}
        lost = (head.file for head in self.heads if (head.file.path, head.file.version) not in known)
        return (*(row.file for row in self.rows if row.live), *lost)


@dataclass(frozen=True, slots=True)
class SeenPath:
    """All rows of a path at one moment."""

    path: str
    head: Head | None
    rows: tuple[VersionRow, ...]
    """Oldest first."""
    move: bool = False
    """Whether there is more of the move that the head speaks of: an intent, or its version at the target."""


@dataclass(frozen=True, slots=True)
class SeenOp:
    """A write's intents at one moment: two, where it is a move between shards."""

    op: str
    rows: tuple[IntentRow, ...]


# --- Blobs -----------------------------------------------------------------------------------------------------------


def must_read(seen: SeenBlob) -> bool:
    """Whether only its bytes can tell what is the matter: its etag has moved, and nothing else says what it holds."""
    if seen.blob is None or not seen.needed_by or seen.content is not None or not _moved(seen):
        return False
    file = seen.needed_by[0]
    return seen.blob.size == file.size and _same_by_md5(seen.blob, file) is None


def judge_blob(volume: VolumeInfo, seen: SeenBlob) -> Difference | None:
    """What is the matter with a blob, and with the versions that refer to it; None where nothing is."""
    name, blob = name_of(volume, seen.name), seen.blob
    op = (blob.headers.metadata.get(OP, "") if blob else "") or name.op
    mine = [row for row in seen.rows if row.file.etag == op]
    if blob is not None and not mine and seen.intent is not None and seen.intent.intent.op == op:
        return _of_intent(seen, seen.intent)
    purging = any(row.purging and not row.purged for row in seen.rows)
    if seen.needed_by and ((found := _of_versions(seen, name)) or not purging):
        return found  # what is wrong for those who need it counts more than a purge that leaves it alone
    if purging:
        return _of_purge(seen)
    return None if blob is None else _of_nobody(seen, name, op)


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
        why += f"; it stays, because {_named(seen.needed_by[0])} refers to it"
    return _difference("purging", seen, files, why, "none" if seen.needed_by else "finish-purge")


def _of_versions(seen: SeenBlob, name: Name) -> Difference | None:
    blob, files, file = seen.blob, seen.needed_by, seen.needed_by[0]
    if blob is None:
        return _difference("missing", seen, files, "the blob is not there", "heal" if _ours(name) else "none")
    moved, wrong = _moved(seen), _wrong(seen, file)
    ours = name.op == "" or blob.headers.metadata.get(OP) == name.op
    if wrong:
        state: State = "foreign-overwrite" if moved and (not ours or not _ours(name)) else "corrupt"
        return _difference(state, seen, files, wrong, "heal" if _ours(name) else "none")
    if not moved:
        return None
    disagree = _headers(blob, file, name)
    if disagree:
        return _difference("stale-metadata", seen, files, f"the bytes are right, but {disagree}", "rewrite-headers")
    why = f"its etag is {blob.etag}, the rows say {file.blob_etag}; bytes and headers are as they were"
    return _difference("touched", seen, files, why, "refresh")


def _of_nobody(seen: SeenBlob, name: Name, op: str) -> Difference:
    assert seen.blob  # noqa: S101 — asked before
    found = seen.blob.headers.metadata
    if not op:
        state: State = "foreign-new" if name.path else "invalid-name"
        why = "nobody's: it carries no id of ours" if name.path else "its name can be no file's"
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
        versions=tuple(sorted(_named(each) for each in files)),
        op=file.etag,
        writer=file.writer,
        at=iso(file.created),
        why=why,
        size=file.size,
        action=action,
        blob_etag=seen.blob.etag if seen.blob else "",
        rows=_rows([row for row in seen.rows if not row.purged], seen.heads),
    )


def _moved(seen: SeenBlob) -> bool:
    """Whether the blob has another etag than somebody who needs it says."""
    told = [row.file.blob_etag for row in seen.rows if row.live] + [head.file.blob_etag for head in seen.heads]
    return seen.blob is not None and any(etag != seen.blob.etag for etag in told)


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
    if not _ours(name):
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


def _ours(name: Name) -> bool:
    """Whether the name is one that only we choose: nobody else may have a right to the blob."""
    return bool(name.op)


def _rows(rows: Iterable[VersionRow], heads: Iterable[Head]) -> dict[str, str]:
    found = {f"v {_named(row.file)}": row.etag for row in rows}
    return found | {f"h {head.file.path}": head.row_etag for head in heads}


def _named(file: FileVersion) -> str:
    return f"{file.path}@{file.version}"


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


# --- Paths -----------------------------------------------------------------------------------------------------------


def judge_path(seen: SeenPath) -> Difference | None:
    """Whether a path's rows fit together: versions 1…n without a gap, each linked to the one before, the head row n."""
    if seen.head is not None and seen.head.claim is not None and seen.move:
        return None  # a move is under way, and the write's own finding tells
    files = [row.file for row in seen.rows]
    file = files[-1] if files else seen.head.file if seen.head else None
    if file is None:
        return None  # a path without rows has no history
    wrong, action = _history(files, seen.head)
    if seen.head is not None and seen.head.claim is not None and action != "insert-version":
        wrong.append(f"the head is claimed by a move to {seen.head.claim.target!r}, of which there is no other trace")
        action = action if len(wrong) > 1 else "insert-head"
    if not wrong:
        return None
    return Difference(
        "history-broken",
        seen.path,
        path=seen.path,
        versions=tuple(_named(each) for each in files),
        op=file.etag,
        writer=file.writer,
        at=iso(file.created),
        why="; ".join(wrong),
        action=action,
        rows=_rows(seen.rows, [seen.head] if seen.head else []),
    )


def _history(files: Sequence[FileVersion], head: Head | None) -> tuple[list[str], Action]:
    """What is wrong, and what would mend it."""
    newest = files[-1].version if files else 0
    last = max(newest, head.file.version if head else 0)
    gaps = sorted(set(range(1, last + 1)) - {file.version for file in files})
    breaks = _breaks(files)
    wrong = [f"no row of version {_spans(gaps)}"] if gaps else []
    wrong += [f"the chain is broken at version {_spans(breaks)}"] if breaks else []
    if head is None:
        return [*wrong, "no head"], "insert-head" if not gaps and not breaks else "none"
    if head.file.version < newest:
        wrong.append(f"the head is version {head.file.version}, the newest is {newest}")
        return wrong, "insert-head" if not gaps and not breaks else "none"
    if gaps == [last] and not breaks and head.file.chain == chain(files[-1].chain if files else "", head.file):
        return wrong, "insert-version"
    if not gaps and not _same(head.file, files[-1]):
        wrong.append(f"head and version {newest} differ")
        before = files[-2].chain if len(files) > 1 else ""
        if not breaks:
            return wrong, "insert-head"
        if breaks == [newest] and head.file.chain == chain(before, head.file):
            return wrong, "insert-version"
    return wrong, "none"


def _breaks(files: Sequence[FileVersion]) -> list[int]:
    """The versions whose link to the one before, where that is there, is not what it must be."""
    befores: list[FileVersion | None] = [None, *files][: len(files)]
    return [
        file.version
        for before, file in zip(befores, files, strict=True)
        if (file.version == 1 or (before is not None and before.version == file.version - 1))
        and file.chain != chain(before.chain if before else "", file)
    ]


def _same(head: FileVersion, row: FileVersion) -> bool:
    """As written: the services' etags may be noted at one place before the other."""
    return (head.chain, head.blob, chain("", head)) == (row.chain, row.blob, chain("", row))


def _spans(versions: Iterable[int]) -> str:
    """Numbers as people write them: `2, 5-7`."""
    spans: list[list[int]] = []
    for version in versions:
        if spans and spans[-1][-1] == version - 1:
            spans[-1][1:] = [version]
        else:
            spans.append([version])
    return ", ".join("-".join(f"{end}" for end in span) for span in spans)
