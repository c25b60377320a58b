"""Doctor: whether the services are there, do what the protocol rests on, and are set up safely.

Every check is made with real requests, in a scratch partition and below a scratch prefix that hold nothing else, and
that are emptied at the end whatever happens; what a doctor who was killed left behind, a later one removes. A check
that cannot be made is not passed over in silence: it says that it cannot tell.

Each check has a time limit. It asks the ports alone, as the protocol does, so what it finds to be true is what the
protocol can rely on.
"""

import platform
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from ulid import ULID

from storage import (
    Always,
    Blocks,
    Capabilities,
    ContentStore,
    Examination,
    Examined,
    Headers,
    IfAbsent,
    IfMatch,
    Precondition,
)

from .entities import SCHEMA
from .errors import AccessDeniedError, CatalogError, ConflictError, NotFoundError, UnavailableError
from .keys import RowRange
from .retry import Deadline
from .table import Delete, Insert, RefusedError, Replace, Table

Status = Literal["ok", "warn", "fail"]

PARTITION: Final = "~doctor"
PREFIX: Final = ".doctor/"
ABANDONED_S: Final = 3600.0  # a doctor's rows and blobs of this age are nobody's
CLOCK_OFF_S: Final = 300.0
SOFT_DELETE_DAYS: Final = 7
PACKAGES: Final = ("blobcat", "azure-core", "azure-data-tables", "azure-storage-blob", "azure-identity", "aiohttp")
ROLES: Final = "Storage Table Data Contributor and Storage Blob Data Contributor write; the Readers' roles only read"

_ALL: Final = RowRange("0", "~")


@dataclass(frozen=True, slots=True)
class DoctorItem:
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str
    hint: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All of them, in the order in which they were looked at."""

    items: tuple[DoctorItem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed. There may be warnings."""
        return all(item.status != "fail" for item in self.items)


class BrokenPromiseError(Exception):
    """A service does not do what the protocol rests on."""


Check = Callable[[], Awaitable[str]]


