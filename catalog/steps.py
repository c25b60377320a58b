"""What all steps of `protocol` are made of: on to a phase and its request, or to an end. Pure."""

from typing import Any

from .entities import FileVersion, Head
from .errors import CatalogError, ConflictError
from .messages import (
    AbortIntent,
    Answer,
    ClaimSource,
    Commit,
    CommitMove,
    Committed,
    DeleteContent,
    DropIntent,
    FindVersion,
    InsertIntent,
    NotApplied,
    PutContent,
    ReadHead,
    ReadIntent,
    ReadRequest,
    ReadSource,
    Request,
    Result,
    SettleClaim,
    StartOver,
    StatContent,
    Undecided,
)
from .modes import Create
from .moves import tombstone
from .op import Op, Phase, claim_of, fence_of, intent_of, source_intent_of, version_of

Next = tuple[Op, Request | Result]


def to(op: Op, phase: Phase, **learned: Any) -> Next:
    """On to a phase, with its request. `learned`: what of the op is another by now."""
    op = op._replace(phase=phase, **learned)
    return op, request_of(op, phase)


def request_of(op: Op, phase: Phase) -> Request:  # noqa: C901, PLR0911, PLR0912 — one line per phase
    """What a phase asks for."""
    match phase:
        case Phase.REQUEST | Phase.ASK | Phase.LAST:
            return ReadRequest(op.change.request_id or "")
        case Phase.SOURCE:
            assert op.change.source  # noqa: S101 — the phase is entered with it
            return ReadSource(op.change.source)
        case Phase.HEAD | Phase.REBASE:
            return ReadHead(op.change.path)
        case Phase.FROM:
            return ReadHead(op.origin)
        case Phase.CLAIMED:
            return ReadIntent(op.origin, op.id)
        case Phase.CLAIM:
            return ClaimSource(_source(op), source_intent_of(op))
        case Phase.FINISH | Phase.RELEASE:
            return SettleClaim(op.origin, claim_of(op), op.found)
        case Phase.HELP:
            return _help(op)
        case Phase.INTENT:
            return InsertIntent(intent_of(op))
        case Phase.READ_BACK | Phase.SETTLE:
            return ReadIntent(op.change.path, op.id)
        case Phase.CONTENT:
            return PutContent()
        case Phase.STAT | Phase.CLEAN:
            return StatContent()
        case Phase.COMMIT:
            return _commit(op)
        case Phase.LOOK:
            return FindVersion(op.change.path, op.id, op.floor)
        case Phase.ABORT:
            return AbortIntent(fence_of(op))
        case Phase.DELETE:
            return DeleteContent(op.blob_etag)
        case Phase.DROP:
            return DropIntent(fence_of(op))


def _help(op: Op) -> Request:
    assert op.blocked  # noqa: S101 — the phase is entered with it
    assert op.blocked.claim  # noqa: S101
    return SettleClaim(op.blocked.file.path, op.blocked.claim)


def _commit(op: Op) -> Request:
    fence, file = fence_of(op), version_of(op)
    if op.change.kind == "move" and not op.apart:
        source = _source(op)
        return CommitMove(fence.etag, op.base, file, source, tombstone(source, file))
    return Commit(fence.etag, op.base, file)


def _source(op: Op) -> Head:
    assert op.source  # noqa: S101 — all phases that ask for it are entered with it
    return op.source


def look(op: Op) -> Next:
    """Look at the target, where that decides anything."""
    if isinstance(op.change.mode, Create):  # a look first would cost a request, and decide nothing
        return to(op, Phase.INTENT)
    return to(op, Phase.HEAD)


def blocked(op: Op, head: Head, resume: Phase) -> Next:
    """A claimed head stands in the way: settle it, and go on where it was met."""
    return to(op, Phase.HELP, blocked=head, resume=resume)


def committed(op: Op, file: FileVersion) -> Next:
    """Decided. What is left of a move between shards is its source's tombstone, which anyone can write."""
    if op.apart:
        return to(op, Phase.FINISH, found=file)
    return op, Committed(file)


def abort(op: Op, error: CatalogError | None = None) -> Next:
    """From here on there is no way back to a commit. Without an error, the change starts over with a fresh op."""
    return to(op, Phase.ABORT, ending=True, error=error)


def over(op: Op) -> Next:
    """Aborted, and cleaned up."""
    if op.found:
        return op, Committed(op.found)
    return fail(op, op.error) if op.error else (op, StartOver())


def fail(op: Op, error: CatalogError) -> Next:
    """What stands in the way may be another try of the same request: then that is the answer."""
    if op.change.request_id is None:
        return op, NotApplied(error)
    return to(op, Phase.LAST, error=error)


def answered(op: Op, file: FileVersion) -> CatalogError | None:
    """Why the version that a request of this id made is no answer to this one; None where it is."""
    if file.kind == op.change.kind:
        return None
    kind, path = op.change.kind, op.change.path
    message = (
        f"{kind} {path!r}: its request id belongs to another change, the {file.kind} that made version {file.version}"
    )
    found = f"{file.kind} of version {file.version}"
    return ConflictError(message, expected=kind, found=found, op=kind, key=path, kind="conflict.request")


def gave_up(op: Op, error: CatalogError) -> Next:
    """No more requests. Without W3 ever sent unproven, the op is not applied and never will be: only we send its W3."""
    if op.found and (op.found.etag == op.id or not op.doubt):
        return op, Committed(op.found)
    return op, Undecided(error) if op.doubt else NotApplied(op.error or error)


def unexpected(op: Op, answer: Answer) -> AssertionError:
    """A driver that answers another question than was asked."""
    return AssertionError(f"{answer!r} answers no request of {op.phase}")
