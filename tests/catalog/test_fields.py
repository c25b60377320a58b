"""`F`: how people spell conditions, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from catalog.errors import InvalidError
from catalog.fields import F
from catalog.filters import Comparison, Condition

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_US = 1_767_268_800_000_000


def test_a_condition_reads_as_it_is_written() -> None:
    assert str(~(F.size > 5) & (F.meta["owner"] == 'o"ps')) == r'(~size > 5 & m_owner == "o\"ps")'


@pytest.mark.parametrize(
    ("spelt", "expected"),
    [
        (F.size > 1, Comparison("size", ">", 1)),
        (F.size >= 1e6, Comparison("size", ">=", 1_000_000)),
        (F.path == "a/b", Comparison("path", "==", "a/b")),
        (F.etag != "01H", Comparison("op", "!=", "01H")),
        (F.version <= 3, Comparison("version", "<=", 3)),
        (F.created < NOON, Comparison("created", "<", NOON_US)),
        (F.created < NOON.astimezone(timezone(timedelta(hours=5))), Comparison("created", "<", NOON_US)),
        (F.meta["owner"] == "ops", Comparison("m_owner", "==", "ops")),
        (F.meta["n"] == 5.0, Comparison("m_n", "==", 5.0)),
        (F.meta["ok"] == True, Comparison("m_ok", "==", True)),  # noqa: E712 — that is how it is spelt
        (F.meta["due"] > NOON, Comparison("t_due", ">", NOON_US)),
    ],
)
def test_a_field_and_a_literal_make_a_comparison(spelt: Condition, expected: Condition) -> None:
    assert spelt == expected


class NoZone(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, _time: datetime | None) -> None: ...
    def tzname(self, _time: datetime | None) -> None: ...
    def dst(self, _time: datetime | None) -> None: ...


def spell(text: str) -> object:
    """What somebody typed."""
    names = {"F": F, "Comparison": Comparison, "datetime": datetime, "NOON": NOON, "NoZone": NoZone}
    return eval(text, names)  # noqa: S307 — written here


@pytest.mark.parametrize(
    "text",
    [
        "F.nothing",
        "F.Size",
        "F.meta['no identifier']",
        "F.meta[\"a' or 'b\"]",
        "F.meta['']",
        "F.meta[1]",
        "F.size == '5'",
        "F.size == 5.5",
        "F.size == True",
        "F.size == None",
        "F.size == 2**63",
        "F.size > -(10**400)",
        "F.size > 1e400",
        "F.path == 5",
        "F.path == b'a'",
        r"F.path == '\ud800'",
        "F.created > 5",
        "F.created > datetime(2026, 1, 1)",
        "F.created > datetime(2026, 1, 1, tzinfo=NoZone())",
        "F.created > NOON.date()",
        "F.meta['a'] == None",
        "F.meta['a'] == [1]",
        "F.meta['a'] == F.meta['b']",
        "F.meta['a'] == float('nan')",
        "F.meta['a'] == -1e400",
        "F.meta['a'] == 2**63",
        r"F.meta['a'] == '\udfff'",
        "F.meta['a'] > True",
        "F.meta['a'] == datetime(2026, 1, 1)",
        "F.size > 1 and F.size < 5",
        "F.size > 1 or F.size < 5",
        "not F.size > 1",
        "1 < F.size < 5",
        "F.size in (1, 2)",
        "F.size > 1 & F.version == 2",
        "(F.size > 1) & F.version",
        "(F.size > 1) | True",
        "Comparison('a b', '==', 1)",
        "Comparison('a', '=', 1)",
        "Comparison('a', '==', b'1')",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        spell(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("F.owner", "use meta[...] or one of path, version"),
        ("F.size == '5'", "size is compared with a whole number"),
        ("F.size == 2**63", "size cannot be compared with 9223372036854775808, which does not fit into 64 bits"),
        ("F.meta['a'] == None", "but with text, a number, a truth value or a datetime"),
        ("F.created > datetime(2026, 1, 1)", "a datetime needs a time zone"),
        ("F.size > 1 and F.size < 5", "combine conditions with & | ~"),
        ("F.size > 1 & F.version == 2", "missing parentheses"),
        ("(F.size > 1) & F.version", "missing parentheses"),
    ],
)
def test_a_refusal_says_what_to_do(text: str, advice: str) -> None:
    with pytest.raises(InvalidError) as refused:
        spell(text)
    assert advice in str(refused.value)


def test_tools_may_ask_f_for_anything() -> None:
    assert not hasattr(F, "__wrapped__")


def test_f_cannot_be_changed() -> None:
    for name in ("size", "meta", "nonsense"):
        with pytest.raises(InvalidError, match="not set"):
            setattr(F, name, 1)
    assert isinstance(F.size > 1, Condition)
