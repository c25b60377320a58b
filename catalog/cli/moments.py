"""Moments as the command line says them: `--as-of 2026-11-20T10:00:00Z`."""

from datetime import UTC, datetime

from .errors import UsageError


def parsed_moment(option: str, text: str | None) -> datetime | None:
    """A moment; of a date its first one. Without a zone it is in UTC, as in conditions. Raises: UsageError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        example = "2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00Z"
        raise UsageError(f"{option}: {text!r} is no time", f"a time is {example}") from exc
