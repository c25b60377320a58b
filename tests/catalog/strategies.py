"""Values as rows may hold them."""

from datetime import UTC, datetime
from typing import get_args

from hypothesis import strategies as st

from catalog.entities import FileVersion, Kind

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(datetime(1601, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
INTS = st.integers(-(1 << 63), (1 << 63) - 1)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
METADATA = st.dictionaries(
    KEYS, st.one_of(TEXT, INTS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TIMES), max_size=8
)
FILES = st.builds(
    FileVersion,
    volume=st.just("raw"),
    path=TEXT,
    version=st.integers(1, 10**9),
    kind=st.sampled_from(get_args(Kind)),
    etag=TEXT,
    size=st.integers(0, (1 << 63) - 1),
    digest=TEXT,
    md5=st.none() | TEXT,
    content_type=TEXT,
    metadata=METADATA,
    created=TIMES,
    modified=st.none() | TIMES,
    writer=TEXT,
    request_id=st.none() | TEXT,
    chain=TEXT,
    blob=TEXT,
    blob_etag=TEXT,
    blob_version=st.none() | TEXT,
)
