"""What each command prints with `--json`: which record, how many of them, and what the fields mean.

The types come from the library's own dataclasses (see `json_schemas`). So do the meanings, where a field has a line of
its own below it; those that need none there have theirs here, since a schema's reader has no source at hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from catalog.adoption import AdoptFinding, AdoptReport
from catalog.counting import CountGroup, CountReport
from catalog.diagnosis import DoctorItem, DoctorReport
from catalog.download import DownloadReport
from catalog.dumped import DumpEnd
from catalog.entities import FileVersion, Folder, Index, VolumeInfo
from catalog.explanation import Cost, Explanation
from catalog.ingest_report import IngestReport
from catalog.load import LoadReport
from catalog.purge_report import PurgeCount, PurgeItem, PurgeReport
from catalog.rebuild import RebuildFinding, RebuildReport
from catalog.reconcile.apply_report import Applied, ApplyReport
from catalog.reconcile.difference import Difference
from catalog.reconcile.plan import Depth
from catalog.reconcile.undo import Undone, UndoReport
from catalog.recovery import Recovered, RecoveredVolume, RecoveryReport
from catalog.selection import NAMES
from catalog.usage import FolderUsage
from catalog.verify import Finding, VerifyReport
from catalog.walk import Failure


@dataclass(frozen=True)
class Record:
    """A kind of JSON object: the dataclass that it shows, if any, and what is added, or said in JSON's words."""

    says: str
    shown: type | None = None
    more: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    free: str | None = None
    """Of one whose fields the caller names: a pattern of what they may be called."""


@dataclass(frozen=True)
class Printed:
    """What a command prints: `lines` of it, each one of these records."""

    lines: str
    records: tuple[str, ...] = ()


_FOLDER = {"kind": (Literal["folder"], "Tells it from a file.")}
_TARGET = "The local file or folder that was written to."
_NEWEST = {"newest": (datetime | None, "When the newest of the files was written; null without a file.")}
_LOGGED = (
    "Since when every change is in the volume's change log, by the service's clock; null: it has none; year 9999: it "
    "is being switched on."
)
_CHANGES_SINCE = {"changes_since": (datetime | None, _LOGGED)}

