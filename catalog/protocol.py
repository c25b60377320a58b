"""The write protocol of immutable volumes, as pure steps: (frozen state, answer) -> (state, next request).

No transaction spans a table and a blob store. A change is all-or-nothing all the same, because one transaction of the
path's shard decides it, and everything before that can be recognised and undone by anyone:

    W1  INTENT    insert the intent, and merge the shard's gate: only writers with the settings in force get in
    W2  CONTENT   put the blob, If-None-Match: *, with the op's id in its metadata             (puts only)
    W3  COMMIT    delete the intent (If-Match), insert or replace the head (If-Match), insert the version row

Whoever wants an open intent out of the way moves it to `aborted` by compare-and-swap. From then on W3 cannot be
applied, not even a copy of it that is still under way; so "committed" and "not applied" are facts, and the blob of an
aborted op may be deleted once no version row of that op is found. Rules that a simpler version gets wrong:

- An answer to W3 that is not a proof (unknown, but also *refused*: the refusal may answer a second copy) is settled by
  reading, the **intent first**, and only when it is gone or aborted the version row. The other order tells lies,
  because the commit can land between the two reads. Once in doubt an op stays in doubt until that has settled it.
- A refusal by itself proves nothing for the op, and one proven attempt does not clear an unproven earlier one (S2).
- A moved head is no conflict while its version is the base's, or where the mode is `Overwrite`: the change is rebased
  onto it and sent again, without a new upload.
- After the compare-and-swap of an abort, the version row is looked for once more: a late copy of W1 can bring the
  intent of a committed op back, and its blob is live (S5).
- Content is deleted only If-Match, and only if it carries this op's id.

The driver (`writer.py`) sends each request once, turns what comes back into an `Answer`, and says `Expired` instead of
sending when the call's time is up. It decides nothing. Recovery and `resolve` are the same steps, entered elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from .changes import conflict, is_unchanged, taking
from .entities import FileVersion, Head, IntentRow
from .errors import CatalogError, IntegrityError, NotFoundError, UnavailableError
from .messages import (
    AbortIntent,
    Absent,
    Answer,
    ClaimSource,
    Commit,
    CommitMove,
    Committed,
    DeleteContent,
    Done,
    Doubt,
    DropIntent,
    Expired,
    Failed,
    FindVersion,
    Foreign,
    Found,
    InsertIntent,
    NotApplied,
    PutContent,
    ReadHead,
    ReadIntent,
    ReadRequest,
    ReadSource,
    Refused,
    Request,
    Result,
    SettleClaim,
    StartOver,
    StatContent,
    Stored,
    Undecided,
)
from .modes import Create
from .moves import tombstone
from .op import Op, Phase, claim_of, fence_of, intent_of, on, referring, source_intent_of, version_at, version_of

Next = tuple[Op, Request | Result]


# --- Entry points ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is at the path, or None, as the caller read it after its own call began."""

    head: Head | None


def begin(op: Op, known: Known | None = None) -> Next:
    """Begin a change."""
    if op.change.request_id is not None:
        return _to(op, Phase.REQUEST)
    return _first(op) if known is None else _on_base(op, known.head)


def _first(op: Op) -> Next:
    return _to(op, Phase.FROM) if op.change.origin else _look(op)


def _look(op: Op) -> Next:
    if isinstance(op.change.mode, Create):  # a look first would cost a request, and decide nothing
        return _to(op, Phase.INTENT)
    return _to(op, Phase.HEAD)


def recover(op: Op, row: IntentRow) -> Next:
    """Settle somebody's intent: abort it, unless its op was committed."""
    return _to(replace(_with(op, row), ending=True), Phase.ABORT if row.intent.state == "open" else Phase.LOOK)


def resolve(op: Op) -> Next:
    """Settle an op whose writer has given up on it."""
    return _to(replace(op, ending=True), Phase.SETTLE)


def step(op: Op, answer: Answer) -> Next:
    """What to do after an answer."""
    match answer:
        case Expired(error):
            return _gave_up(op, error)
        case Failed(UnavailableError()):
            return _to(op, op.phase)  # proven for this request, so the same request again
        case _:
            return _HANDLERS[op.phase](op, answer)


def _to(op: Op, phase: Phase) -> Next:
    return replace(op, phase=phase), _request(op, phase)


