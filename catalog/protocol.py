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
from dataclasses import dataclass
from typing import Final

from .changes import conflict, is_unchanged
from .entities import FileVersion, Head, IntentRow
from .errors import IntegrityError, InvalidError, NotFoundError, UnavailableError
from .messages import (
    Absent,
    Answer,
    Committed,
    Done,
    Doubt,
    Expired,
    Failed,
    Foreign,
    Found,
    Late,
    NotApplied,
    Refused,
    StartOver,
    Stored,
)
from .moving import on_claim, on_claimed, on_finish, on_from, on_help, on_release
from .op import Op, Phase, on, referring, version_at
from .steps import Next, abort, answered, blocked, committed, fail, gave_up, look, over, to, unexpected

# --- Entry points ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is at the path, or None, as the caller read it after its own call began."""

    head: Head | None


def begin(op: Op, known: Known | None = None) -> Next:
    """Begin a change."""
    if op.change.request_id is not None:
        return to(op, Phase.REQUEST)
    return _first(op) if known is None else _on_base(op, known.head)


def _first(op: Op) -> Next:
    return to(op, Phase.FROM) if op.change.origin else look(op)


def recover(op: Op, row: IntentRow) -> Next:
    """Settle somebody's intent: abort it, unless its op was committed."""
    return to(_with(op, row)._replace(ending=True), Phase.ABORT if row.intent.state == "open" else Phase.LOOK)


def resolve(op: Op) -> Next:
    """Settle an op whose writer has given up on it."""
    return to(op, Phase.SETTLE, ending=True)


def step(op: Op, answer: Answer) -> Next:
    """What to do after an answer."""
    match answer:
        case Expired(error):
            return gave_up(op, error)
        case Failed(UnavailableError()):
            return to(op, op.phase)  # proven for this request, so the same request again
        case _:
            return _HANDLERS[op.phase](op, answer)


# --- The way forward -------------------------------------------------------------------------------------------------


