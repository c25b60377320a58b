"""The steps of `protocol` that only copies and moves take: reading the source, and, between two shards, its claim.

See `moves` for what a claim is, and for how it is settled.
"""

from .changes import taking
from .entities import Head, IntentRow
from .errors import NotFoundError
from .messages import (
    Absent,
    Answer,
    Committed,
    Done,
    Doubt,
    Failed,
    Found,
    Refused,
)
from .op import Op, Phase, referring, version_at
from .steps import Next, abort, blocked, fail, gave_up, look, over, to, unexpected


def on_from(op: Op, answer: Answer) -> Next:
    """The head of the source: before anything is written, or once more after a refusal inside one shard."""
    match answer:
        case Found(Head(claim=claim) as head) if claim:
            return blocked(op, head, Phase.FROM)
        case Found(Head() as head) if head.live and (not op.intent or version_at(head) == version_at(op.source)):
            op = referring(op, head.file)._replace(source=head, change=taking(op.change, head.file))
            return to(op, Phase.COMMIT) if op.intent else look(op)
        case Found(Head() as head) if head.live:
            return abort(op)  # it is another version by now: start over with that
        case Found() | Absent():
            kind = op.change.kind
            error = NotFoundError(f"there is no file {op.origin!r} to {kind}", op=kind, key=op.origin)
            return abort(op, error) if op.intent else fail(op, error)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def on_claim(op: Op, answer: Answer) -> Next:
    """T2 was answered, or not."""
    match answer:
        case Found(IntentRow() as row):
            return to(op, Phase.COMMIT, claimed=row.timestamp)
        case Done() | Refused() | Doubt():
            return to(op, Phase.CLAIMED)
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


def on_claimed(op: Op, answer: Answer) -> Next:
    """Whether the claim was applied, and when. If not, it may be yet; then, with this op aborted, it is released."""
    match answer:
        case Found(IntentRow() as row):
            return to(op, Phase.COMMIT, claimed=row.timestamp)
        case Absent():
            return abort(op)
        case Failed(error):
            return abort(op, error)
    raise unexpected(op, answer)


def on_help(op: Op, answer: Answer) -> Next:
    """Whoever stood in the way is out of it."""
    match answer:
        case Done():
            return to(op._replace(blocked=None), op.resume)
        case Failed(error):
            return gave_up(op, error)
    raise unexpected(op, answer)


def on_finish(op: Op, _: Answer) -> Next:
    """T4 is done, or left to the next who looks: the move is committed all the same."""
    assert op.found  # noqa: S101 — the phase is entered with it
    return op, Committed(op.found)


def on_release(op: Op, _: Answer) -> Next:
    """The claim is released, or left to the next who looks."""
    return over(op)
