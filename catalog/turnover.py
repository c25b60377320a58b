"""Turning a volume's gates, to delete it or to put other settings in force: pure steps, as `protocol`.

No transaction spans a volume's shards and its row in the registry, and writers are never asked to stop. What stops them
is the gate: a write begins with a transaction that merges the gate of its shard and of its settings' generation.
Whoever looks helps what was begun to its end.

To delete it; refused while it has a file:

    D1  registry   replace the volume's row: `closing`, generation n+1, If-Match
    D2  per shard  delete gate n, insert gate n+1, a shut one         from here on, no write can begin
    D3  per shard  settle every intent                                what has begun is committed or aborted
    D4  per shard  look for a head that is no tombstone
    D5  registry   none: delete the volume's row, If-Match, and insert its record among the deleted ones     <- decides

    or, where D4 found a file: the volume stays.
    D6  registry   replace the volume's row: `opening`, generation n+2, If-Match
    D7  per shard  delete gate n+1, insert gate n+2
    D8  registry   replace the volume's row: `open`, If-Match

To change its settings:

    A1  registry   replace the volume's row: `turning`, generation n+1, the new settings, If-Match           <- decides
    A2  per shard  delete gate n, insert gate n+1                     from here on, none with old settings can begin
    A3  per shard  wait for the intents of older generations, or settle them
    A4  registry   replace the volume's row: `open`, If-Match         from here on, none with old settings can commit

A volume's row is `closing` under D5's etag only if nobody opened a gate since D2, so what D4 saw is still true. Rules
that a simpler version gets wrong:

- D6 comes before D7. Gates that are open while the row still says `closing` let a file be written behind D4's back, and
  a second deleter remove the volume over it.
- D3 comes before D4: a write that began before D2 may still commit. A3 comes before A4 for the same reason: what is
  done for the new settings afterwards (`filling`) is done for all files, or for ever forgotten for some.
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

from .alterations import Alteration
from .entities import VolumeInfo, VolumeRow
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
    """D1, D6, D8, A1 and A4: replace the volume's row, If-Match."""

    row: VolumeRow
    to: VolumeInfo


@dataclass(frozen=True, slots=True)
class Advance:
    """D2, D7 and A2: bring the gate of a shard to a generation. Refused: it is further already."""

    shard: int
    generation: int
    shut: bool


@dataclass(frozen=True, slots=True)
class Settle:
    """D3: settle every intent of a shard. Done: none is open, and no head is claimed. `older`: of older generations."""

    row: VolumeRow
    shard: int
    older: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """D5: put a record of the volume in the place of its row, If-Match."""

    row: VolumeRow


TurnoverRequest = ReadVolume | Survey | Turn | Advance | Settle | Remove

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
    """The volume is open: it has a file, here; or nobody wanted it deleted, and its settings are as wished (None)."""

    path: str | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Time is up, or a request cannot succeed. Where `begun`, whoever comes next may bring it to its end."""

    error: CatalogError
    begun: bool


TurnoverResult = Gone | Kept | Unfinished

# --- Steps -----------------------------------------------------------------------------------------------------------


class Step(Enum):
    """What a turnover waits for."""

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
    ALTER = auto()
    ADVANCE = auto()
    OUTLAST = auto()


@dataclass(frozen=True, slots=True)
class Turnover:
    """One attempt to delete a volume, or to alter it, or to help to its end what somebody began."""

    wanted: bool = False
    """Whether it is to be deleted."""
    wish: Alteration | None = None
    """What is to be altered."""
    step: Step = Step.LOOK
    row: VolumeRow | None = None
    shard: int = 0
    met: str | None = None
    begun: bool = False
    """Whether it may be brought to its end by whoever comes next."""
    sent: str | None = None
    """The etag under which D1 or A1 was sent: as long as the volume's row has that, a late copy may arrive."""


TurnoverNext = tuple[Turnover, TurnoverRequest | TurnoverResult]


def delete() -> TurnoverNext:
    """Begin to delete a volume."""
    return _to(Turnover(wanted=True), Step.LOOK)


def alter(wish: Alteration) -> TurnoverNext:
    """Begin to put other settings in force."""
    return _to(Turnover(wish=wish), Step.LOOK)


def help_along() -> TurnoverNext:
    """Bring to its end what somebody began: the volume is gone then, or open."""
    return _to(Turnover(), Step.LOOK)


def turnover_step(at: Turnover, answer: Answer | Met) -> TurnoverNext:
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