def _on_request(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            error = answered(op, file)
            return op, NotApplied(error) if error else Committed(file)
        case Absent():
            return _first(op)
        case Failed(error):
            return op, NotApplied(error)
    raise unexpected(op, answer)


def _on_head(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(Head() as head):
            return _on_base(op, head)
        case Absent():
            return _on_base(op, None)
        case Failed(error):
            return op, NotApplied(error)
    raise unexpected(op, answer)


def _on_base(op: Op, head: Head | None) -> Next:
    """The head is known, and nothing is written yet."""
    if head and head.claim:
        return blocked(op, head, Phase.HEAD)
    if error := conflict(op.change, head):
        return fail(op, error)
    if head and is_unchanged(op.change, op.facts, head):
        return op, Committed(head.file)
    return to(on(op, head), Phase.INTENT, floor=version_at(head))


def _on_intent(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row):  # applied, and the answer told etag and time
            return _on_fenced(op, row)
        case Done() | Refused() | Doubt():  # refused: the gate is gone, or this is the answer to a second copy
            return to(op, Phase.READ_BACK, unheard=isinstance(answer, Doubt))
        case Failed(error):
            return op, NotApplied(error)
    raise unexpected(op, answer)


def _on_read_back(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow(intent=intent) as row) if intent.state == "open":
            return _on_fenced(op, row)
        case Absent() if op.bound and op.unheard:  # no other op can have this content: the same W1 once more
            return to(op, Phase.INTENT)
        case Found() | Absent():  # aborted; or not there, and if it still comes, recovery will find it
            return op, StartOver()
        case Failed(error):
            return op, NotApplied(error)
    raise unexpected(op, answer)


def _on_fenced(op: Op, row: IntentRow) -> Next:
    match op.change.kind:
        case "put":
            return to(op, Phase.CONTENT, intent=row)
        case "copy" | "restore":
            return to(op, Phase.SOURCE, intent=row)
        case "move" if op.apart:
            return to(op, Phase.CLAIM, intent=row)
        case _:
            return to(op, Phase.COMMIT, intent=row)


def _on_source(op: Op, answer: Answer) -> Next:
    """The intent names the blob by now, so whoever would purge it sees that; and it must be live still."""
    match answer:
        case Found(FileVersion() as file):
            return to(referring(op, file), Phase.COMMIT)
        case Absent() if op.origin:  # no current version is ever purged: the source is another one by now
            return abort(op)
        case Absent():
            message = f"the content to {op.change.kind} to {op.change.path!r} is purged, or about to be"
            error = NotFoundError(message, op=op.change.kind, key=op.change.path, kind="not-found.purged")
            return abort(op, error)
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


def _on_content(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag, facts):
            return to(op, Phase.COMMIT, blob_etag=etag, facts=facts)
        case Late():
            return abort(op)
        case Refused() | Doubt():
            return to(op, Phase.STAT)
        case Failed(InvalidError() as error) if op.bound and error.kind == "invalid.block":
            return abort(op)  # its blocks are used up: it was here, and others have aborted it and removed it
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


def _on_stat(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag, facts):
            return to(op, Phase.COMMIT, blob_etag=etag, facts=facts)
        case Absent():
            return to(op, Phase.CONTENT)
        case Foreign():
            message = f"blob {op.blob} is there already, and not this write's"
            return abort(op, IntegrityError(message, op=op.change.kind, key=op.change.path, kind="integrity.foreign"))
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


def _on_commit(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            return committed(op, file)
        case Refused() | Doubt():
            return to(op, Phase.SETTLE, doubt=True)
        case Failed(error) if op.doubt:
            return to(op, Phase.SETTLE, ending=True, error=error)
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


# --- Settling: intent first, then the version row --------------------------------------------------------------------


def _on_settle(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow(intent=intent) as row):
            if intent.state == "open" and op.intent and row.etag == op.intent.etag:  # not applied so far
                return to(op, _after_refusal(op))
            return to(_with(op, row), Phase.LOOK)
        case Absent():
            return to(op, Phase.LOOK, intent=None)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def _after_refusal(op: Op) -> Phase:
    if op.ending:
        return Phase.ABORT
    return Phase.REBASE if op.change.request_id is None else Phase.ASK


def _on_ask(op: Op, answer: Answer) -> Next:
    """The commit was refused: perhaps because another try of the same request was faster."""
    match answer:
        case Found(FileVersion() as file):
            error = answered(op, file)
            return abort(op, error) if error else abort(op._replace(found=file))
        case Absent():
            return to(op, Phase.REBASE)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def _with(op: Op, row: IntentRow) -> Op:
    """The op with its intent as it is now; whoever settles another's op learns from it which blob is meant."""
    intent = row.intent
    return op._replace(
        intent=row, blob=intent.blob, floor=min(op.floor, intent.base_version), origin=intent.source or op.origin
    )


def _on_rebase(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(Head(file=file)) if file.etag == op.id:
            return committed(op, file)
        case Found(Head() as head):
            return _rebased(op, head)
        case Absent():
            return _rebased(op, None)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def _rebased(op: Op, head: Head | None) -> Next:
    """The same commit on the head as it is now; its row may have moved (S9), and its version, if the mode allows."""
    if head and head.claim:
        return blocked(op, head, Phase.REBASE)
    if version_at(head) != version_at(op.base) and (error := conflict(op.change, head)):
        return abort(op, error)
    if head and is_unchanged(op.change, op.facts, head):  # someone else was faster with the very same
        return abort(op._replace(found=head.file))
    op = on(op, head)
    return to(op, Phase.FROM) if op.change.kind == "move" and not op.apart else to(op, Phase.COMMIT)


def _on_look(op: Op, answer: Answer) -> Next:  # noqa: PLR0911 — one line per end
    match answer:
        case Found(FileVersion() as file) if op.intent:
            return to(op, Phase.DROP, found=file)
        case Found(FileVersion() as file):
            return committed(op, file)
        case Absent() if op.intent and op.intent.intent.state == "open":
            return to(op, Phase.ABORT, ending=True)
        case Absent() if op.intent and op.change.kind == "put" and op.blob:
            return to(op, Phase.CLEAN, doubt=False)
        case Absent() if op.apart:
            return to(op, Phase.RELEASE, doubt=False)
        case Absent():
            return over(op._replace(doubt=False))
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


# --- Aborting --------------------------------------------------------------------------------------------------------


def _on_abort(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(IntentRow() as row):
            return to(op, Phase.LOOK, intent=row)
        case Done() | Refused() | Doubt():
            return to(op, Phase.SETTLE)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def _on_clean(op: Op, answer: Answer) -> Next:
    match answer:
        case Stored(etag):
            return to(op, Phase.DELETE, blob_etag=etag)
        case Absent() | Foreign() | Failed():
            return over(op)
    raise unexpected(op, answer)


def _on_delete(op: Op, answer: Answer) -> Next:
    match answer:
        case Done() | Absent() | Failed():
            return over(op)
        case Refused() | Doubt():
            return to(op, Phase.CLEAN)
    raise unexpected(op, answer)


def _on_drop(op: Op, _: Answer) -> Next:
    assert op.found  # noqa: S101 — the phase is entered with it
    return committed(op, op.found)


def _on_last(op: Op, answer: Answer) -> Next:
    match answer:
        case Found(FileVersion() as file):
            error = answered(op, file)
            return op, NotApplied(error) if error else Committed(file)
        case Absent() if op.error:
            return op, NotApplied(op.error)
        case Failed(error):
            return op, NotApplied(op.error or error)
    raise unexpected(op, answer)


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
    Phase.FROM: on_from,
    Phase.CLAIM: on_claim,
    Phase.CLAIMED: on_claimed,
    Phase.FINISH: on_finish,
    Phase.RELEASE: on_release,
    Phase.HELP: on_help,
}