def _request(op: Op, phase: Phase) -> Request:  # noqa: C901, PLR0911, PLR0912 — one line per phase
    match phase:
        case Phase.REQUEST | Phase.ASK | Phase.LAST:
            return ReadRequest(op.change.request_id or "")
        case Phase.SOURCE:
            assert op.change.source  # noqa: S101 — the phase is entered with it
            return ReadSource(op.change.source)
        case Phase.HEAD | Phase.REBASE:
            return ReadHead(op.change.path)
        case Phase.FROM | Phase.CLAIMED:
            return ReadHead(op.origin)
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


# --- The way forward -------------------------------------------------------------------------------------------------


def _on_request(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            return op, Committed(file)
        case Absent():
            return _first(op)
        case Failed(error):
            return op, NotApplied(error)
    raise _unexpected(op, answer)


def _on_head(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(Head() as head):
            return _on_base(op, head)
        case Absent():
            return _on_base(op, None)
        case Failed(error):
            return op, NotApplied(error)
    raise _unexpected(op, answer)


def _on_base(op: Op, head: Head | None) -> Next:
    """The head is known, and nothing is written yet."""
    if head and head.claim:
        return _blocked(op, head, Phase.HEAD)
    if error := conflict(op.change, head):
        return _fail(op, error)
    if head and is_unchanged(op.change, op.facts, head):
        return op, Committed(head.file)
    return _to(replace(on(op, head), floor=version_at(head)), Phase.INTENT)


def _on_intent(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row):  # applied, and the answer told etag and time
            return _on_fenced(op, row)
        case Done() | Refused() | Doubt():  # refused: the gate is gone, or this is the answer to a second copy
            return _to(op, Phase.READ_BACK)
        case Failed(error):
            return op, NotApplied(error)
    raise _unexpected(op, answer)


def _on_read_back(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow(intent=intent) as row) if intent.state == "open":
            return _on_fenced(op, row)
        case Found() | Absent():  # aborted; or not there, and if it still comes, recovery will find it
            return op, StartOver()
        case Failed(error):
            return op, NotApplied(error)
    raise _unexpected(op, answer)


def _on_fenced(op: Op, row: IntentRow) -> Next:
    op = replace(op, intent=row)
    match op.change.kind:
        case "put":
            return _to(op, Phase.CONTENT)
        case "copy" | "restore":
            return _to(op, Phase.SOURCE)
        case "move" if op.apart:
            return _to(op, Phase.CLAIM)
        case _:
            return _to(op, Phase.COMMIT)


def _on_source(op: Op, answer: Answer) -> Next:
    """The intent names the blob by now, so whoever would purge it sees that; and it must be live still."""
    match answer:
        case Found(FileVersion() as file) if file.kind != "delete":
            return _to(referring(op, file), Phase.COMMIT)
        case Found() | Absent():
            message = f"there is no content to {op.change.kind} to {op.change.path!r} any more"
            return _abort(op, NotFoundError(message, op=op.change.kind, key=op.change.path))
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


def _on_content(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag, facts):
            return _to(replace(op, blob_etag=etag, facts=facts), Phase.COMMIT)
        case Refused() | Doubt():
            return _to(op, Phase.STAT)
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


def _on_stat(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag, facts):
            return _to(replace(op, blob_etag=etag, facts=facts), Phase.COMMIT)
        case Absent():
            return _to(op, Phase.CONTENT)
        case Foreign():
            message = f"blob {op.blob} is there already, and not this write's"
            return _abort(op, IntegrityError(message, op=op.change.kind, key=op.change.path, kind="integrity.foreign"))
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


def _on_commit(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            return _committed(op, file)
        case Refused() | Doubt():
            return _to(replace(op, doubt=True), Phase.SETTLE)
        case Failed(error) if op.doubt:
            return _to(replace(op, ending=True, error=error), Phase.SETTLE)
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


# --- Settling: intent first, then the version row --------------------------------------------------------------------


def _on_settle(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow(intent=intent) as row):
            if intent.state == "open" and op.intent and row.etag == op.intent.etag:  # not applied so far
                return _to(op, _after_refusal(op))
            return _to(_with(op, row), Phase.LOOK)
        case Absent():
            return _to(replace(op, intent=None), Phase.LOOK)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _after_refusal(op: Op) -> Phase:
    if op.ending:
        return Phase.ABORT
    return Phase.REBASE if op.change.request_id is None else Phase.ASK


def _on_ask(op: Op, answer: Answer) -> Next:
    """The commit was refused: perhaps because another try of the same request was faster."""
    match answer:
        case Found(FileVersion() as file):
            return _abort(replace(op, found=file))
        case Absent():
            return _to(op, Phase.REBASE)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _with(op: Op, row: IntentRow) -> Op:
    """The op with its intent as it is now; whoever settles another's op learns from it which blob is meant."""
    intent = row.intent
    return replace(
        op, intent=row, blob=intent.blob, floor=min(op.floor, intent.base_version), origin=intent.source or op.origin
    )


def _on_rebase(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(Head(file=file)) if file.etag == op.id:
            return _committed(op, file)
        case Found(Head() as head):
            return _rebased(op, head)
        case Absent():
            return _rebased(op, None)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _rebased(op: Op, head: Head | None) -> Next:
    """The same commit on the head as it is now; its row may have moved (S9), and its version, if the mode allows."""
    if head and head.claim:
        return _blocked(op, head, Phase.REBASE)
    if version_at(head) != version_at(op.base) and (error := conflict(op.change, head)):
        return _abort(op, error)
    if head and is_unchanged(op.change, op.facts, head):  # someone else was faster with the very same
        return _abort(replace(op, found=head.file))
    op = on(op, head)
    return _to(op, Phase.FROM) if op.change.kind == "move" and not op.apart else _to(op, Phase.COMMIT)


def _on_look(op: Op, answer: Answer) -> Next:  # noqa: PLR0911 — one line per end
    match answer:
        case Found(FileVersion() as file) if op.intent:
            return _to(replace(op, found=file), Phase.DROP)
        case Found(FileVersion() as file):
            return _committed(op, file)
        case Absent() if op.intent and op.intent.intent.state == "open":
            return _to(replace(op, ending=True), Phase.ABORT)
        case Absent() if op.intent and op.change.kind == "put" and op.blob:
            return _to(replace(op, doubt=False), Phase.CLEAN)
        case Absent() if op.apart:
            return _to(replace(op, doubt=False), Phase.RELEASE)
        case Absent():
            return _over(replace(op, doubt=False))
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


# --- Moving: see `moves` for what a claim is -------------------------------------------------------------------------


def _on_from(op: Op, answer: Answer) -> Next:
    """The head of the source: before anything is written, or once more after a refusal inside one shard."""
    match answer:
        case Found(Head(claim=claim) as head) if claim:
            return _blocked(op, head, Phase.FROM)
        case Found(Head() as head) if head.live and (not op.intent or version_at(head) == version_at(op.source)):
            op = replace(referring(op, head.file), source=head, change=taking(op.change, head.file))
            return _to(op, Phase.COMMIT) if op.intent else _look(op)
        case Found(Head() as head) if head.live:
            return _abort(op)  # it is another version by now: start over with that
        case Found() | Absent():
            kind = op.change.kind
            error = NotFoundError(f"there is no file {op.origin!r} to {kind}", op=kind, key=op.origin)
            return _abort(op, error) if op.intent else _fail(op, error)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _on_claim(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(Head() as head):
            return _to(replace(op, source=head), Phase.COMMIT)
        case Refused() | Doubt():
            return _to(op, Phase.CLAIMED)
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


def _on_claimed(op: Op, answer: Answer) -> Next:
    """Whether the claim was applied. If not, it may be yet; then, with this op aborted, it will be released."""
    match answer:
        case Found(Head(claim=claim) as head) if claim == claim_of(op):
            return _to(replace(op, source=head), Phase.COMMIT)
        case Found() | Absent():
            return _abort(op)
        case Failed(error):
            return _abort(op, error)
    raise _unexpected(op, answer)


def _blocked(op: Op, head: Head, resume: Phase) -> Next:
    return _to(replace(op, blocked=head, resume=resume), Phase.HELP)


def _help(op: Op) -> Request:
    assert op.blocked  # noqa: S101 — the phase is entered with it
    assert op.blocked.claim  # noqa: S101
    return SettleClaim(op.blocked.file.path, op.blocked.claim)


def _on_help(op: Op, answer: Answer) -> Next:
    match answer:
        case Done():
            return _to(replace(op, blocked=None), op.resume)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _committed(op: Op, file: FileVersion) -> Next:
    """Decided. What is left of a move between shards is its source's tombstone, which anyone can write."""
    if op.apart:
        return _to(replace(op, found=file), Phase.FINISH)
    return op, Committed(file)


def _on_finish(op: Op, _: Answer) -> Next:
    assert op.found  # noqa: S101 — the phase is entered with it
    return op, Committed(op.found)


def _on_release(op: Op, _: Answer) -> Next:
    return _over(op)


def _commit(op: Op) -> Request:
    fence, file = fence_of(op), version_of(op)
    if op.change.kind == "move" and not op.apart:
        source = _source(op)
        return CommitMove(fence.etag, op.base, file, source, tombstone(source, file))
    return Commit(fence.etag, op.base, file)


def _source(op: Op) -> Head:
    assert op.source  # noqa: S101 — all phases that ask for it are entered with it
    return op.source


# --- Aborting --------------------------------------------------------------------------------------------------------


def _abort(op: Op, error: CatalogError | None = None) -> Next:
    """From here on there is no way back to a commit. Without an error, the change starts over with a fresh op."""
    return _to(replace(op, ending=True, error=error), Phase.ABORT)


def _on_abort(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row):
            return _to(replace(op, intent=row), Phase.LOOK)
        case Done() | Refused() | Doubt():
            return _to(op, Phase.SETTLE)
        case Failed(error):
            return _gave_up(op, error)
    raise _unexpected(op, answer)


def _on_clean(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag):
            return _to(replace(op, blob_etag=etag), Phase.DELETE)
        case Absent() | Foreign() | Failed():
            return _over(op)
    raise _unexpected(op, answer)


def _on_delete(op: Op, answer: Answer) -> Next:
    match answer:
        case Done() | Absent() | Failed():
            return _over(op)
        case Refused() | Doubt():
            return _to(op, Phase.CLEAN)
    raise _unexpected(op, answer)


def _on_drop(op: Op, _: Answer) -> Next:
    assert op.found  # noqa: S101 — the phase is entered with it
    return _committed(op, op.found)


def _over(op: Op) -> Next:
    if op.found:
        return op, Committed(op.found)
    return _fail(op, op.error) if op.error else (op, StartOver())


def _fail(op: Op, error: CatalogError) -> Next:
    """What stands in the way may be another try of the same request: then that is the answer."""
    if op.change.request_id is None:
        return op, NotApplied(error)
    return _to(replace(op, error=error), Phase.LAST)


def _on_last(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            return op, Committed(file)
        case Absent() if op.error:
            return op, NotApplied(op.error)
        case Failed(error):
            return op, NotApplied(op.error or error)
    raise _unexpected(op, answer)


def _gave_up(op: Op, error: CatalogError) -> Next:
    """No more requests. Without W3 ever sent unproven, the op is not applied and never will be: only we send its W3."""
    if op.found and (op.found.etag == op.id or not op.doubt):
        return op, Committed(op.found)
    return op, Undecided(error) if op.doubt else NotApplied(op.error or error)


_HANDLERS: Final[dict[Phase, Callable[[Op, Answer], Next]]] = {
    Phase.REQUEST: _on_request,
    Phase.ASK: _on_ask,
    Phase.LAST: _on_last,
    Phase.SOURCE: _on_source,
    Phase.HEAD: _on_head,
    Phase.INTENT: _on_intent,
    Phase.READ_BACK: _on_read_back,
    Phase.CONTENT: _on_content,
    Phase.STAT: _on_stat,
    Phase.COMMIT: _on_commit,
    Phase.SETTLE: _on_settle,
    Phase.REBASE: _on_rebase,
    Phase.LOOK: _on_look,
    Phase.ABORT: _on_abort,
    Phase.CLEAN: _on_clean,
    Phase.DELETE: _on_delete,
    Phase.DROP: _on_drop,
    Phase.FROM: _on_from,
    Phase.CLAIM: _on_claim,
    Phase.CLAIMED: _on_claimed,
    Phase.FINISH: _on_finish,
    Phase.RELEASE: _on_release,
    Phase.HELP: _on_help,
}


def _unexpected(op: Op, answer: Answer) -> AssertionError:
    return AssertionError(f"{answer!r} answers no request of {op.phase}")
