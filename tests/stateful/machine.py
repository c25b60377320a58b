"""A catalog and a model of it in plain dicts, driven side by side by Hypothesis, while requests fail.

After each change the invariants of any moment hold of the raw rows and blobs; at the end recovery leaves nothing
half-done, and writes nothing the second time. A single transient fault changes no outcome (S9); an outage may make a
call fail, and then nothing was done (S2). Whoever is killed, cancelled, or told that the outcome is unknown leaves the
model with both, until somebody looks or resolves the token.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from catalog import (
    Catalog,
    CatalogError,
    ConflictError,
    Create,
    F,
    FileVersion,
    IfVersion,
    Mode,
    NotFoundError,
    OutcomeUnknownError,
    Overwrite,
    PurgeReport,
    RecoveryReport,
    UnavailableError,
    Volume,
)
from catalog.table import Table
from tests.faults.observer import State
from tests.faults.ports import CRASHES, Fault, FaultTable, Wire
from tests.faults.scenarios import FAR
from tests.faults.world import World, writes
from tests.harness import tally
from tests.harness.invariants import (
    check,
    check_grown,
    check_settled,
    s3_resolve_tells_the_truth,
    s6_second_recovery_writes_nothing,
)
from tests.harness.recorder import digest_of
from tests.stateful import model
from tests.stateful.model import Files, Verb, Worlds

T = TypeVar("T")

PATHS = st.sampled_from(["a", "b", FAR])
CONTENTS = st.sampled_from([b"", b"x", b"y", b"0123456789" * 4])
METADATA = st.sampled_from([(), (("n", 1),), (("n", 2),)])
VERSIONS = st.integers(1, 4)
MODES: st.SearchStrategy[Mode] = st.one_of(
    st.just(Overwrite()), st.just(Overwrite(force=True)), st.just(Create()), VERSIONS.map(IfVersion)
)
LIVE_MODES: st.SearchStrategy[Mode] = st.one_of(st.just(Overwrite()), VERSIONS.map(IfVersion))
INDEXES = st.sampled_from([("meta.n",), ("meta.n", "-created"), ("size",)])
OUTAGES = (Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.REFUSED)


@dataclass(frozen=True, slots=True)
class Armed:
    """What a call will meet: its request of this number fails, and with `on` all later ones."""

    after: int = 0
    fault: Fault | None = None
    on: bool = False
    delay: int = 0


ARMED = st.one_of(
    st.just(Armed()),
    st.builds(Armed, st.integers(1, 6), st.sampled_from(Fault), st.just(value=False), st.integers(1, 5)),
    st.builds(Armed, st.integers(1, 6), st.sampled_from(OUTAGES), st.just(value=True)),
    st.builds(Armed, st.integers(1, 6), st.sampled_from([*CRASHES, Fault.CRASH_HELD])),
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a call came to whose caller does not know."""

    token: str = ""


@dataclass(slots=True)
class Late:
    """What a dead client sent, and has not arrived yet."""

    wire: Wire
    verb: Verb | None


