# The signatures of the synchronous door. Made by scripts/blocking-stubs: do not edit.

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from storage import Capabilities, ContentStore

from .adoption import AdoptListener, AdoptReport
from .arrow import Types
from .azure_clients import AzureClients
from .counting import CountReport
from .destination import Existing
from .diagnosis import DoctorReport
from .download import DownloadListener, DownloadReport
from .dump_file import DumpSource
from .entities import FileVersion, Folder, Index, VolumeInfo
from .events import OnEvent
from .explanation import Explanation
from .ingest_report import IngestReport, Progress
from .load import LoadListener, LoadReport
from .metadata import Metadata
from .modes import Mode
from .pace import Rate
from .purge_report import PurgeItem, PurgeReport
from .query import Page
from .query_text import Where
from .rebuild import RebuildReport
from .reconcile.apply_report import Applied, ApplyReport
from .reconcile.brake import Brake
from .reconcile.difference import Difference
from .reconcile.plan import Depth, Foreign, Header, Orphans
from .reconcile.undo import UndoReport
from .recovery import RecoveryReport
from .settings import Settings
from .sources import Content
from .unwrap import LocalPaths
from .usage import FolderUsage
from .verify import VerifyReport
from .volume import Item, Outcome

class Catalog:
    def close(self) -> None: ...
    def recover(self, *, patience_s: float | None = ..., timeout_s: float | None = ...) -> RecoveryReport: ...
    def reconcile(
        self,
        volume: str | None = ...,
        *,
        prefix: str = ...,
        depth: Depth = ...,
        sample: float = ...,
        orphans: Orphans = ...,
        foreign: Foreign = ...,
        patience_s: float | None = ...,
        work: PathLike[str] | str | None = ...,
        counts: PathLike[str] | str | None = ...,
        workers: int = ...,
        rate: Rate = ...,
        progress: Callable[[str, int], None] | None = ...,
        timeout_s: float | None = ...,
    ) -> Plan: ...
    def plan(self, path: PathLike[str] | str) -> Plan: ...
    def apply(
        self,
        plan: PathLike[str] | str,
        *,
        journal: PathLike[str] | str | None = ...,
        brake: Brake = ...,
        force: str | None = ...,
        patience_s: float | None = ...,
        rate: Rate = ...,
        progress: Callable[[Applied], None] | None = ...,
        timeout_s: float | None = ...,
    ) -> ApplyReport: ...
    def undo(self, journal: PathLike[str] | str, *, rate: Rate = ..., timeout_s: float | None = ...) -> UndoReport: ...
    def rebuild(
        self, name: str, *, root: str | None = ..., shards: int = ..., timeout_s: float | None = ...
    ) -> RebuildReport: ...
    def doctor(self, *, timeout_s: float | None = ...) -> DoctorReport: ...
    def create_volume(
        self,
        name: str,
        *,
        layout: Literal["immutable"] = ...,
        shards: int = ...,
        root: str | None = ...,
        change_log: bool = ...,
        exist_ok: bool = ...,
        timeout_s: float | None = ...,
    ) -> Volume: ...
    def volume(self, name: str | None = ..., *, timeout_s: float | None = ...) -> Volume: ...
    def volumes(self, *, timeout_s: float | None = ...) -> Iterator[VolumeInfo]: ...
    def set_default_volume(self, name: str, *, timeout_s: float | None = ...) -> None: ...
    def delete_volume(self, name: str, *, timeout_s: float | None = ...) -> None: ...
    def dump(self, volume: str | None = ..., *, timeout_s: float | None = ...) -> Iterator[str]: ...
    def load(
        self,
        source: DumpSource,
        *,
        volume: str | None = ...,
        content_from: str | ContentStore | None = ...,
        content_credential: Any = ...,
        allow_missing: bool = ...,
        progress: LoadListener | None = ...,
        timeout_s: float | None = ...,
    ) -> LoadReport: ...
    def resolve(self, token: str, *, timeout_s: float | None = ...) -> FileVersion | None: ...
    @property
    def capabilities(self) -> Capabilities: ...
    def unwrap(self) -> AzureClients | LocalPaths: ...
    def sql(
        self,
        sql: str,
        *,
        where: Where = ...,
        prefix: str = ...,
        as_of: datetime | None = ...,
        volume: str | None = ...,
        types: Types | None = ...,
        memory_bytes: int = ...,
        timeout_s: float | None = ...,
    ) -> pa.Table: ...

