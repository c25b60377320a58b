"""Times as rows keep them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.times import EPOCH, from_microseconds, microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_time_comes_back_to_the_microsecond(time: datetime) -> None:
    assert from_microseconds(microseconds(time)) == time


@pytest.mark.parametrize(
    ("time", "stamp"),
    [
        (EPOCH, 0),
        (EPOCH - timedelta(microseconds=1), -1),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), 1_767_268_800_000_000),
        (datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=12))), 1_767_225_600_000_001),
    ],
)
def test_a_stamp_counts_from_1970_in_utc(time: datetime, stamp: int) -> None:
    assert microseconds(time) == stamp
