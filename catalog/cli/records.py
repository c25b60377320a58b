"""Records as `--json` shows them: the library's own values, field by field, under their names in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Final

FOLDERS: Final = ("Folder", "FolderUsage")


def record_of(value: Any) -> Any:
    """What `json.dumps` takes. Times are ISO 8601 in UTC, errors are objects, a folder has the kind `folder`."""
    if is_dataclass(value):
        kind = {"kind": "folder"} if type(value).__name__ in FOLDERS else {}
        return {field.name: record_of(getattr(value, field.name)) for field in fields(value)} | kind
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case BaseException():
            return error_record(value)
        case Mapping():
            return {str(key): record_of(item) for key, item in value.items()}
        case Sequence() if not isinstance(value, str):
            return [record_of(item) for item in value]
    return value


def error_record(error: BaseException) -> dict[str, Any]:
    """An error: its kind, its message, the operation and the key that it is about, and what only some have."""
    system = isinstance(error, OSError)
    record = {
        "kind": "os-error" if system else getattr(error, "kind", "bug"),
        "message": system_message(error) if isinstance(error, OSError) else str(error),
        "op": getattr(error, "op", ""),
        "key": getattr(error, "key", ""),
    }
    for name in ("expected", "found", "token"):
        if value := getattr(error, name, None):
            record[name] = str(value)
    return record


def system_message(exc: OSError) -> str:
    """What the operating system says, and of which file."""
    reason = exc.strerror or type(exc).__name__
    return f"{exc.filename}: {reason}" if exc.filename else reason