class Changes:
    @property
    def cursor(self) -> str: ...
    def __iter__(self) -> Iterator[FileVersion]: ...

class Plan:
    @property
    def header(self) -> Header: ...
    @property
    def sha256(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def complete(self) -> bool: ...
    @property
    def findings(self) -> int: ...
    @property
    def refused(self) -> list[str]: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def clean(self) -> bool: ...
    def differences(self) -> Iterator[Difference]: ...
    def save(self, path: PathLike[str] | str) -> Path: ...
    def apply(
        self,
        *,
        journal: PathLike[str] | str | None = ...,
        brake: Brake = ...,
        force: str | None = ...,
        patience_s: float | None = ...,
        rate: Rate = ...,
        progress: Callable[[Applied], None] | None = ...,
        timeout_s: float | None = ...,
    ) -> ApplyReport: ...

class Query:
    volume: str
    def __iter__(self) -> Iterator[FileVersion]: ...
    def pages(self, size: int = ...) -> Iterator[Page]: ...
    def explain(self, *, run: bool = ...) -> Explanation: ...
    def select(self, *names: str) -> Iterator[dict[str, Any]]: ...
    def count(self, *, by: str | Sequence[str] = ...) -> CountReport: ...
    def to_arrow(
        self, columns: Sequence[str] | None = ..., *, types: Types | None = ..., batch_rows: int = ...
    ) -> pa.RecordBatchReader: ...
    def to_table(self, columns: Sequence[str] | None = ..., *, types: Types | None = ...) -> pa.Table: ...
    def sql(self, sql: str, *, types: Types | None = ..., memory_bytes: int = ...) -> pa.Table: ...

class Reader:
    file: FileVersion
    @property
    def verified(self) -> bool: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def read(self, size: int | None = ...) -> bytes: ...
    def close(self) -> None: ...

class SeekableReader:
    file: FileVersion
    read_ahead_bytes: int
    @property
    def size(self) -> int: ...
    @property
    def verified(self) -> bool: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, whence: int = ...) -> int: ...
    def read(self, size: int | None = ...) -> bytes: ...
    def close(self) -> None: ...