RECORDS: Mapping[str, Record] = {
    "FileVersion": Record("One version of one file. A delete is a version too, without content.", FileVersion),
    "Folder": Record("What lies between two slashes.", Folder, _FOLDER),
    "FolderUsage": Record("A folder, and how much is under it at any depth.", FolderUsage, _FOLDER | _NEWEST),
    "VolumeInfo": Record("A volume.", VolumeInfo, _CHANGES_SINCE),
    "Index": Record("A secondary index: a row for each file, in order of some of its fields.", Index),
    "MadeVolume": Record(
        "A volume, as init leaves it.",
        VolumeInfo,
        _CHANGES_SINCE | {"made": (bool, "Whether it was made now; else it was there.")},
    ),
    "ReadFile": Record("The version that was read.", FileVersion, {"target": (str, _TARGET)}),
    "ReadTree": Record("What the download of a tree did.", DownloadReport, {"target": (str, _TARGET)}),
    "IngestReport": Record("What an ingest did.", IngestReport),
    "AdoptReport": Record("What became of the blobs that were looked at, each counted once.", AdoptReport),
    "AdoptFinding": Record("A blob that was not adopted, or not as it is now.", AdoptFinding),
    "Failure": Record("One file that failed while others went on.", Failure),
    "FailedDelete": Record(
        "A file that could not be deleted while others were.",
        more={"path": (str, "The file's path in the catalog."), "error": (Exception, "Why.")},
    ),
    "VerifyReport": Record("What was read again.", VerifyReport),
    "Finding": Record("A version whose content is not what was written, or could not be read.", Finding),
    "PurgeReport": Record("What a purge did, or would do.", PurgeReport),
    "PurgeCount": Record("How much had one end.", PurgeCount),
    "PurgeItem": Record("A version whose content was to go, and stays for now.", PurgeItem),
    "RebuildReport": Record("A volume that was made again of its blobs, and what is lost.", RebuildReport),
    "RebuildFinding": Record("A blob under the root that could not be made a version.", RebuildFinding),
    "Reconciled": Record(
        "What a reconcile has compared, and what came of it.",
        more={
            "volume": (str, "The volume's name."),
            "depth": (Depth, "How much was compared."),
            "blobs": (int, "Blobs that were listed."),
            "versions": (int, "Versions that have content."),
            "bytes": (int, "Bytes of the blobs that were listed."),
            "states": (Mapping[str, int], "How many are in each state but `consistent`; see docs/reconcile.md."),
            "actions": (Mapping[str, int], "How many actions of each kind are proposed."),
            "findings": (int, "How many differences, without writes that may be under way."),
            "clean": (bool, "Whether catalog and content agree: all was compared, and there is no finding."),
            "complete": (bool, "Whether both sides were read to the end; else nothing is concluded."),
            "incomplete": (Sequence[str], "What could not be read to the end."),
            "refused": (Sequence[str], "Why nothing may be deleted by this plan unless it is forced."),
            "notes": (Sequence[str], "What has collapsed since the last run, where the plan deletes nothing anyway."),
            "requests": (int, "About how many requests it takes to carry the plan out."),
            "plan": (str | None, "The plan's file; null where none was asked for."),
            "sha256": (str, "Of the plan's file: by this it is forced."),
        },
    ),
    "ApplyReport": Record("What was done about a plan, and what was not.", ApplyReport),
    "Applied": Record("What became of one finding of a plan.", Applied),
    "Difference": Record("One thing that was not as it should be: a finding of a plan.", Difference),
    "UndoReport": Record("What was taken back, the last action first, and what was not.", UndoReport),
    "Undone": Record("What became of one action that was to be undone.", Undone),
    "RecoveryReport": Record("Every write, and every deletion of a volume, that was found half-done.", RecoveryReport),
    "RecoveredVolume": Record(
        "A volume that was half deleted, or could not be recovered, and what became of it.", RecoveredVolume
    ),
    "Recovered": Record("A write that was found half-done, and what became of it.", Recovered),
    "Resolution": Record(
        "What became of a write whose outcome was unknown.",
        more={
            "applied": (bool, "Whether it was applied. The answer is final."),
            "file": (FileVersion | None, "The version that it made; null where it was not applied."),
        },
    ),
    "DoctorReport": Record(
        "All that was looked at, in order.", DoctorReport, {"ok": (bool, "Whether nothing failed; warnings are none.")}
    ),
    "DoctorItem": Record("One thing that was looked at.", DoctorItem),
    "DumpReport": Record("A dump that was written to a file.", DumpEnd, {"target": (str, "The local file.")}),
    "LoadReport": Record("What a load did.", LoadReport),
    "ReadTo": Record(
        "How far a volume's changes were read; the last line.",
        more={"cursor": (str, "Where to go on: --since takes it.")},
    ),
    "SelectedFile": Record(
        "Of a file the fields that --columns names, under these names; null where it has no such field.",
        free=rf"^({'|'.join(NAMES)}|meta\.\w+)$",
    ),
    "SqlRow": Record(
        "A row of what the statement says: its columns, under their names. Times are as everywhere; what JSON has no "
        "word for is text.",
        free="",
    ),
    "WrittenRows": Record(
        "Rows that were written to a local file.",
        more={
            "target": (str, "The local file."),
            "format": (Literal["json", "csv", "parquet"], "What it holds."),
            "rows": (int, "How many."),
        },
    ),
    "NextPage": Record(
        "That a limit has left files out; the last line.",
        more={"after": (str, "Where to go on: --after takes it.")},
    ),
    "Explanation": Record(
        "How a query is answered, and what it costs.",
        Explanation,
        {"actual": (Cost | None, "What the query has cost; null: it was not run.")},
    ),
    "Cost": Record("What is paid for, and what is read for it.", Cost),
    "CountReport": Record("How many files there are, and how large they are together.", CountReport),
    "CountGroup": Record(
        "The files that have the same values.",
        CountGroup,
        {
            "values": (
                Sequence[Any],
                "One for each field that was counted by, in their order; null where a file has no such field.",
            )
        },
    ),
    "SignedUrl": Record(
        "A url by which anyone can read one version of a file.",
        more={
            "path": (str, "The file's path."),
            "expires_in_s": (int, "For how many seconds it is good."),
            "url": (str, "The url: as good as a password."),
        },
    ),
}