class Doctor:
    """One examination of one catalog."""

    def __init__(
        self,
        table: Table,
        content: ContentStore,
        deadline: Callable[[], Deadline],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._content = content
        self._deadline = deadline
        self._now_s = now_s
        self._id = str(ULID())
        self._items: list[DoctorItem] = []

    async def run(self) -> DoctorReport:
        """Look at everything, and clean up. Raises nothing but cancellation: what is wrong is in the report."""
        self._items.append(DoctorItem("versions", "ok", _versions()))
        self._items.append(DoctorItem("capabilities", "ok", _capabilities(self._content.capabilities)))
        if await self._check("table", self._reach_table, reaching=True):
            async with self._cleaned("table clean-up", self._clean_table):
                if await self._check("table writes", self._table_writes):
                    await self._check("clock", self._clock)
                    await self._check("table conditions", self._table_conditions)
                    await self._check("table batches", self._table_batches)
                    await self._check("table listings", self._table_listings)
        if await self._check("content", self._reach_content, reaching=True):
            async with self._cleaned("content clean-up", self._clean_content):
                if await self._check("content writes", self._content_writes):
                    await self._check("content conditions", self._content_conditions)
                    await self._check("content blocks", self._content_blocks)
                    await self._check("content listings", self._content_listings)
            await self._safety()
        return DoctorReport(tuple(self._items))

    # --- Each check, and what becomes of it --------------------------------------------------------------------------

    async def _check(self, name: str, check: Check, *, reaching: bool = False) -> bool:
        """Whether to go on with what rests on it. Who is `reaching` out has a limit, and words, of his own."""
        try:
            item = _item(name, await (check() if reaching else self._deadline().wait(check)))
        except (BrokenPromiseError, CatalogError) as exc:
            item = _failed(name, exc)
        self._items.append(item)
        return item.status == "ok" or name == "clock"

    @asynccontextmanager
    async def _cleaned(self, name: str, clean: Check) -> AsyncIterator[None]:
        try:
            yield
        finally:
            try:
                await self._deadline().wait(clean)
            except CatalogError as exc:
                if not isinstance(exc, AccessDeniedError):  # who may not write has left nothing
                    self._items.append(DoctorItem(name, "warn", str(exc), "run it again later: it cleans up then"))

    # --- The table ---------------------------------------------------------------------------------------------------

    async def _reach_table(self) -> str:
        start = time.perf_counter()
        await self._deadline().retried(lambda: self._table.get(PARTITION, self._row("none")))
        return f"{_named(self._table)}, answered in {_ms(start)}"

    async def _table_writes(self) -> str:
        row = self._row("a")
        await self._deadline().write(lambda: self._table.submit(PARTITION, [Insert(row, {"number": 1 << 40})]))
        found = await self._table.get(PARTITION, row)
        _promise(found is not None and found.values.get("number") == 1 << 40, "a row is not read as it was written")
        return "a row is read as it was written"

    async def _clock(self) -> str:
        row = self._row("clock")
        before = self._now_s()
        await self._table.submit(PARTITION, [Insert(row, {"number": 1})])
        after = self._now_s()
        found = await self._table.get(PARTITION, row)
        if found is None:
            raise BrokenPromiseError("a row that was written is not there")
        return _clock(found.timestamp / 1e6, before, after)

    async def _table_conditions(self) -> str:
        row = self._row("b")
        (first,) = await self._table.submit(PARTITION, [Insert(row, {"number": 1})])
        await self._refused([Insert(row, {"number": 2})], "a second insert of a row is not refused")
        (second,) = await self._table.submit(PARTITION, [Replace(row, {"number": 2}, first.etag or "")])
        _promise(first.etag != second.etag, "a changed row keeps its etag")
        await self._refused([Replace(row, {"number": 3}, first.etag or "")], "a change with an old etag is not refused")
        await self._refused([Delete(row, first.etag or "")], "a delete with an old etag is not refused")
        return "a second insert and old etags are refused"

    async def _table_batches(self) -> str:
        there, new = self._row("a"), self._row("c")
        await self._refused(
            [Insert(new, {"number": 1}), Insert(there, {"number": 1})], "a batch with a wrong insert is not refused"
        )
        _promise(await self._table.get(PARTITION, new) is None, "a batch that was refused has left a row")
        return "a batch is all or nothing"

    async def _table_listings(self) -> str:
        rows = [self._row(f"l{number}") for number in range(3)]
        await self._table.submit(PARTITION, [Insert(row, {"number": 1}) for row in reversed(rows)])
        listed = [row for row in await self._rows() if row in rows]
        _promise(listed == rows, "a query misses rows, or has them in another order than that of their keys")
        return "rows are there at once, in order"

    async def _refused(self, operations: list[Insert | Replace | Delete], broken: str) -> None:
        try:
            await self._table.submit(PARTITION, operations)
        except RefusedError:
            return
        raise BrokenPromiseError(broken)

    async def _rows(self) -> list[str]:
        async with aclosing(self._table.query(PARTITION, _ALL)) as pages:
            return [row.row async for page in pages for row in page]

    async def _clean_table(self) -> str:
        for row in await self._rows():
            if self._rubbish(row.partition(".")[0]):
                await self._deadline().write(lambda row=row: self._table.submit(PARTITION, [Delete(row)]))  # type: ignore[misc]
        return ""

    # --- The content -------------------------------------------------------------------------------------------------

    async def _reach_content(self) -> str:
        start = time.perf_counter()
        try:
            await self._deadline().retried(lambda: self._content.stat(self._blob("none")))
        except NotFoundError as exc:
            if exc.kind == "not-found.container":
                raise
        listed = aiter(self._content.list(self._blob("")))  # HEAD has no words for a missing container
        await self._deadline().wait(lambda: anext(listed, None))
        return f"{_named(self._content)}, answered in {_ms(start)}"

    async def _content_writes(self) -> str:
        name, data = self._blob("a"), b"blobcat doctor\n"
        await self._deadline().write(lambda: self._content.put(name, data, when=IfAbsent(), headers=Headers()))
        _promise(await self._read(name) == data, "a blob is not read as it was written")
        return "a blob is read as it was written"

    async def _content_conditions(self) -> str:
        name = self._blob("b")
        first = await self._content.put(name, b"1", when=IfAbsent(), headers=Headers())
        await self._conflict(name, IfAbsent(), "a second put with If-None-Match is not refused")
        second = await self._content.put(name, b"2", when=IfMatch(first), headers=Headers())
        _promise(first != second, "a changed blob keeps its etag")
        await self._conflict(name, IfMatch(first), "a put with an old etag in If-Match is not refused")
        try:
            await self._content.delete(name, when=IfMatch(first))
        except ConflictError:
            return "If-None-Match and If-Match are heeded"
        raise BrokenPromiseError("a delete with an old etag in If-Match is not refused")

    async def _content_blocks(self) -> str:
        name = self._blob("c")
        for block, data in (("1", b"one "), ("2", b"two")):
            await self._content.stage(name, block, data)
        await self._content.put(name, Blocks(("1", "2")), when=IfAbsent(), headers=Headers())
        _promise(await self._read(name) == b"one two", "blocks are not put together as they were staged")
        return "staged blocks become one blob"

    async def _content_listings(self) -> str:
        names = [self._blob(f"l{number}") for number in range(3)]
        for name in reversed(names):
            await self._content.put(name, b"x", when=IfAbsent(), headers=Headers())
        listed = [blob.name async for blob in self._content.list(self._blob("l"))]
        _promise(listed == names, "a listing misses blobs, or has them in another order than that of their names")
        return "blobs are there at once, in order"

    async def _conflict(self, name: str, when: Precondition, broken: str) -> None:
        try:
            await self._content.put(name, b"x", when=when, headers=Headers())
        except ConflictError:
            return
        raise BrokenPromiseError(broken)

    async def _read(self, name: str) -> bytes:
        async with self._content.open(name, when=Always()) as opened:
            return b"".join([chunk async for chunk in opened.chunks])

    async def _clean_content(self) -> str:
        for name in [blob.name async for blob in self._content.list(PREFIX)]:
            if self._rubbish(name.removeprefix(PREFIX).partition("/")[0]):
                await self._content.delete(name, when=Always())
        return ""

    # --- Safety ------------------------------------------------------------------------------------------------------

    async def _safety(self) -> None:
        if not isinstance(self._content, Examined):
            self._items.append(DoctorItem("credential", "ok", "none: the catalog is on this machine"))
            return
        try:
            self._items += safety(await self._deadline().retried(self._content.examine))
        except CatalogError as exc:
            self._items.append(DoctorItem("safety", "warn", f"cannot tell: {exc}"))

    # --- Names -------------------------------------------------------------------------------------------------------

    def _row(self, name: str) -> str:
        return f"{self._id}.{name}"

    def _blob(self, name: str) -> str:
        return f"{PREFIX}{self._id}/{name}"

    def _rubbish(self, doctor: str) -> bool:
        """Whether it is ours, or of a doctor who is long gone."""
        if doctor == self._id:
            return True
        try:
            return ULID.from_str(doctor).timestamp < self._now_s() - ABANDONED_S
        except ValueError:
            return False  # not a doctor's


def safety(found: Examination) -> list[DoctorItem]:
    """What is to be said of how an account is used and set up. The emulator may do what would be careless elsewhere."""
    return [_of_credential(found), _of_transport(found), _of_soft_delete(found)]


def _of_credential(found: Examination) -> DoctorItem:
    match found.credential:
        case "account key" if not found.loopback:
            hint = "it opens the whole account, for ever: use an identity with roles, and disallow keys"
            return DoctorItem("credential", "warn", "the account key", hint)
        case "SAS" if not found.loopback:
            return DoctorItem("credential", "ok", "a SAS", "an identity with roles needs no keeping")
        case "none":
            return DoctorItem("credential", "warn", "none", "pass a credential")
        case kind:
            return DoctorItem("credential", "ok", f"{kind}{', of the emulator' if found.loopback else ''}")


def _of_transport(found: Examination) -> DoctorItem:
    if found.encrypted:
        return DoctorItem("transport", "ok", f"https to {found.endpoint}")
    return DoctorItem("transport", "ok" if found.loopback else "warn", f"plain http to {found.endpoint}")


def _of_soft_delete(found: Examination) -> DoctorItem:
    name, days = "soft delete", found.soft_delete_days
    if found.loopback:
        return DoctorItem(name, "ok", "not on the emulator")
    if days is None:
        hint = "look in the portal, under Data protection"
        return DoctorItem(name, "ok", "cannot tell: this credential may not read the account's properties", hint)
    if days >= SOFT_DELETE_DAYS:
        return DoctorItem(name, "ok", f"deleted blobs can be brought back for {days} days")
    command = "az storage account blob-service-properties update --enable-delete-retention true"
    hint = f"{command} --delete-retention-days {SOFT_DELETE_DAYS * 2}"
    detail = f"only {days} days" if days else "off: what others delete is gone"
    return DoctorItem(name, "warn", detail, hint)


def _clock(service_s: float, before_s: float, after_s: float) -> str:
    """How far apart two clocks are: nothing is known of the time that the request took."""
    off = service_s - min(max(service_s, before_s), after_s)
    if abs(off) > CLOCK_OFF_S:
        way = "behind" if off > 0 else "ahead of"
        apart = timedelta(seconds=round(abs(off)))
        raise BrokenPromiseError(f"this machine's clock is {apart} {way} the service's")
    return f"{abs(off):.1f} s apart from the service's"


def _item(name: str, detail: str) -> DoctorItem:
    return DoctorItem(name, "ok", detail)


def _failed(name: str, exc: BrokenPromiseError | CatalogError) -> DoctorItem:
    match exc:
        case BrokenPromiseError() if name == "clock":
            return DoctorItem(name, "warn", str(exc), "signatures and tokens fail with a wrong clock: set it")
        case BrokenPromiseError():
            return DoctorItem(name, "fail", str(exc), "do not write to this catalog: the protocol rests on it")
        case AccessDeniedError() if name.endswith("writes"):
            return DoctorItem(name, "warn", f"this credential may not write: {exc}", ROLES)
        case NotFoundError():
            return DoctorItem(name, "fail", str(exc), "blobcat init makes it")
        case UnavailableError():
            return DoctorItem(name, "fail", str(exc), "is the url right, and the network?")
    return DoctorItem(name, "fail", str(exc))


def _promise(kept: bool, broken: str) -> None:  # noqa: FBT001 — it is the thing that is asserted
    if not kept:
        raise BrokenPromiseError(broken)


def _versions() -> str:
    found = [f"{name} {_version(name)}" for name in PACKAGES]
    return ", ".join((*found, f"Python {platform.python_version()}", f"schema {SCHEMA}"))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _capabilities(found: Capabilities) -> str:
    able = [field.name for field in fields(found) if getattr(found, field.name)]
    return ", ".join(able) or "none beyond the port"


def _ms(start: float) -> str:
    return f"{(time.perf_counter() - start) * 1000:.0f} ms"


def _named(port: object) -> str:
    return repr(port).strip("<>")
