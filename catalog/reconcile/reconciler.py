"""Makes plans: scan, then look at every suspicion, then write down what is so."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from storage import ContentStore, Digests
from storage.names import check_name

from ..entities import IntentRow
from ..errors import AccessDeniedError, ConflictError, InvalidError, NotFoundError
from ..flow import concurrently, each
from ..listing import Lister
from ..scratch import Scratch, sweep
from ..threads import to_the_end
from .brake import check_not_mistyped, collapsed, located
from .counts import NOTHING, LastRun, counted_parts, fallen
from .difference import Difference
from .findings import Findings
from .history import judge_path
from .indexed import judge_indexes
from .judge import judge_blob, judge_op, must_read
from .look import Looker
from .names import name_of
from .plan import Header, PlanFile, Policy, counted, write
from .scan import Progress, Scanner, Scope
from .seen import SeenBlob
from .workspace import Workspace

LOOKS_AT_A_TIME: Final = 32
SCRATCH: Final = "blobcat-scan-"
SAMPLES: Final = 1 << 32
UNUSED: Final = ("orphan-ours", "foreign-new", "invalid-name")
"""What a blob is that no version refers to: also of an adopted one, of which only the path can be a file's."""

Read = Callable[[Scanner, Sequence[str]], Awaitable[tuple[list[Mapping[str, Any]], list[str]]]]
"""Reads all parts: in this process, or in others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is to be of."""

    scope: Scope
    policy: Policy
    sample: float
    """The fraction of contents that is read, at depth content."""
    patience_s: float | None
    """When a write under way is thought to be left behind; None: as each asks for."""
    counts: Path | None = None
    """The folder in which complete runs leave how much they have read, for the next; None: there was none."""

    def samples(self, name: str) -> bool:
        """Whether a blob's bytes are read: the same ones each time."""
        if self.scope.depth != "content":
            return False
        drawn = int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")
        return drawn < self.sample * SAMPLES