class CatalogMachine(RuleBasedStateMachine):
    """The machine on one kind of back end."""

    faults: ClassVar[tuple[Fault, ...]] = tuple(Fault)
    world: ClassVar[Callable[[], World]]
    table: ClassVar[Callable[[Table, Wire], Table]] = FaultTable

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.worlds = Worlds([{}])
        self.armed = Armed()
        self.late: list[Late] = []
        self.answers: dict[str, FileVersion | None] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # --- The world ---------------------------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.run(self._begin())

    async def _begin(self) -> None:
        self.service = await self.stack.enter_async_context(type(self).world())
        await self.service.client().create_volume("v", shards=2)
        await self._open()
        self.before = await self.service.look()

    async def _open(self) -> None:
        self.wire = Wire()
        self.catalog: Catalog = self.service.client(self.wire, table=type(self).table(self.service.table, self.wire))
        self.volume: Volume = await self.catalog.volume("v")

    @rule()
    def reopen(self) -> None:
        self.run(self._open())

    @rule(armed=ARMED)
    def arm(self, armed: Armed) -> None:
        """The next call meets it."""
        self._arm(armed)

    def _arm(self, armed: Armed) -> None:
        if armed.fault in self.faults:
            self.armed = armed

    @rule()
    def arrive(self) -> None:
        """What the dead have sent."""
        self.run(self._arrive())

    async def _arrive(self) -> None:
        for late in self.late:
            await late.wire.settle()
            if late.verb:
                self.worlds.unknown(late.verb)
        self.late.clear()

    def _bury(self) -> None:
        """After recovery, what the dead have sent changes nothing any more, whenever it arrives (S2)."""
        for late in self.late:
            late.verb = None

    @rule()
    def recover(self) -> None:
        async def work() -> None:
            report = await self._call(self.catalog.recover(patience_s=0))
            if isinstance(report, RecoveryReport) and not report.count("failed"):
                self._bury()
            await self._looked()

        self.run(work())

    @rule(keep=st.integers(0, 2), armed=ARMED)
    def purge(self, keep: int, armed: Armed) -> None:
        """The model knows nothing of it: whatever goes, what is current stays, and so does the history."""
        self._arm(armed)
        on = self.armed.on

        async def work() -> None:
            report = await self._call(self.volume.purge(keep_versions=keep))
            assert not isinstance(report, PurgeReport) or report.ok or on, f"S9: {armed} was not invisible"
            await self._looked()

        self.run(work())

    @rule(on=INDEXES, armed=ARMED)
    def create_index(self, on: tuple[str, ...], armed: Armed) -> None:
        """The model knows nothing of it: index and heads agree at any moment; all files are in one that is ready."""
        self._index(self.volume.create_index(*on), armed)

    @rule(on=INDEXES, armed=ARMED)
    def drop_index(self, on: tuple[str, ...], armed: Armed) -> None:
        self._index(self.volume.drop_index(*on), armed)

    def _index(self, call: Awaitable[object], armed: Armed) -> None:
        self._arm(armed)

        async def work() -> None:
            outcome = await self._call(call)
            assert not isinstance(outcome, ConflictError | NotFoundError) or outcome.kind == "not-found.index"
            await self._looked()

        self.run(work())

    # --- Changes -----------------------------------------------------------------------------------------------------

    @rule(path=PATHS, content=CONTENTS, metadata=METADATA, mode=MODES, resolve=st.booleans(), armed=ARMED)
    def put(
        self, path: str, content: bytes, metadata: model.Metadata, mode: Mode, armed: Armed, *, resolve: bool
    ) -> None:
        call = self.volume.put(path, content, metadata=dict(metadata), mode=mode)
        self._change(path, model.put(path, content, metadata, mode), call, armed=armed, resolve=resolve)

    @rule(path=PATHS, mode=LIVE_MODES, resolve=st.booleans(), armed=ARMED)
    def delete(self, path: str, mode: Mode, armed: Armed, *, resolve: bool) -> None:
        self._change(path, model.delete(path, mode), self.volume.delete(path, mode=mode), armed=armed, resolve=resolve)

    @rule(path=PATHS, metadata=METADATA, resolve=st.booleans(), armed=ARMED)
    def set_metadata(self, path: str, metadata: model.Metadata, armed: Armed, *, resolve: bool) -> None:
        call = self.volume.set_metadata(path, dict(metadata))
        self._change(path, model.set_metadata(path, metadata), call, armed=armed, resolve=resolve)

    @rule(path=PATHS, version=VERSIONS, resolve=st.booleans(), armed=ARMED)
    def restore(self, path: str, version: int, armed: Armed, *, resolve: bool) -> None:
        self._change(
            path, model.restore(path, version), self.volume.restore(path, version=version), armed=armed, resolve=resolve
        )

    @rule(ends=st.permutations(["a", "b", FAR]), mode=MODES, resolve=st.booleans(), armed=ARMED)
    def copy(self, ends: list[str], mode: Mode, armed: Armed, *, resolve: bool) -> None:
        source, target = ends[:2]
        call = self.volume.copy(source, target, mode=mode)
        self._change(target, model.copy(source, target, mode), call, armed=armed, resolve=resolve)

    @rule(ends=st.permutations(["a", "b", FAR]), mode=MODES, resolve=st.booleans(), armed=ARMED)
    def move(self, ends: list[str], mode: Mode, armed: Armed, *, resolve: bool) -> None:
        source, target = ends[:2]
        call = self.volume.move(source, target, mode=mode)
        self._change(target, model.move(source, target, mode), call, armed=armed, resolve=resolve)

    def _change(self, path: str, verb: Verb, call: Awaitable[object], *, armed: Armed, resolve: bool) -> None:
        self._arm(armed)
        self.run(self._changed(path, verb, call, resolve=resolve))

    async def _changed(self, path: str, verb: Verb, call: Awaitable[object], *, resolve: bool) -> None:
        late = len(self.late)
        outcome = await self._call(call)
        if isinstance(outcome, Unknown) and outcome.token and resolve:
            answer = self.answers[outcome.token] = await self.catalog.resolve(outcome.token)
            outcome = answer or UnavailableError("resolved: not applied")
        match outcome:
            case FileVersion() as file:
                self.worlds.told(verb, lambda files, said: said == file.version and _is(files, path, file))
            case ConflictError():
                self.worlds.told(verb, lambda _, said: said == "conflict")
            case NotFoundError(kind="not-found.purged"):
                pass  # of a restore, and nothing was changed
            case NotFoundError():
                self.worlds.told(verb, lambda _, said: said == "not-found")
            case Unknown():
                self.worlds.unknown(verb)
        for each in self.late[late:]:
            each.verb = verb
        await self._looked()

    # --- Looks -------------------------------------------------------------------------------------------------------

    @rule(path=PATHS)
    def read(self, path: str) -> None:
        def agrees(content: object, files: Files) -> bool:
            found = model.head(files, path)
            return content == (found.content if found else None)

        self._see(self.volume.read(path), agrees)

    @rule(path=PATHS)
    def stat(self, path: str) -> None:
        def agrees(file: object, files: Files) -> bool:
            if not isinstance(file, FileVersion):
                return model.head(files, path) is None
            return file.version == len(files.get(path, ())) and _is(files, path, file)

        self._see(self.volume.stat(path), agrees)

    @rule()
    def list(self) -> None:
        async def work() -> dict[str, int]:
            found = [file async for file in self.volume.list(recursive=True) if isinstance(file, FileVersion)]
            return {file.path: file.version for file in found}

        def agrees(found: object, files: Files) -> bool:
            return found == {path: len(versions) for path, versions in files.items() if versions[-1].live}

        self._see(work(), agrees)

    @rule(size=st.integers(0, 2))
    def query(self, size: int) -> None:
        async def work() -> set[str]:
            return {file.path async for file in self.volume.query(F.size >= size)}

        def agrees(found: object, files: Files) -> bool:
            heads = {path: model.head(files, path) for path in files}
            return found == {path for path, head in heads.items() if head and len(head.content) >= size}

        self._see(work(), agrees)

    @rule(n=st.integers(1, 2))
    def query_by_metadata(self, n: int) -> None:
        """By an index, where there is one."""

        async def work() -> set[str]:
            return {file.path async for file in self.volume.query(F.meta["n"] == n)}

        def agrees(found: object, files: Files) -> bool:
            heads = {path: model.head(files, path) for path in files}
            return found == {path for path, head in heads.items() if head and ("n", n) in head.metadata}

        self._see(work(), agrees)

    @rule()
    def query_in_pages(self) -> None:
        """From token to token, by whatever plan there is each time: each file once, in order of path."""

        async def work() -> list[str]:
            found, token = list[str](), None
            while True:
                query = self.volume.query(F.meta["n"].between(1, 2), limit=1, after=token)
                pages = [page async for page in query.pages()]
                found += [file.path for page in pages for file in page.files]
                if not pages or (token := pages[-1].token) is None:
                    return found

        def agrees(found: object, files: Files) -> bool:
            heads = {path: model.head(files, path) for path in files}
            return found == sorted(path for path, head in heads.items() if head and dict(head.metadata))

        self._see(work(), agrees)

    @rule(path=PATHS)
    def history(self, path: str) -> None:
        async def work() -> tuple[str, ...]:
            with suppress(NotFoundError):
                await self.volume.stat(path)  # history alone settles no move: it shows a source that has gone (N2)
            return tuple([file.kind async for file in self.volume.history(path)][::-1])

        def agrees(found: object, files: Files) -> bool:
            return (found or ()) == tuple(version.kind for version in files.get(path, ()))

        self._see(work(), agrees)

    def _see(self, call: Awaitable[object], agrees: Callable[[object, Files], bool]) -> None:
        async def work() -> None:
            found = await self._call(call)
            if isinstance(found, NotFoundError):
                found = None
            if not isinstance(found, Unknown | CatalogError):
                self.worlds.saw(lambda files: agrees(found, files))

        self.run(work())

    # --- Calls -------------------------------------------------------------------------------------------------------

    async def _call(self, call: Awaitable[object]) -> object:
        """What a call returned or raised; Unknown where that is not to be known. The armed fault is spent by it."""
        armed, self.armed, wire = self.armed, Armed(), self.wire
        fired = wire.fired
        wire.at, wire.fault, wire.on, wire.delay = len(wire.sent) + armed.after, armed.fault, armed.on, armed.delay
        task = asyncio.ensure_future(call)
        wire.cancels = task
        death = asyncio.ensure_future(wire.crashed.wait())
        await asyncio.wait([task, death], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        death.cancel()
        (outcome, _) = await asyncio.gather(task, death, return_exceptions=True)
        wire.heal()
        tally.count("steps of machines")
        tally.count("faults fired", wire.fired - fired)
        if wire.crashed.is_set():
            self.late.append(Late(wire, None))
            await self._open()
            return Unknown()
        if isinstance(outcome, asyncio.CancelledError):
            assert wire.fired > fired, "it was cancelled by nobody"
            await wire.idle()
            return Unknown()
        if isinstance(outcome, OutcomeUnknownError | UnavailableError):
            assert armed.on, f"S9: {armed} was not invisible: {outcome!r}"
        if isinstance(outcome, OutcomeUnknownError):
            return Unknown(outcome.token)
        if isinstance(outcome, BaseException) and not isinstance(outcome, CatalogError):
            raise outcome
        return outcome

    async def _looked(self) -> State:
        state = await self.service.look()
        check(state)
        check_grown(self.before, state)
        self.before = state
        return state

    # --- The end -----------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        with self.runner:
            if hasattr(self, "before"):
                self.run(self._end())
            self.run(self.stack.aclose())

    async def _end(self) -> None:
        await self.wire.idle()
        await self._open()
        await self.catalog.recover(patience_s=0)
        self._bury()
        await self._arrive()
        await self.catalog.recover(patience_s=0)
        once = await self._looked()
        check_settled(once)
        sent = len(self.wire.sent)
        assert (await self.catalog.recover(patience_s=0)).quiet
        s6_second_recovery_writes_nothing(once, await self.service.look(), writes(self.wire.sent[sent:]))
        self.worlds.saw(lambda files: contents(files) == read(once))
        for token, answer in self.answers.items():
            s3_resolve_tells_the_truth(once, token, [answer, await self.catalog.resolve(token)])


def _is(files: Files, path: str, file: FileVersion) -> bool:
    """Whether the last version of a path says what a file says."""
    version = files[path][-1]
    found = (file.kind, file.digest, dict(file.metadata))
    return found == (version.kind, digest_of(version.content) if version.live else "", dict(version.metadata))


def contents(files: Files) -> Mapping[str, object]:
    """What the rows say when the model is right."""
    return {
        path: [(version.kind, digest_of(version.content) if version.live else "") for version in versions]
        for path, versions in files.items()
    }


def read(state: State) -> Mapping[str, object]:
    """What the rows say."""
    return {path: [(row["kind"], row["digest"]) for row in rows] for path, rows in state.histories.items()}