def _to(at: Turnover, step: Step, shard: int = 0) -> TurnoverNext:
    at = replace(at, step=step, shard=shard)
    return at, _request(at)


def _request(at: Turnover) -> TurnoverRequest:  # noqa: PLR0911 — one line per step
    if at.step is Step.LOOK:
        return ReadVolume()
    assert at.row  # noqa: S101 — every other step is entered with it
    info = at.row.info
    match at.step:
        case Step.ASK | Step.SURVEY:
            return Survey(at.shard)
        case Step.CLOSE:
            return Turn(at.row, replace(info, state="closing", generation=info.generation + 1))
        case Step.ALTER:
            return Turn(at.row, replace(_altered(at), state="turning", generation=info.generation + 1))
        case Step.SHUT | Step.OPEN | Step.ADVANCE:
            return Advance(at.shard, info.generation, shut=at.step is Step.SHUT)
        case Step.SETTLE | Step.OUTLAST:
            return Settle(at.row, at.shard, older=at.step is Step.OUTLAST)
        case Step.REMOVE:
            return Remove(at.row)
        case Step.REOPEN:
            return Turn(at.row, replace(info, state="opening", generation=info.generation + 1))
        case _:
            return Turn(at.row, replace(info, state="open"))


def _altered(at: Turnover) -> VolumeInfo:
    assert at.row  # noqa: S101 — asked for where the row is known
    return at.row.info if at.wish is None else at.wish.applied(at.row.info)


def _on_look(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    match answer:
        case Absent():
            return at, Gone()
        case Found(VolumeRow(info=info) as row):
            at = replace(at, row=row, begun=info.state in ("closing", "turning") or row.etag == at.sent)
            return _on_row(at, info)
    raise _unexpected(at, answer)


def _on_row(at: Turnover, info: VolumeInfo) -> TurnoverNext:  # noqa: PLR0911 — one line per state and wish
    match info.state:
        case "closing":
            return _to(replace(at, met=None), Step.SHUT)
        case "opening":
            return _to(at, Step.OPEN)
        case "turning":
            return _to(at, Step.ADVANCE)
        case _ if at.wish:
            return (at, Kept(None)) if _altered(at) == info else _to(at, Step.ALTER)
        case _ if at.begun:  # so that no copy of it can come after we have said that the volume stays
            return _to(at, Step.CLOSE)
        case _ if at.met or not at.wanted:
            return at, Kept(at.met)
        case _:
            return _to(at, Step.ASK)


def _on_survey(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    """Before anything is closed (ASK) it spares a volume with files the trouble; what counts is what is seen after."""
    match answer:
        case Met(path) if at.step is Step.ASK:
            return at, Kept(path)
        case Met(path):
            return _to(replace(at, met=path), Step.REOPEN)
        case Absent():
            return _next_shard(at, Step.CLOSE if at.step is Step.ASK else Step.REMOVE)
    raise _unexpected(at, answer)


def _on_shard(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    match answer:
        case Done():
            return _next_shard(at, _AFTER[at.step])
        case Doubt():
            return _to(at, at.step, at.shard)
        case Refused():  # others are further than we
            return _to(at, Step.LOOK)
    raise _unexpected(at, answer)


def _on_turn(at: Turnover, answer: Answer | Met) -> TurnoverNext:
    match answer:
        case Done() | Doubt() if at.step in (Step.CLOSE, Step.ALTER):
            assert at.row  # noqa: S101
            return _to(replace(at, begun=True, sent=at.row.etag), Step.LOOK)
        case Done() | Doubt() | Refused():
            return _to(at, Step.LOOK)
    raise _unexpected(at, answer)


def _next_shard(at: Turnover, after: Step) -> TurnoverNext:
    assert at.row  # noqa: S101
    last = at.shard + 1 == at.row.info.shards
    return _to(at, after) if last else _to(at, at.step, at.shard + 1)


_AFTER: Final = {
    Step.SHUT: Step.SETTLE,
    Step.SETTLE: Step.SURVEY,
    Step.OPEN: Step.OPENED,
    Step.ADVANCE: Step.OUTLAST,
    Step.OUTLAST: Step.OPENED,
}

_HANDLERS: Final[dict[Step, Callable[[Turnover, Answer | Met], TurnoverNext]]] = {
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
    Step.ALTER: _on_turn,
    Step.ADVANCE: _on_shard,
    Step.OUTLAST: _on_shard,
}


def _unexpected(at: Turnover, answer: object) -> AssertionError:
    return AssertionError(f"{answer!r} answers no request of {at.step}")