class Reconciler:
    """Compares one volume with its content."""

    def __init__(
        self,
        wanted: Wanted,
        lister: Lister,
        content: ContentStore,
        threads: Executor,
        *,
        now: Callable[[], float],
        progress: Progress | None = None,
    ) -> None:
        self._wanted = wanted
        self._scope = wanted.scope
        self._lister = lister
        self._content = content
        self._threads = threads
        self._now = now
        self._progress = progress or (lambda _stage, _done: None)
        self._looker = Looker(wanted.scope.volume, lister, content)

    def __repr__(self) -> str:
        return f"<Reconciler of {self._scope.volume.name!r}>"

    async def run(self, folder: Path, read: Read) -> PlanFile:
        """Compare, and write a plan into the folder. What is there of an earlier run is not read again.

        Raises: InvalidError (rows of a kind or schema that is not known), IntegrityError (rows that are none of ours),
        NotFoundError (also where nothing is below the prefix), AccessDeniedError (also where a blob that must be read
        is archived), UnavailableError (while a suspicion was looked at).
        """
        last = LastRun(self._wanted.counts, self._scope.volume, self._scope.prefix) if self._wanted.counts else None
        before = await to_the_end(self._threads, last.read) if last else NOTHING
        scanner = Scanner(self._scope, self._lister, self._content, self._threads, folder, self._progress)
        certificates, trouble = await read(scanner, self._scope.tasks)
        parts = [] if trouble else [scanner.part(task) for task in self._scope.tasks]
        await to_the_end(self._threads, sweep, SCRATCH)
        with Scratch(SCRATCH) as scratch:
            workspace = await to_the_end(self._threads, Workspace, scratch.path, parts)
            findings = Findings(scratch.path)
            try:
                if not trouble:
                    await self._look(workspace, findings)
                header = self._header(workspace, findings, certificates, trouble)
                missed, counts = list[str](), NOTHING
                if last and not trouble:
                    count = partial(counted_parts, workspace, certificates, scanner.part)
                    counts = await to_the_end(self._threads, count, NOTHING)
                    missed = fallen(before, await to_the_end(self._threads, count, before), last.path.name)
                if header.deletions:
                    header = replace(header, refused=(*header.refused, *missed))
                plan = await to_the_end(self._threads, write, folder / "plan.jsonl", header, findings.all())
            finally:
                findings.close()
                workspace.close()
        for part in parts:  # the next run of this folder is to look anew
            part.unlink(missing_ok=True)
        check_not_mistyped(plan.header, plan.differences())
        if not last:
            return plan
        if not (trouble or header.refused) and (not missed or all(found.quiet for found in plan.differences())):
            await to_the_end(self._threads, last.write, counts)
        notes = [] if header.deletions else [located(why, last.path.parent) for why in missed]
        return replace(plan, counts=last.path.parent, notes=tuple(notes))

    async def _look(self, workspace: Workspace, findings: Findings) -> None:
        blobs = workspace.suspect_blobs(headers=self._scope.depth != "etag")
        async for found in self._all(blobs, lambda name: self._blob(workspace, name)):
            findings.add(found)
        if self._scope.prefix:
            await self._spare_shared(findings)
        async for found in self._all(workspace.suspect_paths(), lambda path: self._path(findings, path)):
            findings.add(found)
        entries = workspace.suspect_entries()
        async for found in self._all(entries, lambda path: self._indexes(workspace, findings, path)):
            findings.add(found)
        async for found in self._all(workspace.open_ops(), lambda op: self._op(workspace, op)):
            findings.add(found)
        if self._scope.depth == "content":
            names = (name for name in workspace.contents() if self._wanted.samples(name))
            async for found in self._all(names, lambda name: self._content_of(workspace, findings, name)):
                findings.add(found)

    async def _spare_shared(self, findings: Findings) -> None:
        """Content below a prefix may be that of versions elsewhere: then it is no orphan, and not foreign (R13)."""
        unused = frozenset(found.key for found in findings.all() if found.state in UNUSED)
        if unused:
            for key in await self._looker.referred(unused):
                findings.remove(key)

    async def _all(
        self, suspects: Iterator[Any], look: Callable[[Any], Awaitable[Difference | None]]
    ) -> AsyncIterator[Difference]:
        async with aclosing(concurrently(each(suspects), look, limit=LOOKS_AT_A_TIME)) as looks:
            async for found in looks:
                self._progress("looked at", 1)
                if found is not None:
                    yield self._wanted.policy.proposed(found)

    async def _blob(self, workspace: Workspace, name: str) -> Difference | None:
        users = workspace.users(name)
        if not users and not _askable(name):
            size, etag = workspace.listed(name)
            why = "its name can be no file's, and blobcat cannot ask for it"
            return Difference("invalid-name", name, why=why, size=size, blob_etag=etag)

        def wanted(seen: SeenBlob) -> bool:
            return must_read(self._scope.volume, seen) or bool(seen.needed_by and self._wanted.samples(name))

        return await self._judged(workspace, await self._looker.whole(name, users, wanted))

    async def _judged(self, workspace: Workspace, seen: SeenBlob) -> Difference | None:
        found = judge_blob(self._scope.volume, seen)
        if found is not None and found.state == "aborted" and seen.intent and not self._is_old(seen.intent):
            return replace(found, action="none", why=f"{found.why}; who gave it up may be about to delete it")
        if found is None or found.action != "heal":
            return found
        digest = seen.wanted(name_of(self._scope.volume, seen.name).op).digest
        for twin in workspace.twins(digest, found.size, seen.name) if digest else []:
            if await self._has(twin, digest):
                return replace(found, twin=twin)
        return replace(found, action="none", why=f"{found.why}; no other blob has the same bytes")

    async def _has(self, name: str, digest: str) -> bool:
        """Whether a blob has the bytes of that digest, as it is now, and gives them out."""
        try:
            blob = await self._looker.stat(name)
            found = await self._looker.digests(blob) if blob else ""
        except (ConflictError, NotFoundError, AccessDeniedError):  # it was changed meanwhile; or it is archived
            return False
        return isinstance(found, Digests) and found.digest == digest

    async def _content_of(self, workspace: Workspace, findings: Findings, name: str) -> Difference | None:
        if findings.has(name):
            return None
        blob = await self._looker.stat(name)
        if blob is not None:
            try:
                content = await self._looker.digests(blob)
            except (ConflictError, NotFoundError):
                content = ""  # it has changed: as with any suspicion, look again
            self._progress("bytes", blob.size)
            if not isinstance(content, str) and workspace.agrees(name, content.digest, content.md5.hex(), content.size):
                return None
        return await self._blob(workspace, name)

    async def _path(self, findings: Findings, path: str) -> Difference | None:
        found = judge_path(await self._looker.path(path))
        if found is None or found.action != "insert-head" or not findings.orphan(path):
            return found
        why = f"{found.why}; and there is content of a newer version, perhaps, that nothing refers to"
        return replace(found, action="none", why=why)

    async def _indexes(self, workspace: Workspace, findings: Findings, path: str) -> Difference | None:
        if findings.mends_head(path):  # whatever makes its head makes these
            return None
        return judge_indexes(await self._looker.indexes(path, workspace.index_rows(path)))

    async def _op(self, workspace: Workspace, op: str) -> Difference | None:
        seen = await self._looker.op(op, [path for path, _ in workspace.users_of_op(op)])
        return judge_op(seen, settle=any(self._is_old(row) for row in seen.rows))

    def _is_old(self, row: IntentRow) -> bool:
        """As far as this machine's clock is right; before anything is settled the service's is asked."""
        patience = row.intent.patience_s if self._wanted.patience_s is None else self._wanted.patience_s
        return self._now() - row.timestamp / 1e6 >= patience or patience == 0

    def _header(
        self,
        workspace: Workspace,
        findings: Findings,
        certificates: Sequence[Mapping[str, Any]],
        trouble: Sequence[str],
    ) -> Header:
        volume, blobs = self._scope.volume, workspace.count("blobs")
        wanted = workspace.count("(SELECT DISTINCT blob FROM versions WHERE blob <> '' AND NOT purged)")
        header = Header(
            volume=volume.name,
            epoch=volume.epoch,
            root=volume.root,
            prefix=self._scope.prefix,
            depth=self._scope.depth,
            sample=self._wanted.sample,
            blobs=blobs,
            versions=workspace.count("versions", "blob <> '' AND NOT purged"),
            bytes=sum(int(each.get("bytes", 0)) for each in certificates),
            certificates=tuple(
                {name: value for name, value in each.items() if name != "until"} for each in certificates
            ),
            incomplete=tuple(trouble),
        )
        header = counted(header, findings.all())
        states = header.states
        return replace(
            header,
            refused=tuple(
                collapsed(
                    blobs=blobs, wanted=wanted, missing=states.get("missing", 0), orphans=states.get("orphan-ours", 0)
                )
            ),
        )


def _askable(name: str) -> bool:
    """Whether a store takes a blob's name; a listing may tell of others."""
    try:
        check_name(name)
    except InvalidError:
        return False
    return True
