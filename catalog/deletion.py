"""Deleting a volume: pure steps, as `protocol`. Refused while it has a file; and whoever looks helps it to its end.

No transaction spans a volume's shards and its row in the registry, and writers are never asked to stop. What stops them
is the gate: a write begins with a transaction that merges the gate of its shard and of its settings' generation.

    D1  registry   replace the volume's row: `closing`, generation n+1, If-Match
    D2  per shard  delete gate n, insert gate n+1, a shut one         from here on, no write can begin
    D3  per shard  settle every intent                                what has begun is committed or aborted
    D4  per shard  look for a head that is no tombstone
    D5  registry   none: delete the volume's row, If-Match, and insert its record among the deleted ones     <- decides

    or, where D4 found a file: the volume stays.
    D6  registry   replace the volume's row: `opening`, generation n+2, If-Match
    D7  per shard  delete gate n+1, insert gate n+2
    D8  registry   replace the volume's row: `open`, If-Match

A volume's row is `closing` under D5's etag only if nobody opened a gate since D2, so what D4 saw is still true. Rules
that a simpler version gets wrong:

- D6 comes before D7. Gates that are open while the row still says `closing` let a file be written behind D4's back, and
  a second deleter remove the volume over it.
- D3 comes before D4: a write that began before D2 may still commit.
- A gate is only ever inserted in the transaction that deletes the one before it, and a volume's first one is deleted by
  its etag. So a late copy of such a transaction is refused, and no gate ever comes back.
- The gate of a closing volume is shut: it is none that a writer asks for, who may have read `closing`, too.
- A shard's gate tells its generation; a helper that stood still finds it further than it thought, and looks again.

The rows of a deleted volume stay, tombstones and versions alike: its epoch is never used again, its name is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from .entities import VolumeRow, VolumeState
from .errors import CatalogError, UnavailableError
from .messages import Absent, Answer, Done, Doubt, Expired, Failed, Found, Refused

# --- Requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadVolume:
    """Read the volume's row. Absent: it is gone, or another volume has its name."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Look for a file in a shard. Answered by Met, or by Absent."""

    shard: int


@dataclass(frozen=True, slots=True)
class Turn:
    """D1, D6 and D8: replace the volume's row, If-Match."""

    row: VolumeRow
    state: VolumeState
    generation: int


@dataclass(frozen=True, slots=True)
class Advance:
    """D2 and D7: bring the gate of a shard to a generation. Refused: it is further already."""

    shard: int
    generation: int
    shut: bool


@dataclass(frozen=True, slots=True)
class Settle:
    """D3: settle every intent of a shard. Done: none is open, and no head is claimed."""

    row: VolumeRow
    shard: int


@dataclass(frozen=True, slots=True)
class Remove:
    """D5: put a record of the volume in the place of its row, If-Match."""

    row: VolumeRow


DeletionRequest = ReadVolume | Survey | Turn | Advance | Settle | Remove

# --- Answers and results ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Met:
    """There is a file at this path."""

    path: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The volume is deleted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The volume is open: it has a file, here; or nobody wanted it deleted (None)."""

    path: str | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Time is up, or a request cannot succeed. Where `begun`, whoever comes next may delete the volume."""

    error: CatalogError
    begun: bool


DeletionResult = Gone | Kept | Unfinished

# --- Steps -----------------------------------------------------------------------------------------------------------


class Step(Enum):
    """What a deletion waits for."""

    LOOK = auto()
    ASK = auto()
    CLOSE = auto()
    SHUT = auto()
    SETTLE = auto()
    SURVEY = auto()
    REMOVE = auto()
    REOPEN = auto()
    OPEN = auto()
    OPENED = auto()


@dataclass(frozen=True, slots=True)
class Deletion:
    """One attempt to delete a volume, or to help one to its end that somebody began."""

    wanted: bool
    step: Step = Step.LOOK
    row: VolumeRow | None = None
    shard: int = 0
    met: str | None = None
    begun: bool = False
    """Whether the volume may be deleted by whoever comes next."""
    sent: str | None = None
    """The etag under which we may have closed the volume: as long as its row has that, a late copy may arrive."""


DeletionNext = tuple[Deletion, DeletionRequest | DeletionResult]


def delete() -> DeletionNext:
    """Begin to delete a volume."""
    return _to(Deletion(wanted=True), Step.LOOK)


def help_along() -> DeletionNext:
    """Bring to its end what somebody began: the volume is gone then, or open."""
    return _to(Deletion(wanted=False), Step.LOOK)