_ONE_FILE = Printed("one line", ("FileVersion",))

COMMANDS: Mapping[str, Printed] = {
    "init": Printed("one line", ("MadeVolume",)),
    "volumes": Printed("a line for each volume", ("VolumeInfo",)),
    "index": Printed("a line for each index, or for the one that was made; none with --drop", ("Index",)),
    "adopt": Printed("one line", ("AdoptReport",)),
    "ingest": Printed("one line", ("IngestReport",)),
    "put": _ONE_FILE,
    "cp": _ONE_FILE,
    "mv": _ONE_FILE,
    "rm": Printed("a line for each file; none with --missing-ok, where none was", ("FileVersion", "FailedDelete")),
    "restore": _ONE_FILE,
    "ls": Printed("a line for each file and folder, by path", ("FileVersion", "Folder")),
    "tree": Printed("a line for each file and folder, from top to bottom", ("FileVersion", "FolderUsage")),
    "du": Printed("a line for each folder, the sum last", ("FolderUsage",)),
    "query": Printed(
        "a line for each file, by path or --order-by, and a NextPage where --limit leaves some out; SelectedFile with "
        "--columns; one WrittenRows with --output; one Explanation with --explain",
        ("FileVersion", "NextPage", "SelectedFile", "WrittenRows", "Explanation"),
    ),
    "count": Printed("one line", ("CountReport",)),
    "sql": Printed("a line for each row; one WrittenRows with --output", ("SqlRow", "WrittenRows")),
    "get": Printed("one line, ReadTree with -r; with - the content as it is", ("ReadFile", "ReadTree")),
    "cat": Printed("the content as it is"),
    "stat": _ONE_FILE,
    "history": Printed("a line for each version, newest first", ("FileVersion",)),
    "changes": Printed("a line for each change, the cursor last", ("FileVersion", "ReadTo")),
    "sign": Printed("one line", ("SignedUrl",)),
    "verify": Printed("one line", ("VerifyReport",)),
    "purge": Printed("one line", ("PurgeReport",)),
    "reconcile": Printed("one line", ("Reconciled",)),
    "apply": Printed("one line", ("ApplyReport",)),
    "undo": Printed("one line", ("UndoReport",)),
    "recover": Printed("one line", ("RecoveryReport",)),
    "rebuild": Printed("one line", ("RebuildReport",)),
    "resolve": Printed("one line", ("Resolution",)),
    "doctor": Printed("one line", ("DoctorReport",)),
    "dump": Printed("one line with FILE; else the dump as it is, see dump.md", ("DumpReport",)),
    "load": Printed("one line", ("LoadReport",)),
    "completion": Printed("the script as it is"),
}

