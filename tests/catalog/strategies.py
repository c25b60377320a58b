"""Values as rows may hold them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(datetime(1601, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
INTS = st.integers(-(1 << 63), (1 << 63) - 1)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
METADATA = st.dictionaries(
    KEYS, st.one_of(TEXT, INTS, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), TIMES), max_size=8
)
