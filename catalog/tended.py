"""How a volume is kept: blobs of others taken in, indexes, the change log, and what nobody needs any more."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from .adopt import Adopt
from .adoption import AdoptListener, AdoptReport, Enrolled, check_where
from .alterations import index_on
from .arguments import check_callback, check_flags
from .entities import Index
from .errors import NotFoundError
from .indexes import check_index
from .paths import check_prefix
from .purge import Purging
from .purge_report import PurgeItem, PurgeReport, Tally
from .purger import Purger
from .retention import check_retention
from .searchable import SearchableVolume
from .settings import check_timeout


class TendedVolume(SearchableVolume):
    """A volume that is looked after. `Volume` adds to it what changes files."""

    async def adopt(
        self,
        prefix: str = "",
        *,
        match: str | None = None,
        into: str | None = None,
        dry_run: bool = False,
        progress: AdoptListener | None = None,
        timeout_s: float | None = None,
    ) -> AdoptReport:
        """Take in blobs that the container has already, in place: by listing them, without copying or reading any.

        `prefix` is the beginning of blobs' names. A file's path is its blob's name, or with `into` that folder and what
        follows the prefix; `match` is a glob of paths. Size, type and MD5 are the blob's; its sha256 is learned when
        it is first read as a whole, or by `verify`; until then the MD5 verifies it, and where it has none, nothing can.

        Adopted blobs stay others': they are never written to and never removed, whatever becomes of their files. Who
        changes one makes it drift: reading it is an IntegrityError, and adopting again reports it. What is in the
        catalog is not touched: see the report. Blobs of volumes are left out. Started again after a crash, it carries
        on. The prefix is noted in the volume once there is a blob to adopt; no two volumes adopt the same blobs.
        `dry_run` changes nothing.
        What `progress` raises ends the run and is raised. `timeout_s` is for each file, and each piece of the listing.

        Raises: InvalidError (also for a prefix in a volume's root), ConflictError (another volume adopts some of
        these), NotFoundError, AccessDeniedError, UnavailableError (no listing), OutcomeUnknownError (of the note: try
        again).
        """
        where = check_where(prefix, into, match)
        check_flags("adopt", dry_run=dry_run)
        check_callback("adopt", "progress", progress)
        tools = self._tools.within(timeout_s)

        async def enrolled(*, record: bool) -> Enrolled:
            found = await tools.enrol(self.info, prefix, tools.writer.deadline(), record)
            self.info = found.info
            return found

        run = Adopt(
            await enrolled(record=False),
            where,
            note=partial(enrolled, record=True),
            writer=tools.writer,
            lister=tools.lister,
            store=tools.store,
            listener=progress,
        )
        return await run.run(dry_run=dry_run)

    async def create_index(
        self, *fields: str, progress: Callable[[int], None] | None = None, timeout_s: float | None = None
    ) -> Index:
        """Make a secondary index, so that queries by these fields read what matches, and no more. Online.

        A field is `meta.KEY` or one of a file's own, such as `created`; with a `-` before it, its highest values come
        first. Several make one index, in order of the first, then of the second. It serves conditions on its first
        field, on the next ones where all before are compared with `==`, and results in its order.

        From then on every write keeps it up, in the transaction that commits it, so it is never late and never wrong;
        a write costs a row more. When this returns the files that were there before are in it, too, and queries use it;
        those of a `Volume` that was opened before, here or elsewhere, once it has asked for `indexes`.
        Everybody may go on working meanwhile; writes that began before wait for seconds at most, or start over.
        Stopped anywhere, the same call goes on from there. One that is there already is returned. `progress` hears how
        many files more are in it; what it raises ends the run and is raised. `timeout_s` is for each request.

        Raises: InvalidError (no field, or none that can be indexed), ConflictError (a volume has eight at most),
        NotFoundError, AccessDeniedError, UnavailableError, OutcomeUnknownError (do it again).
        """
        on = check_index(fields)
        check_callback("create_index", "progress", progress)
        self.info = await self._tools.indexes.within(timeout_s).create(self.info, on, progress or _unheard)
        found = index_on(self.info, on)
        if found is None:
            message = f"index ({', '.join(on)}) was dropped by others while it was made"
            raise NotFoundError(message, op="create_index", key=self.name, kind="not-found.index")
        return found

    async def drop_index(
        self, *fields: str, progress: Callable[[int], None] | None = None, timeout_s: float | None = None
    ) -> None:
        """Drop a secondary index: queries stop using it at once, its rows are removed. Online, as `create_index`.

        Stopped anywhere, the same call goes on from there. `progress` hears how many files less are in it.
        Raises: NotFoundError (there is no such index), and as `create_index`.
        """
        on = check_index(fields)
        check_callback("drop_index", "progress", progress)
        keeper = self._tools.indexes.within(timeout_s)
        self.info = await keeper.current(self.info)
        if not any(index.on == on for index in self.info.indexes):
            there = ", ".join(f"({', '.join(index.on)})" for index in self.info.indexes) or "none"
            message = f"volume {self.name!r} has no index ({', '.join(on)}); it has {there}"
            raise NotFoundError(message, op="drop_index", key=self.name, kind="not-found.index")
        self.info = await keeper.drop(self.info, on, progress or _unheard)

    async def indexes(self, *, timeout_s: float | None = None) -> tuple[Index, ...]:
        """The secondary indexes there are by now, in order of making, also those that are not ready yet.

        Raises: NotFoundError, AccessDeniedError, UnavailableError.
        """
        self.info = await self._tools.indexes.within(timeout_s).current(self.info)
        return self.info.indexes

    async def set_change_log(self, on: bool, *, timeout_s: float | None = None) -> None:  # noqa: FBT001 — it says so
        """Switch the change log on, or off: whether every change is written down for `changes`, in its transaction.

        Once this returns, every change of anybody is in the log, and `info.changes_since` is since when. Switched off,
        it ends; switched on again, it begins anew, and older cursors are refused. Writes that began before wait for
        seconds at most, or start over. Stopped in between, the same call goes on from there.
        Raises: InvalidError, NotFoundError, AccessDeniedError, UnavailableError, OutcomeUnknownError (do it again).
        """
        check_flags("set_change_log", on=on)
        check_timeout(timeout_s)
        self.info = await self._tools.switch_log(self.info, on=on, timeout_s=timeout_s)

    async def purge(
        self,
        *,
        keep_versions: int | None = None,
        older_than: timedelta | None = None,
        prefix: str = "",
        dry_run: bool = False,
        progress: Callable[[PurgeItem], None] | None = None,
        timeout_s: float | None = None,
    ) -> PurgeReport:
        """Delete the content of old versions, for good. Their rows stay, and so does the history; reading one raises.

        A version's content goes when it is not among the newest `keep_versions` of its path, and was replaced (or
        deleted) more than `older_than` ago, by the service's clock; give one of them, or both. What is at a path now
        never goes; of a deleted file, the delete itself does not count as one of the newest. Content that another
        version still needs, or a write under way, stays, as does adopted content: it is `held` in the report.

        A version that was chosen once is not spared later: where its content is held, or the run was killed, it can be
        read for now, but neither restored nor copied, and every later purge of that prefix goes on with it. `dry_run`
        searches as the run does, says what would go and writes nothing; it looks at no blob, so it does not know what
        the service holds (a lease, snapshots) or others have overwritten. `progress` hears of each version as it ends;
        what it raises ends the run and is raised. `timeout_s` is for each step of each content.

        Raises: InvalidError (no rule, or a wrong one; nothing was sent), NotFoundError, UnavailableError and
        AccessDeniedError where the versions cannot be listed, or none of some thousand contents can be purged. What
        was purged before that is gone; the same call goes on from there.
        """
        from .candidates import Candidates  # noqa: PLC0415 — only who purges pays for sqlite3

        retention = check_retention(keep_versions, older_than)
        check_flags("purge", dry_run=dry_run)
        check_callback("purge", "progress", progress)
        prefix, tools = check_prefix(prefix), self._tools.within(timeout_s)
        writer, lister = tools.writer, tools.lister
        purger = Purger(
            writer.committer, lister, tools.content, self.info, writer.deadline, tools.settings.transfers_max
        )
        run = Purging(self.info, retention, prefix, writer, lister, purger, Tally(progress))
        async with Candidates(self.name, tools.threads) as candidates:
            return await run.run(candidates, dry_run=dry_run)


def _unheard(_: int) -> None:
    """Where nobody listens."""
