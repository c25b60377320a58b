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
from contextlib import asynccontextmanager
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from storage import Capabilities, ContentStore, Examined

from .columns import SCHEMA
from .content_checks import ContentChecks
from .diagnosis import BrokenPromiseError, DoctorItem, DoctorReport, Scratch
from .errors import AccessDeniedError, CatalogError, NotFoundError, UnavailableError
from .retry import Deadline
from .safety import safety
from .table import Table
from .table_checks import TableChecks

PACKAGES: Final = ("blobcat", "azure-core", "azure-data-tables", "azure-storage-blob", "azure-identity", "aiohttp")
ROLES: Final = "Storage Table Data Contributor and Storage Blob Data Contributor write; the Readers' roles only read"

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
        scratch = Scratch(now_s)
        self._table = TableChecks(table, deadline, scratch)
        self._content = ContentChecks(content, deadline, scratch)
        self._store = content
        self._deadline = deadline
        self._items: list[DoctorItem] = []

    async def run(self) -> DoctorReport:
        """Look at everything, and clean up. Raises nothing but cancellation: what is wrong is in the report."""
        self._items.append(DoctorItem("versions", "ok", _versions()))
        self._items.append(DoctorItem("capabilities", "ok", _capabilities(self._store.capabilities)))
        if await self._check("table", self._table.reach, reaching=True):
            async with self._cleaned("table clean-up", self._table.clean):
                if await self._check("table writes", self._table.writes):
                    await self._check("clock", self._table.clock)
                    await self._check("table conditions", self._table.conditions)
                    await self._check("table batches", self._table.batches)
                    await self._check("table listings", self._table.listings)
        if await self._check("content", self._content.reach, reaching=True):
            async with self._cleaned("content clean-up", self._content.clean):
                if await self._check("content writes", self._content.writes):
                    await self._check("content conditions", self._content.conditions)
                    await self._check("content blocks", self._content.blocks)
                    await self._check("content listings", self._content.listings)
            await self._safety()
        return DoctorReport(tuple(self._items))

    async def _check(self, name: str, check: Check, *, reaching: bool = False) -> bool:
        """Whether to go on with what rests on it. Who is `reaching` out has a limit, and words, of his own."""
        try:
            item = _item(name, await (check() if reaching else self._deadline().wait(check)))
        except (BrokenPromiseError, CatalogError) as exc:
            item = _failed(name, exc)
        self._items.append(item)
        return item.status == "ok"

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

    async def _safety(self) -> None:
        if not isinstance(self._store, Examined):
            self._items.append(DoctorItem("credential", "ok", "none: the catalog is on this machine"))
            return
        try:
            self._items += safety(await self._deadline().retried(self._store.examine))
        except CatalogError as exc:
            self._items.append(DoctorItem("safety", "warn", f"cannot tell: {exc}"))


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
