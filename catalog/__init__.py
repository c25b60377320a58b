"""blobcat: a file catalog for Azure Storage. `import catalog`, then `catalog.connect(url)`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from storage import Capabilities

    from . import blocking
    from .adoption import AdoptFinding, AdoptListener, AdoptProgress, AdoptReport
    from .azure_clients import AzureClients
    from .catalog import Catalog, connect
    from .change_log import Changes
    from .counting import CountGroup, CountReport
    from .destination import Existing
    from .diagnosis import DoctorItem, DoctorReport
    from .download import DownloadProgress, DownloadReport
    from .dump_file import DumpSource
    from .dumped import DumpedVersion, DumpedVolume, DumpEnd, DumpHeader, DumpRecord, dump_line, parse_dump_line
    from .entities import FileVersion, Folder, Index, Kind, VolumeInfo
    from .errors import (
        AccessDeniedError,
        CatalogError,
        ConflictError,
        IntegrityError,
        InvalidError,
        NotFoundError,
        OutcomeUnknownError,
        TooLargeError,
        UnavailableError,
    )
    from .events import (
        AbortEvent,
        CommitEvent,
        Event,
        OnEvent,
        RecoveredEvent,
        RequestEvent,
        RetryEvent,
        ThrottledEvent,
    )
    from .explanation import Cost, Explanation
    from .fields import F
    from .filters import Condition, Expression
    from .ingest_report import IngestProgress, IngestReport, Progress
    from .load import LoadProgress, LoadReport
    from .metadata import Metadata
    from .modes import Create, IfMatch, IfVersion, Mode, Overwrite
    from .pace import Rate
    from .purge_report import PurgeCount, PurgeItem, PurgeReport
    from .query import Page, Query
    from .query_text import parse_expression
    from .reader import Reader
    from .rebuild import RebuildFinding, RebuildReport
    from .reconcile.apply_report import Applied, ApplyReport
    from .reconcile.brake import Brake
    from .reconcile.difference import Difference
    from .reconcile.undo import Undone, UndoReport
    from .reconciling import Plan
    from .recovery import Recovered, RecoveredVolume, RecoveryReport
    from .seek import SeekableReader
    from .settings import Settings
    from .sources import Content
    from .unwrap import LocalPaths
    from .usage import FolderUsage
    from .verify import Finding, VerifyReport
    from .volume import Item, Outcome, Volume
    from .walk import Failure

# Where each public name lives: imported when it is first used, so that `import catalog` costs nothing.
_HOMES = {
    "adoption": ("AdoptFinding", "AdoptListener", "AdoptProgress", "AdoptReport"),
    "azure_clients": ("AzureClients",),
    "change_log": ("Changes",),
    "catalog": ("Capabilities", "Catalog", "connect"),
    "counting": ("CountGroup", "CountReport"),
    "diagnosis": ("DoctorItem", "DoctorReport"),
    "destination": ("Existing",),
    "download": ("DownloadProgress", "DownloadReport"),
    "dump_file": ("DumpSource",),
    "dumped": (
        "DumpEnd",
        "DumpHeader",
        "DumpRecord",
        "DumpedVersion",
        "DumpedVolume",
        "dump_line",
        "parse_dump_line",
    ),
    "entities": ("FileVersion", "Folder", "Index", "Kind", "VolumeInfo"),
    "errors": (
        "AccessDeniedError",
        "CatalogError",
        "ConflictError",
        "IntegrityError",
        "InvalidError",
        "NotFoundError",
        "OutcomeUnknownError",
        "TooLargeError",
        "UnavailableError",
    ),
    "events": (
        "AbortEvent",
        "CommitEvent",
        "Event",
        "OnEvent",
        "RecoveredEvent",
        "RequestEvent",
        "RetryEvent",
        "ThrottledEvent",
    ),
    "explanation": ("Cost", "Explanation"),
    "fields": ("F",),
    "filters": ("Condition", "Expression"),
    "ingest_report": ("IngestProgress", "IngestReport", "Progress"),
    "load": ("LoadProgress", "LoadReport"),
    "metadata": ("Metadata",),
    "modes": ("Create", "IfMatch", "IfVersion", "Mode", "Overwrite"),
    "pace": ("Rate",),
    "purge_report": ("PurgeCount", "PurgeItem", "PurgeReport"),
    "query": ("Page", "Query"),
    "query_text": ("parse_expression",),
    "reader": ("Reader",),
    "reconcile.apply_report": ("Applied", "ApplyReport"),
    "reconcile.brake": ("Brake",),
    "reconcile.difference": ("Difference",),
    "reconcile.undo": ("Undone", "UndoReport"),
    "reconciling": ("Plan",),
    "rebuild": ("RebuildFinding", "RebuildReport"),
    "recovery": ("Recovered", "RecoveredVolume", "RecoveryReport"),
    "seek": ("SeekableReader",),
    "settings": ("Settings",),
    "sources": ("Content",),
    "usage": ("FolderUsage",),
    "unwrap": ("LocalPaths",),
    "verify": ("Finding", "VerifyReport"),
    "volume": ("Item", "Outcome", "Volume"),
    "walk": ("Failure",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AbortEvent",
    "AccessDeniedError",
    "AdoptFinding",
    "AdoptListener",
    "AdoptProgress",
    "AdoptReport",
    "Applied",
    "ApplyReport",
    "AzureClients",
    "Brake",
    "Capabilities",
    "Catalog",
    "CatalogError",
    "Changes",
    "CommitEvent",
    "Condition",
    "ConflictError",
    "Content",
    "Cost",
    "CountGroup",
    "CountReport",
    "Create",
    "Difference",
    "DoctorItem",
    "DoctorReport",
    "DownloadProgress",
    "DownloadReport",
    "DumpEnd",
    "DumpHeader",
    "DumpRecord",
    "DumpSource",
    "DumpedVersion",
    "DumpedVolume",
    "Event",
    "Existing",
    "Explanation",
    "Expression",
    "F",
    "Failure",
    "FileVersion",
    "Finding",
    "Folder",
    "FolderUsage",
    "IfMatch",
    "IfVersion",
    "Index",
    "IngestProgress",
    "IngestReport",
    "IntegrityError",
    "InvalidError",
    "Item",
    "Kind",
    "LoadProgress",
    "LoadReport",
    "LocalPaths",
    "Metadata",
    "Mode",
    "NotFoundError",
    "OnEvent",
    "Outcome",
    "OutcomeUnknownError",
    "Overwrite",
    "Page",
    "Plan",
    "Progress",
    "PurgeCount",
    "PurgeItem",
    "PurgeReport",
    "Query",
    "Rate",
    "Reader",
    "RebuildFinding",
    "RebuildReport",
    "Recovered",
    "RecoveredEvent",
    "RecoveredVolume",
    "RecoveryReport",
    "RequestEvent",
    "RetryEvent",
    "SeekableReader",
    "Settings",
    "ThrottledEvent",
    "TooLargeError",
    "UnavailableError",
    "UndoReport",
    "Undone",
    "VerifyReport",
    "Volume",
    "VolumeInfo",
    "blocking",
    "connect",
    "dump_line",
    "parse_dump_line",
    "parse_expression",
]


def __getattr__(name: str) -> Any:
    if name == "blocking":
        return import_module(".blocking", __name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
