"""Carries out changes: drives `protocol` step by step, with a fresh op each time it has to start over.

It decides nothing about a write. It makes ops, waits between requests, watches the deadline, and says at the end what
the caller needs to hear: the version, a definite error, or a token.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from posixpath import splitext
from typing import Final, Self, TypeGuard

from storage import ContentStore, check_name

from .changes import Change
from .commit import Committer, Seat
from .driving import drive
from .entities import Claim, FileVersion, IntentRow, VolumeInfo
from .errors import CatalogError, OutcomeUnknownError, UnavailableError
from .exchange import Exchange, partition_of
from .messages import (
    Answer,
    Committed,
    Done,
    Expired,
    Failed,
    NotApplied,
    Request,
    Result,
    SettleClaim,
    StartOver,
    Undecided,
)
from .modes import Overwrite
from .moves import Settled, Settling, SettlingRequest, Unsettled, settle, settling_step
from .op import Op, Phase, referring
from .paths import RESERVED
from .protocol import Known, begin, recover, resolve, step
from .pulse import Pulse
from .retry import Clock, Deadline
from .settings import Settings, check_timeout
from .sources import Content
from .steps import Next
from .table import Table
from .token import Token
from .uploads import Payload, Uploads, must_replay

PATIENCE_S: Final = 600
STAGINGS_MAX: Final = 3

_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}")


def _apart(volume: VolumeInfo, source: str, target: str) -> bool:
    return partition_of(volume, source) != partition_of(volume, target)


def _is_over(request: Request | Result) -> TypeGuard[Result]:
    return isinstance(request, Result)


def _is_settled(request: SettlingRequest | Settled | Unsettled) -> TypeGuard[Settled | Unsettled]:
    return isinstance(request, Settled | Unsettled)


class Writer:
    """Writes changes to the volumes of one catalog."""

    def __init__(
        self,
        *,
        table: Table,
        content: ContentStore,
        uploads: Uploads,
        settings: Settings,
        clock: Clock,
        new_id: Callable[[], str],
        name: str,
        reload: Callable[[VolumeInfo, Deadline], Awaitable[VolumeInfo]],
    ) -> None:
        self.name = name
        self.uploads = uploads
        self.committer = Committer(table, settings.request_timeout_s)
        self._table = table
        self._content = content
        self._settings = settings
        self._clock = clock
        self.new_id = new_id
        self._reload = reload

    def __repr__(self) -> str:
        return f"<Writer {self.name}, {self.committer!r}>"

    def within(self, timeout_s: float | None) -> Self:
        """It, for calls with a time limit of their own."""
        if timeout_s is None:
            return self
        limited = copy(self)
        limited._settings = replace(self._settings, timeout_s=timeout_s)  # noqa: SLF001 — it is one of our own
        return limited

    @asynccontextmanager
    async def over(self, table: Table, content: ContentStore) -> AsyncIterator[Self]:
        """It, writing to other ports, or to these in another way; for as long as the block lasts."""
        other = copy(self)
        other._table, other._content, other.uploads = table, content, self.uploads.over(content)  # noqa: SLF001
        other.committer = Committer(table, self._settings.request_timeout_s)
        try:
            yield other
        finally:
            await other.committer.close()

    def deadline(self, timeout_s: float | None = None) -> Deadline:
        """A deadline that begins now. Raises: InvalidError."""
        check_timeout(timeout_s)
        return Deadline(self._clock, self._settings, timeout_s)

    def pulse(self, timeout_s: float | None = None) -> Pulse:
        """The pulse of a run of many calls that begins now."""
        return Pulse(self._clock, timeout_s or self._settings.timeout_s)

    def fresh(self, volume: VolumeInfo, change: Change, timeout_s: float | None = None) -> Op:
        """A new attempt at a change. Raises: InvalidError where its content could have no name."""
        op = self.new_id()
        blob = ""
        if change.kind == "put":
            extension = _EXTENSION.fullmatch(splitext(change.path)[1])
            blob = f"{volume.root}{RESERVED}/{change.path}~{op}{extension[0] if extension else ''}"
            check_name(blob, op=change.kind)
        patience = max(PATIENCE_S, int(timeout_s or self._settings.timeout_s) + 1)
        fresh = Op(op, change, blob, volume.generation, patience, Phase.HEAD)
        if change.kind == "restore" and change.source:
            return referring(fresh, change.source)
        if change.adopted:
            found = change.adopted
            return fresh._replace(blob=found.blob, blob_etag=found.etag, facts=found.facts)
        apart = change.kind == "move" and _apart(volume, change.origin, change.path)
        return fresh._replace(origin=change.origin, apart=apart)

    async def put(
        self, volume: VolumeInfo, change: Change, content: Content, *, timeout_s: float | None = None
    ) -> FileVersion:
        """Write content of any kind, under one deadline. Raises: as `write`, and what reading the content raises."""
        deadline = self.deadline(timeout_s)
        for _ in range(STAGINGS_MAX):
            op = self.fresh(volume, change, timeout_s)
            async with self.uploads.prepare(content, op.blob, deadline) as payload:
                file = await self.write(volume, op, payload, deadline=deadline)
            if file is not None:
                return file
            must_replay(content)
            volume = await self.current(volume, deadline)
        message = f"put {change.path!r} was aborted by others {STAGINGS_MAX} times after its content was staged"
        raise UnavailableError(message, op="put", key=change.path, kind="unavailable.aborted")

    async def write(
        self,
        volume: VolumeInfo,
        op: Op,
        payload: Payload | None = None,
        *,
        deadline: Deadline,
        known: Known | None = None,
        seat: Seat | None = None,
    ) -> FileVersion | None:
        """Carry out an op, and others in its place if others abort it.

        None: aborted, and its content was staged for this op alone. Raises: NotFoundError, ConflictError, InvalidError,
        AccessDeniedError, IntegrityError, UnavailableError (all: not applied); OutcomeUnknownError (with a token).
        """
        try:
            while True:
                exchange = self._exchange(volume, deadline, payload, seat)
                op = op._replace(facts=payload.facts, bound=payload.bound) if payload else op
                match await self._drive(exchange, begin(op, known)):
                    case op, Committed(file):
                        return file
                    case op, NotApplied(error):
                        raise error
                    case op, Undecided(error):
                        raise self._unknown(volume, op, error)
                    case op, StartOver():
                        if deadline.passed:
                            raise deadline.expired(None)
                        if payload is not None and payload.bound:
                            return None
                        volume = await self.current(volume, deadline)
                        op, known = self.fresh(volume, op.change)._replace(patience_s=op.patience_s), None
                        await deadline.pause()
        finally:
            if payload is not None:
                payload.leave()

    async def settle_claim(
        self, volume: VolumeInfo, path: str, claim: Claim, *, gentle: bool = False, deadline: Deadline | None = None
    ) -> None:
        """Settle a move that a head speaks of; gently: only if it was decided.

        Raises: UnavailableError, AccessDeniedError.
        """
        change = Change(volume.name, path, "move", Overwrite(), self.name, {}, "")
        op = Op(claim.op, change, "", 0, 0, Phase.HELP)
        answer = await self._settled(
            self._exchange(volume, deadline or self.deadline()), op, SettleClaim(path, claim, gentle=gentle)
        )
        if isinstance(answer, Failed | Expired):
            raise answer.error

    async def settle(self, volume: VolumeInfo, row: IntentRow) -> Result:
        """Settle somebody's intent: abort its op, unless it was committed."""
        intent = row.intent
        if intent.target:  # the second intent of a move, in the shard of its source
            await self.settle_claim(volume, intent.path, Claim(intent.op, intent.target, intent.generation))
            return StartOver()
        change = Change(volume.name, intent.path, intent.kind, Overwrite(), intent.writer, {}, "")
        error = UnavailableError(f"{intent.kind} {intent.path!r} was aborted", op=intent.kind, key=intent.path)
        op = Op(
            intent.op,
            change,
            intent.blob,
            intent.generation,
            0,
            Phase.ABORT,
            floor=intent.base_version,
            origin=intent.source,
            apart=bool(intent.source) and _apart(volume, intent.source, intent.path),
            error=error,
        )
        return (await self._drive(self._exchange(volume, self.deadline()), recover(op, row)))[1]

    async def resolve(self, volume: VolumeInfo, token: Token) -> FileVersion | None:
        """The version that an op made; None where it made none, and never will. Raises: OutcomeUnknownError."""
        change = Change(volume.name, token.path, token.kind, Overwrite(), self.name, {}, "")
        error = UnavailableError(f"op {token.op} was aborted", op="resolve", key=token.path)
        op = Op(token.op, change, "", 0, 0, Phase.SETTLE, floor=token.floor, doubt=True, error=error)
        match await self._drive(self._exchange(volume, self.deadline()), resolve(op)):
            case _, Committed(file):
                return file
            case _, NotApplied():
                return None
            case op, Undecided(last):
                raise self._unknown(volume, op, last)
        raise AssertionError(op)

    async def current(self, volume: VolumeInfo, deadline: Deadline) -> VolumeInfo:
        """The volume with the settings that are in force by now. Raises: NotFoundError, UnavailableError."""
        return await self._reload(volume, deadline)

    def _exchange(
        self, volume: VolumeInfo, deadline: Deadline, payload: Payload | None = None, seat: Seat | None = None
    ) -> Exchange:
        return Exchange(self._table, self._content, self.committer, volume, deadline, payload, seat)

    async def _drive(self, exchange: Exchange, first: Next) -> tuple[Op, Result]:
        async def send(op: Op, request: Request) -> Answer:
            if isinstance(request, SettleClaim):
                return await self._settled(exchange, op, request)
            return await exchange.send(op, request)

        return await drive(first, ends=_is_over, send=send, step=step, deadline=exchange.deadline)

    async def _settled(self, exchange: Exchange, op: Op, claim: SettleClaim) -> Answer:
        """Carry out `moves`: Done once the claim is gone. Whoever ends a move knows the settings it began under."""
        if claim.claim.generation > exchange.volume.generation:
            try:
                exchange = replace(exchange, volume=await self.current(exchange.volume, exchange.deadline))
            except CatalogError as exc:
                return Failed(exc)

        async def send(_: Settling, request: SettlingRequest) -> Answer:
            return await exchange.send(op, request)

        first = settle(claim.path, claim.claim, made=claim.made, gentle=claim.gentle)
        _, end = await drive(first, ends=_is_settled, send=send, step=settling_step, deadline=exchange.deadline)
        if isinstance(end, Settled):
            return Done()
        return Expired(end.error) if exchange.deadline.passed else Failed(end.error)

    def _unknown(self, volume: VolumeInfo, op: Op, last: Exception | None) -> OutcomeUnknownError:
        token = Token(volume.name, volume.epoch, op.change.path, op.id, op.floor, op.change.kind)
        because = f" ({last})" if last else ""
        message = f"{op.change.kind} {op.change.path!r} may or may not be applied{because}: resolve its token"
        return OutcomeUnknownError(message, token=str(token), op=op.change.kind, key=op.change.path)

    async def close(self) -> None:
        """Stop the lanes. May be called twice."""
        await self.committer.close()