def deletion_step(at: Deletion, answer: Answer | Met) -> DeletionNext:
    """What to do after an answer."""
    match answer:
        case Expired() if at.met and at.step in (Step.OPEN, Step.OPENED):
            return at, Kept(at.met)  # decided, and the next writer opens the rest
        case Expired(error):
            return at, Unfinished(error, at.begun)
        case Failed(UnavailableError()):
            return _to(at, at.step, at.shard)  # proven for this request, so the same request again
        case Failed(error):
            return at, Unfinished(error, at.begun)
        case _:
            return _HANDLERS[at.step](at, answer)


def _to(at: Deletion, step: Step, shard: int = 0) -> DeletionNext:
    at = replace(at, step=step, shard=shard)
    return at, _request(at)


def _request(at: Deletion) -> DeletionRequest:  # noqa: PLR0911 — one line per step
    if at.step is Step.LOOK:
        return ReadVolume()
    assert at.row  # noqa: S101 — every other step is entered with it
    generation = at.row.info.generation
    match at.step:
        case Step.ASK | Step.SURVEY:
            return Survey(at.shard)
        case Step.CLOSE:
            return Turn(at.row, "closing", generation + 1)
        case Step.SHUT | Step.OPEN:
            return Advance(at.shard, generation, shut=at.step is Step.SHUT)
        case Step.SETTLE:
            return Settle(at.row, at.shard)
        case Step.REMOVE:
            return Remove(at.row)
        case Step.REOPEN:
            return Turn(at.row, "opening", generation + 1)
        case _:
            return Turn(at.row, "open", generation)


def _on_look(at: Deletion, answer: Answer | Met) -> DeletionNext:
    match answer:
        case Absent():
            return at, Gone()
        case Found(VolumeRow(info=info) as row):
            at = replace(at, row=row, begun=info.state == "closing" or row.etag == at.sent)
            match info.state:
                case "closing":
                    return _to(replace(at, met=None), Step.SHUT)
                case "opening":
                    return _to(at, Step.OPEN)
                case _ if at.begun:  # so that no copy of it can come after we have said that the volume stays
                    return _to(at, Step.CLOSE)
                case _ if at.met or not at.wanted:
                    return at, Kept(at.met)
                case _:
                    return _to(at, Step.ASK)
    raise _unexpected(at, answer)


def _on_survey(at: Deletion, answer: Answer | Met) -> DeletionNext:
    """Before anything is closed (ASK) it spares a volume with files the trouble; what counts is what is seen after."""
    match answer:
        case Met(path) if at.step is Step.ASK:
            return at, Kept(path)
        case Met(path):
            return _to(replace(at, met=path), Step.REOPEN)
        case Absent():
            return _next_shard(at, Step.CLOSE if at.step is Step.ASK else Step.REMOVE)
    raise _unexpected(at, answer)


def _on_shard(at: Deletion, answer: Answer | Met) -> DeletionNext:
    match answer:
        case Done():
            return _next_shard(at, _AFTER[at.step])
        case Doubt():
            return _to(at, at.step, at.shard)
        case Refused():  # others are further than we
            return _to(at, Step.LOOK)
    raise _unexpected(at, answer)


def _on_turn(at: Deletion, answer: Answer | Met) -> DeletionNext:
    match answer:
        case Done() | Doubt() if at.step is Step.CLOSE:
            assert at.row  # noqa: S101
            return _to(replace(at, begun=True, sent=at.row.etag), Step.LOOK)
        case Done() | Doubt() | Refused():
            return _to(at, Step.LOOK)
    raise _unexpected(at, answer)


def _next_shard(at: Deletion, after: Step) -> DeletionNext:
    assert at.row  # noqa: S101
    last = at.shard + 1 == at.row.info.shards
    return _to(at, after) if last else _to(at, at.step, at.shard + 1)


_AFTER: Final = {Step.SHUT: Step.SETTLE, Step.SETTLE: Step.SURVEY, Step.OPEN: Step.OPENED}

_HANDLERS: Final[dict[Step, Callable[[Deletion, Answer | Met], DeletionNext]]] = {
    Step.LOOK: _on_look,
    Step.ASK: _on_survey,
    Step.CLOSE: _on_turn,
    Step.SHUT: _on_shard,
    Step.SETTLE: _on_shard,
    Step.SURVEY: _on_survey,
    Step.REMOVE: _on_turn,
    Step.REOPEN: _on_turn,
    Step.OPEN: _on_shard,
    Step.OPENED: _on_turn,
}


def _unexpected(at: Deletion, answer: object) -> AssertionError:
    return AssertionError(f"{answer!r} answers no request of {at.step}")