MEANINGS: Mapping[str, str] = {
    "FileVersion.volume": "The volume's name.",
    "FileVersion.path": "The file's path in the volume.",
    "FileVersion.kind": "What made this version; `delete` means that there is no file as of it.",
    "FileVersion.content_type": "The media type; empty for a delete.",
    "FileVersion.metadata": "The user's own keys. A time is shown as a string, as all times are.",
    "FileVersion.request_id": "The caller's own id of the request, where it gave one.",
    "FileVersion.blob_etag": "The blob's etag, by which reading is pinned to it.",
    "FileVersion.blob_version": "The blob's version id, where the account keeps versions of blobs.",
    "VolumeInfo.name": "The volume's name.",
    "VolumeInfo.layout": "How its blobs are named.",
    "VolumeInfo.shards": "Its partitions, fixed for ever.",
    "VolumeInfo.created": "When it was made.",
    "VolumeInfo.indexes": "Its secondary indexes, in order of making.",
    "VolumeInfo.default": "Whether it is the one that is used where none is named.",
    "FolderUsage.files": "How many files.",
    "DownloadReport.written": "Local files that were written.",
    "DownloadReport.skipped": "Local files that were to be left alone.",
    "DownloadReport.bytes_written": "Bytes of the files that were written.",
    "DownloadReport.failed": "Files that failed; empty where all is well.",
    "IngestReport.written": "Files that got a new version.",
    "IngestReport.bytes_written": "Bytes of the files that were written.",
    "IngestReport.failed": "Files that failed; empty where all is well.",
    "AdoptReport.listed": "Blobs with the prefix.",
    "AdoptReport.invalid": "Blobs whose name can be no path.",
    "AdoptReport.drifted": "Blobs that others changed after they were adopted.",
    "AdoptReport.conflicts": "Blobs at whose path another file is.",
    "AdoptReport.deleted": "Blobs whose file was deleted from the catalog.",
    "AdoptReport.failed": "Blobs whose adoption failed: run it again.",
    "AdoptReport.bytes_adopted": "Bytes of the files that are new.",
    "AdoptFinding.blob": "The blob's name.",
    "AdoptFinding.reason": "By which rule, or what is there.",
    "AdoptFinding.error": "Of one that failed: the error; else null.",
    "Failure.path": "The file's path in the catalog.",
    "Failure.source": "The local file.",
    "Failure.error": "Why.",
    "VerifyReport.bytes_read": "Bytes that were read.",
    "VerifyReport.findings": "What is damaged, missing or unreadable; empty where all is well.",
    "Finding.file": "The version.",
    "Finding.error": "What is wrong; its kind is `integrity.missing` where the content is gone.",
    "PurgeReport.purged": "What is gone.",
    "PurgeReport.held": "What somebody needs still.",
    "PurgeReport.unfinished": "What could not be purged; the next purge goes on with it.",
    "PurgeCount.versions": "Versions.",
    "PurgeItem.path": "The file's path.",
    "PurgeItem.version": "The version.",
    "PurgeItem.error": "Why it is unfinished; else null.",
    "RebuildReport.volume": "The volume's name.",
    "RebuildReport.files": "Files that the volume has.",
    "RebuildReport.versions": "Versions of all files.",
    "RebuildFinding.blob": "The blob's name.",
    "RebuildFinding.reason": "What it lacks.",
    "ApplyReport.done": "How many actions of each kind were done.",
    "ApplyReport.failed": "What failed: the first thousand; empty where nothing did.",
    "ApplyReport.failures": "How many failed.",
    "Applied.difference": "The finding.",
    "Applied.phase": "What became of it; see ApplyReport.",
    "Applied.why": "Why it was not done; else empty.",
    "Applied.error": "Why it failed; else null.",
    "Difference.state": "What is the matter with it.",
    "Difference.writer": "Who made that write, as far as it is known.",
    "Difference.size": "Bytes of the content.",
    "Difference.action": "What is proposed.",
    "UndoReport.items": "Each action of the journal, the last first.",
    "Undone.key": "A blob's name, or a path.",
    "Undone.action": "What had been done.",
    "Undone.undone": "Whether it was taken back.",
    "Undone.why": "Why it was not; else empty.",
    "Undone.error": "Why that failed; null where nothing failed.",
    "RecoveryReport.items": "Each of the writes; empty where there is nothing to settle.",
    "RecoveryReport.volumes": "Volumes that were half deleted, or could not be recovered; else empty.",
    "RecoveredVolume.volume": "The volume's name.",
    "RecoveredVolume.epoch": "The volume's own id.",
    "RecoveredVolume.error": "Why it failed; else null.",
    "Recovered.volume": "The volume's name.",
    "Recovered.path": "The file's path.",
    "Recovered.op": "The id of the write: the etag of the version that it made, or would have made.",
    "Recovered.kind": "What kind of write: put, delete, move and so on.",
    "Recovered.writer": "Who wrote.",
    "Recovered.error": "Why it failed; else null.",
    "DoctorReport.items": "What was looked at, in order.",
    "DoctorItem.name": "What was looked at.",
    "DoctorItem.status": "How it is: `warn` is unsafe or could not be told, `fail` is broken.",
    "DoctorItem.detail": "What was found.",
    "CountReport.files": "How many files.",
    "Explanation.volume": "Of which volume.",
    "Explanation.prefix": "Under which files are looked for.",
    "Explanation.limit": "How many files are wanted at most; null: all.",
    "Explanation.estimate": "What it should cost, without the limit, which may end it earlier.",
    "CountGroup.files": "How many files.",
    "CountGroup.bytes": "Bytes of the current versions.",
    "DumpEnd.volumes": "How many volumes.",
    "DumpEnd.paths": "How many paths, those of deleted files too.",
    "DumpEnd.versions": "How many versions.",
}
