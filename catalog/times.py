"""Times as rows keep them: whole microseconds since 1970, UTC. Pure, and exact in both directions."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> int:
    """An aware datetime as it is stored."""
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def in_calendar(time: datetime) -> bool:
    """Whether it is an aware datetime, and one in UTC too: at both ends of the calendar some are not."""
    if time.utcoffset() is None:
        return False
    try:
        time.astimezone(UTC)
    except OverflowError:
        return False
    return True


def from_microseconds(stamp: int) -> datetime:
    """The datetime, in UTC, that `microseconds` was given."""
    return EPOCH + timedelta(0, 0, stamp)