class Volume:
    info: VolumeInfo
    @property
    def name(self) -> str: ...
    def stat(
        self, path: str, *, version: int | None = ..., as_of: datetime | None = ..., timeout_s: float | None = ...
    ) -> FileVersion: ...
    def read(
        self, path: str, *, version: int | None = ..., as_of: datetime | None = ..., timeout_s: float | None = ...
    ) -> bytes: ...
    def open(
        self,
        path: str,
        *,
        version: int | None = ...,
        as_of: datetime | None = ...,
        start: int = ...,
        length: int | None = ...,
        timeout_s: float | None = ...,
    ) -> AbstractContextManager[Reader]: ...
    def open_seekable(
        self,
        path: str,
        *,
        version: int | None = ...,
        as_of: datetime | None = ...,
        read_ahead_bytes: int = ...,
        timeout_s: float | None = ...,
    ) -> AbstractContextManager[SeekableReader]: ...
    def download(
        self,
        path: str,
        target: PathLike[str] | str,
        *,
        version: int | None = ...,
        as_of: datetime | None = ...,
        overwrite: bool = ...,
        timeout_s: float | None = ...,
    ) -> FileVersion: ...
    def history(self, path: str, *, timeout_s: float | None = ...) -> Iterator[FileVersion]: ...
    def sign(
        self, path: str, *, expires_in: timedelta | float, version: int | None = ..., timeout_s: float | None = ...
    ) -> str: ...
    def download_tree(
        self,
        prefix: str,
        folder: PathLike[str] | str,
        *,
        as_of: datetime | None = ...,
        existing: Existing = ...,
        progress: DownloadListener | None = ...,
        timeout_s: float | None = ...,
    ) -> DownloadReport: ...
    def list(
        self,
        prefix: str = ...,
        *,
        recursive: bool = ...,
        deleted: bool = ...,
        as_of: datetime | None = ...,
        timeout_s: float | None = ...,
    ) -> Iterator[FileVersion | Folder]: ...
    def glob(
        self, pattern: str, *, as_of: datetime | None = ..., timeout_s: float | None = ...
    ) -> Iterator[FileVersion]: ...
    def folders(
        self, prefix: str = ..., *, depth: int = ..., as_of: datetime | None = ..., timeout_s: float | None = ...
    ) -> Iterator[FolderUsage]: ...
    def query(
        self,
        where: Where = ...,
        *,
        prefix: str = ...,
        order_by: str | Sequence[str] = ...,
        limit: int | None = ...,
        as_of: datetime | None = ...,
        after: str | None = ...,
        timeout_s: float | None = ...,
    ) -> Query: ...
    def count(
        self,
        where: Where = ...,
        *,
        by: str | Sequence[str] = ...,
        prefix: str = ...,
        as_of: datetime | None = ...,
        timeout_s: float | None = ...,
    ) -> CountReport: ...
    def changes(self, since: str | datetime | None = ..., *, timeout_s: float | None = ...) -> Changes: ...
    def verify(
        self, prefix: str = ..., *, progress: Callable[[int, int], None] | None = ..., timeout_s: float | None = ...
    ) -> VerifyReport: ...
    def adopt(
        self,
        prefix: str = ...,
        *,
        match: str | None = ...,
        into: str | None = ...,
        dry_run: bool = ...,
        progress: AdoptListener | None = ...,
        timeout_s: float | None = ...,
    ) -> AdoptReport: ...
    def create_index(
        self, *fields: str, progress: Callable[[int], None] | None = ..., timeout_s: float | None = ...
    ) -> Index: ...
    def drop_index(
        self, *fields: str, progress: Callable[[int], None] | None = ..., timeout_s: float | None = ...
    ) -> None: ...
    def indexes(self, *, timeout_s: float | None = ...) -> tuple[Index, ...]: ...
    def set_change_log(self, on: bool, *, timeout_s: float | None = ...) -> None: ...
    def purge(
        self,
        *,
        keep_versions: int | None = ...,
        older_than: timedelta | None = ...,
        prefix: str = ...,
        dry_run: bool = ...,
        progress: Callable[[PurgeItem], None] | None = ...,
        timeout_s: float | None = ...,
    ) -> PurgeReport: ...
    def put(
        self,
        path: str,
        content: Content,
        *,
        mode: Mode = ...,
        metadata: Metadata | None = ...,
        content_type: str | None = ...,
        modified: datetime | None = ...,
        request_id: str | None = ...,
        timeout_s: float | None = ...,
    ) -> FileVersion: ...
    def put_many(
        self, items: Iterable[Item], *, mode: Mode = ..., timeout_s: float | None = ...
    ) -> Iterator[Outcome]: ...
    def ingest(
        self,
        source: PathLike[str] | str,
        *,
        prefix: str = ...,
        exclude: Sequence[str] = ...,
        metadata: Metadata | None = ...,
        trust_mtime: bool = ...,
        progress: Progress | None = ...,
        timeout_s: float | None = ...,
    ) -> IngestReport: ...
    def set_metadata(
        self,
        path: str,
        metadata: Metadata,
        *,
        mode: Mode = ...,
        request_id: str | None = ...,
        timeout_s: float | None = ...,
    ) -> FileVersion: ...
    def copy(
        self, source: str, target: str, *, mode: Mode = ..., request_id: str | None = ..., timeout_s: float | None = ...
    ) -> FileVersion: ...
    def move(
        self, source: str, target: str, *, mode: Mode = ..., request_id: str | None = ..., timeout_s: float | None = ...
    ) -> FileVersion: ...
    def restore(
        self, path: str, *, version: int, mode: Mode = ..., request_id: str | None = ..., timeout_s: float | None = ...
    ) -> FileVersion: ...
    def delete(
        self,
        path: str,
        *,
        mode: Mode = ...,
        missing_ok: bool = ...,
        request_id: str | None = ...,
        timeout_s: float | None = ...,
    ) -> FileVersion | None: ...

def connect(
    url: str,
    *,
    credential: Any = ...,
    container: str | None = ...,
    table: str | None = ...,
    settings: Settings = ...,
    writer: str | None = ...,
    on_event: OnEvent | None = ...,
) -> AbstractContextManager[Catalog]: ...
