"""Asking a volume for many files at once: under a prefix, by a pattern or a condition, as they change."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from os import PathLike

from .answering import Answering
from .arguments import check_callback
from .browse import Browser, Present
from .change_log import Changes
from .continuation import place_in
from .counting import CountReport
from .destination import Existing
from .download import DownloadListener, DownloadReport, check_existing, check_target
from .entities import FileVersion, Folder, VolumeInfo
from .errors import InvalidError
from .kinds import LIVE
from .past import PastScan
from .paths import check_folder, check_prefix
from .planner import Question, check_order
from .query import Query
from .query_text import Where, checked_where
from .readable import ReadableVolume, Tools
from .tracing import traced
from .usage import FolderUsage
from .verify import VerifyReport, verify


class SearchableVolume(ReadableVolume):
    """A volume whose files can be looked for. `TendedVolume` adds to it how it is kept."""

    def __init__(self, info: VolumeInfo, tools: Tools) -> None:
        super().__init__(info, tools)
        self._query_type = traced(Query)
        self._changes_type = traced(Changes)

    async def download_tree(
        self,
        prefix: str,
        folder: PathLike[str] | str,
        *,
        as_of: datetime | None = None,
        existing: Existing = "fail",
        progress: DownloadListener | None = None,
        timeout_s: float | None = None,
    ) -> DownloadReport:
        """Write every file below a prefix to a local folder, under its path without the prefix. Each as by `download`.

        `existing` says what becomes of a local file that is there: "fail" (it stays, and is a failure), "overwrite",
        "skip" (it stays), or "newer" (replaced where the catalog's `modified`, else `created`, is later than its time).
        Nothing is written outside the folder, whatever the paths say and whatever links stand in it. A path that is no
        file's on every system, or the same as another's where case is ignored, is a failure. One bad file stops no
        other: see `failed` of the report. Nothing is deleted. Started again, it carries on. What `progress` raises ends
        the run and is raised, whatever it is; files that are whole by then stay, and nothing half-done does.
        `timeout_s` is for each file; once none has got through for so long, those that were not begun fail at once.

        Raises: NotFoundError (nothing is below the prefix, and no folder was made; an empty volume is no error),
        InvalidError, AccessDeniedError (no folder can be made there); as `list`.
        """
        check_existing(existing)
        check_callback("download", "progress", progress)
        prefix = check_folder(prefix)
        return await self._downloads(timeout_s).tree(
            self.list(prefix, recursive=True, as_of=as_of, timeout_s=timeout_s),
            prefix,
            check_target(folder),
            volume=self.name,
            existing=existing,
            limit=self._tools.settings.transfers_max,
            listener=progress,
        )

    def list(
        self,
        prefix: str = "",
        *,
        recursive: bool = False,
        deleted: bool = False,
        as_of: datetime | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[FileVersion | Folder]:
        """What is under a prefix, in order of path: files and folders, or with `recursive` all files.

        Paths are ordered segment by segment, by code point within one: all under `a/` comes before `a-b` and `a.txt`.
        A folder costs no more than a page of each shard, however much is in it. With `deleted`, the tombstones of
        deleted files as well. Not a snapshot (see N1 in the guarantees), but with `as_of` it is one: see `stat`. That
        reads every version written up to then below the prefix.
        Raises: InvalidError, NotFoundError (no catalog), AccessDeniedError, UnavailableError.
        """
        return self._browser("list", as_of, timeout_s).list(prefix, recursive=recursive, deleted=deleted)

    def glob(
        self, pattern: str, *, as_of: datetime | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[FileVersion]:
        """The files whose whole path a pattern stands for, in the order of `list`: `2026/**/*.csv`.

        `*` is any run of characters within a segment, `?` one character, `[a-z]` one of a set, `[!a-z]` one that is not
        in it, `**` any number of whole segments; `[*]` is a star. Reads what begins with the pattern's literal part,
        and hops over folders in which nothing can match. The answer is the same on every back end.
        Raises: as `list`.
        """
        return self._browser("glob", as_of, timeout_s).glob(pattern)

    def folders(
        self, prefix: str = "", *, depth: int = 1, as_of: datetime | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[FolderUsage]:
        """How much each folder under a prefix holds, at any depth: files, bytes, and when the newest was written.

        Folders down to `depth` levels, in the order of `list`, inner ones before what they are in; last of all the sum,
        under the prefix itself. One pass over all heads under the prefix, in bounded memory. Not a snapshot (N1).
        Raises: as `list`.
        """
        return self._browser("folders", as_of, timeout_s).folders(prefix, depth)

    def query(
        self,
        where: Where = None,
        *,
        prefix: str = "",
        order_by: str | Sequence[str] = "path",
        limit: int | None = None,
        as_of: datetime | None = None,
        after: str | None = None,
        timeout_s: float | None = None,
    ) -> Query:
        """The files for which a condition holds, ordered as by `list`: `(F.size > 1000) & (F.meta["owner"] == "ops")`.

        A comparison holds only where the file has the field, with a value of the literal's type; `~` is the plain
        complement. What the service can decide it decides; the answer is the same on every back end, and with every
        index, which change only what it costs: see `Query.explain`. Nothing is asked before the `Query` is: it says in
        which forms there is an answer.

        `order_by` is another order, such as `"-created"` or `("meta.owner", "-created")`: that of an index, which there
        must be. Files without the field come first, or with a `-` last; text is in order by its first 127 characters or
        so, with a `-` by its first 63. `after` is the token of a page: the answer goes
        on behind it, in whatever process; condition, prefix and order must be the same. `as_of` asks what there was
        then, in order of path; it has no plan to explain. `prefix` is the beginning of paths; of `limit` files no more
        are read than need be.
        Raises: as `list`; InvalidError of kind "invalid.token" at once, and of kind "invalid.order", which names the
        index to make, when it is asked.
        """
        condition = checked_where(where)
        files = LIVE if condition is None else LIVE & condition
        question = Question(files, check_prefix(prefix), check_order(order_by))
        tools = self._tools.within(timeout_s)
        settled = partial(self._settled, tools.writer.deadline)
        if as_of is not None:
            if question.order:
                raise InvalidError("what was, is in order of path: as_of takes no order_by", op="query")
            past = self._past("query", as_of, timeout_s)
            question = replace(question, time=past.time)
            place = None if after is None else place_in(after, self.info.epoch, self.name, question)
            return self._query_type(self.name, PastScan(past, question, place), limit=limit)
        place = None if after is None else place_in(after, self.info.epoch, self.name, question)
        asked = "" if condition is None else str(condition)
        source = Answering(self, tools.lister, settled, tools.threads, question, place, limit, asked)
        return self._query_type(self.name, source, limit=limit)

    async def count(
        self,
        where: Where = None,
        *,
        by: str | Sequence[str] = (),
        prefix: str = "",
        as_of: datetime | None = None,
        timeout_s: float | None = None,
    ) -> CountReport:
        """How many files there are for which a condition holds, and how large; by the values of fields, if named.

        `by="meta.owner"` counts them for each owner, and those that have none. Reads little more than these fields.
        Raises: as `query`.
        """
        return await self.query(where, prefix=prefix, as_of=as_of, timeout_s=timeout_s).count(by=by)

    def changes(self, since: str | datetime | None = None, *, timeout_s: float | None = None) -> Changes:
        """Every committed change after a cursor, each once, of a volume that has a change log.

        `since` is the `cursor` of an earlier run (which it goes on from, in any process), or a moment: then it begins
        with the first change after what `list(as_of=since)` shows; or None: with the first one of the log. In order of
        `created` within a shard, so also of each path; there is no order between shards (N1). It ends where the history
        is not final yet: a write that is under way holds up its shard, and comes, with what was after it, next time.
        Raises: InvalidError (a cursor that is damaged, or of another volume); iterating it, see `Changes`.
        """
        tools = self._tools.within(timeout_s)
        return self._changes_type(self.info, since, self._finality, tools.writer, tools.lister)

    async def verify(
        self, prefix: str = "", *, progress: Callable[[int, int], None] | None = None, timeout_s: float | None = None
    ) -> VerifyReport:
        """Read the content of every version under a prefix, and compare it with what was written.

        `progress` hears of versions checked and bytes read; what it raises ends the run and is raised. Damage is in the
        report, not raised.
        Raises: as `list`.
        """
        check_callback("verify", "progress", progress)
        tools = self._tools.within(timeout_s)
        return await verify(self.info, check_prefix(prefix), tools.lister, tools.readers, progress)

    def _browser(self, op: str, as_of: datetime | None, timeout_s: float | None) -> Browser:
        if as_of is not None:
            return Browser(self.info, self._past(op, as_of, timeout_s))
        tools = self._tools.within(timeout_s)
        return Browser(self.info, Present(self.info, tools.lister, partial(self._settled, tools.writer.deadline)))
