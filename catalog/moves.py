"""Settling a claim: the end of a move between two shards, whoever brings it about. Pure steps, as `protocol`.

No transaction spans two shards. A move m of a@n (shard S) to b (shard T) is four:

    T1  in T   insert the intent of m
    T2  in S   claim: replace head a, same version, `moving` = m to b; insert m's intent there too
    T3  in T   commit: delete the intent If-Match; insert or replace head b; insert the version row     <- decides
    T4  in S   finish: replace head a by its tombstone n+1; insert that version row; delete m's intent there

T3's version is as old as the younger of both intents, and T4's tombstone has the same time. So each is not older than
the intent of its own shard, and where somebody found that a shard's history before some time is all there (see
`finality`), no move adds to it later.

A claimed head is not changed by anyone before its claim is settled: by the mover itself, by whoever wants to change or
read it, or by recovery. To settle is to find out whether T3 was or can ever be applied, in this order: the intent in T
is moved to `aborted` if it is open; only once it is not, m's version row is looked for at b. Found: T4. Not found: the
claim is released. Both replace head a If-Match, so of many who settle one is applied, and the others see it done.

A reader settles gently: it finishes what was decided, and leaves a move alone that may still be. The source is live
until T3, so it reads that; and a file that is looked at all the time can be moved all the same.

Skipping T4, or rebasing it onto a source that was changed meanwhile, loses acknowledged writes or lets two moves of one
file succeed; so the claim stands until it is settled, and T4 can never fail for good.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from .entities import Claim, FileVersion, Head, IntentRow, chain
from .errors import CatalogError, UnavailableError
from .messages import (
    AbortIntent,
    Absent,
    Answer,
    Done,
    Doubt,
    Expired,
    Failed,
    FindVersion,
    Finish,
    Found,
    ReadHead,
    ReadIntent,
    Refused,
    Release,
)
from .times import from_microseconds, microseconds


class Step(Enum):
    """What a settling waits for."""

    SOURCE = auto()
    FENCE = auto()
    ABORT = auto()
    LOOK = auto()
    FINISH = auto()
    RELEASE = auto()


@dataclass(frozen=True, slots=True)
class Settling:
    """One attempt at settling the claim of a move."""

    source: str
    claim: Claim
    gentle: bool = False
    step: Step = Step.SOURCE
    head: Head | None = None
    fence: IntentRow | None = None
    made: FileVersion | None = None  # the version that the move made at its target


@dataclass(frozen=True, slots=True)
class Settled:
    """The claim is gone: finished or released, by us or by someone else. Or gently left alone."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The claim could not be settled now; the next who looks will."""

    error: CatalogError


SettlingRequest = ReadHead | ReadIntent | AbortIntent | FindVersion | Finish | Release
SettlingNext = tuple[Settling, SettlingRequest | Settled | Unsettled]


def settle(source: str, claim: Claim, *, made: FileVersion | None = None, gentle: bool = False) -> SettlingNext:
    """Begin. `made` is the version that the move made, where that is known already."""
    return _to(Settling(source, claim, gentle, made=made), Step.SOURCE)


def settling_step(at: Settling, answer: Answer) -> SettlingNext:
    """What to do after an answer."""
    match answer:
        case Expired(error):
            return at, Unsettled(error)
        case Failed(UnavailableError()):
            return _to(at, at.step)  # proven for this request, so the same request again
        case Failed(error):
            return at, Unsettled(error)
        case _:
            return _HANDLERS[at.step](at, answer)


def tombstone(head: Head, made: FileVersion) -> FileVersion:
    """The version that ends the source: the same, whoever writes it."""
    gone = replace(
        head.file,
        version=head.file.version + 1,
        kind="delete",
        etag=made.etag,
        size=0,
        digest="",
        md5=None,
        content_type="",
        metadata={},
        created=max(made.created, from_microseconds(microseconds(head.file.created) + 1)),
        modified=None,
        writer=made.writer,
        request_id=None,
        chain="",
        blob="",
        blob_etag="",
        blob_version=None,
        source=None,
    )
    return replace(gone, chain=chain(head.file.chain, gone))


def _to(at: Settling, step: Step) -> SettlingNext:
    return replace(at, step=step), _request(at, step)


def _request(at: Settling, step: Step) -> SettlingRequest:
    match step:
        case Step.SOURCE:
            return ReadHead(at.source)
        case Step.FENCE:
            return ReadIntent(at.claim.target, at.claim.op)
        case Step.ABORT:
            assert at.fence  # noqa: S101 — the step is entered with it
            return AbortIntent(at.fence)
        case Step.LOOK:
            return FindVersion(at.claim.target, at.claim.op, 0)
        case Step.FINISH:
            assert at.head  # noqa: S101
            assert at.made  # noqa: S101
            return Finish(at.head, tombstone(at.head, at.made))
        case Step.RELEASE:
            assert at.head  # noqa: S101
            return Release(at.head)


def _on_source(at: Settling, answer: Answer) -> SettlingNext:
    match answer:
        case Found(Head(claim=claim) as head) if claim == at.claim:
            return _to(replace(at, head=head), Step.FINISH if at.made else Step.FENCE)
        case Found() | Absent():
            return at, Settled()
    raise _unexpected(at, answer)


def _on_fence(at: Settling, answer: Answer) -> SettlingNext:
    match answer:
        case Found(IntentRow() as row) if row.intent.state == "open":
            if at.gentle:
                return at, Settled()
            return _to(replace(at, fence=row), Step.ABORT)
        case Found() | Absent():
            return _to(at, Step.LOOK)
    raise _unexpected(at, answer)


def _on_abort(at: Settling, answer: Answer) -> SettlingNext:
    match answer:
        case Found():
            return _to(at, Step.LOOK)
        case Done() | Refused() | Doubt():
            return _to(at, Step.FENCE)
    raise _unexpected(at, answer)


def _on_look(at: Settling, answer: Answer) -> SettlingNext:
    match answer:
        case Found(FileVersion() as made):
            return _to(replace(at, made=made), Step.FINISH)
        case Absent():
            return _to(at, Step.RELEASE)
    raise _unexpected(at, answer)


def _on_end(at: Settling, answer: Answer) -> SettlingNext:
    match answer:
        case Done():
            return at, Settled()
        case Refused() | Doubt():
            return _to(at, Step.SOURCE)
    raise _unexpected(at, answer)


_HANDLERS: Final[dict[Step, Callable[[Settling, Answer], SettlingNext]]] = {
    Step.SOURCE: _on_source,
    Step.FENCE: _on_fence,
    Step.ABORT: _on_abort,
    Step.LOOK: _on_look,
    Step.FINISH: _on_end,
    Step.RELEASE: _on_end,
}


def _unexpected(at: Settling, answer: Answer) -> AssertionError:
    return AssertionError(f"{answer!r} answers no request of {at.step}")
