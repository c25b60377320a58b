"""`F`: how people spell conditions, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import IntEnum, StrEnum

import pytest

from catalog.errors import InvalidError
from catalog.fields import F
from catalog.filters import All, Any, Comparison, Condition, Contains, Exists, In, Matches, StartsWith

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_US = 1_767_268_800_000_000
LAST = datetime.max.replace(tzinfo=timezone(-timedelta(hours=5)))  # in UTC it is in no calendar


def test_a_condition_reads_as_it_is_written() -> None:
    assert str(~(F.size > 5) & (F.meta["owner"] == "o'ps")) == "not size > 5 and meta.owner = 'o''ps'"


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
        (F.path.startswith("2026/"), StartsWith("path", "2026/")),
        (F.path.startswith("e\u0301"), StartsWith("path", "é")),
        (F.meta["a"].startswith("e\u0301"), StartsWith("m_a", "e\u0301")),
        (F.meta["path"].startswith("e\u0301"), StartsWith("m_path", "e\u0301")),
        (F.content_type.contains("csv"), Contains("content_type", "csv")),
        (F.path.glob("e\u0301/*"), Matches("é/*")),
        (F.path.glob("a/b.csv"), Comparison("path", "==", "a/b.csv")),
        (F.size.isin([2, 1.0, 2]), In("size", (1, 2))),
        (F.path.isin({"e\u0301"}), In("path", ("é",))),
        (F.etag.isin(iter(["b", "a"])), In("op", ("a", "b"))),
        (F.size.isin([]), In("size", ())),
        (F.meta["a"].isin([]), In("m_a", ())),
        (F.meta["a"].isin(["x", 1, True]), In("m_a", ("x", 1, True))),
        (F.created.isin([NOON]), In("created", (NOON_US,))),
        (F.meta["a"].isin([NOON, "x"]), Any((In("m_a", ("x",)), In("t_a", (NOON_US,))))),
        (F.size.between(1, 5), All((Comparison("size", ">=", 1), Comparison("size", "<=", 5)))),
        (F.meta["a"].between("a", "b"), All((Comparison("m_a", ">=", "a"), Comparison("m_a", "<=", "b")))),
        (F.meta["a"].between(NOON, NOON), All((Comparison("t_a", ">=", NOON_US), Comparison("t_a", "<=", NOON_US)))),
        (F.md5.exists(), Exists(("md5",))),
        (F.etag.exists(), Exists(("op",))),
        (F.meta["a"].exists(), Exists(("m_a", "t_a"))),
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
    return eval(text, globals())  # noqa: S307 — written here


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
        "F.created > LAST",
        "F.meta['a'] == LAST",
        "F.meta['é'] == 1",
        "F.meta['a' * 129] == 1",
        "F.size.startswith('a')",
        "F.created.contains('2026')",
        "F.path.startswith(1)",
        "F.path.startswith(b'a')",
        r"F.path.startswith('\ud800')",
        r"F.meta['a'].contains('\ud800')",
        "F.meta['a'].contains(None)",
        "F.path.glob('a//b')",
        "F.path.glob('[')",
        "F.path.glob(1)",
        "F.meta['a'].glob('*')",
        "F.meta['path'].glob('*')",
        "F.md5.glob('*')",
        "F.size.isin(5)",
        "F.size.isin(['5'])",
        "F.size.isin([5, True])",
        "F.size.isin([5, None])",
        "F.path.isin('abc')",
        "F.path.isin(b'abc')",
        "F.path.isin(['a', 1])",
        "F.created.isin([NOON, 1])",
        "F.meta['a'].isin([[1]])",
        "F.meta['a'].isin([float('nan')])",
        "F.size.between(1, '5')",
        "F.meta['a'].between(1, '5')",
        "F.meta['a'].between(1, NOON)",
        "F.meta['a'].between(False, True)",
        "F.meta['a'].between(False, 1)",
        "F.size.between(1, None)",
        "StartsWith('a b', 'c')",
        "StartsWith('a', 1)",
        "Contains('a b', 'c')",
        "Contains('a', b'c')",
        "In('a b', ())",
        "In('a', (None,))",
        "Exists(('a b',))",
        "Matches('a//b')",
        "(F.size > 1) & (10 ** 5000)",
        "F.size == 10 ** 5000",
        "F.path == 10 ** 5000",
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
        ("F.owner", "use meta.KEY or one of path, version"),
        ("F.size.startswith('a')", "size is a whole number: it has no text that begins with 'a'"),
        ("F.path.contains(5)", "path contains text, not 5"),
        ("F.md5.glob('*')", "md5 has no glob: only path is matched by patterns"),
        ("F.path.isin('abc')", "path.isin takes a list of values, not 'abc'"),
        ("F.size.isin([1, 'a'])", "size is compared with a whole number, not with 'a'"),
        ("F.meta['a'].between(1, 'b')", "meta.a is between two values of one type, not 1 and 'b'"),
        ("F.size == 10 ** 5000", "size cannot be compared with a whole number of 16,610 bits"),
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


class Colour(StrEnum):
    """Text that is more than text."""

    RED = "red"


class Grade(IntEnum):
    """A number that is more than a number."""

    BEST = 1


def test_literals_are_kept_as_plain_values() -> None:
    condition = F.meta["colour"].isin([Colour.RED, Grade.BEST])
    assert str(condition) == "meta.colour in (1, 'red')"
    assert str(F.meta["grade"] == Grade.BEST) == "meta.grade = 1"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ((F.size > 5) & ((F.version == 1) | (F.version == 2)), "size > 5 and (version = 1 or version = 2)"),
        (((F.size > 5) & (F.version == 1)) | (F.version == 2), "(size > 5 and version = 1) or version = 2"),
        (~((F.size > 5) | (F.version == 2)), "not (size > 5 or version = 2)"),
        (F.created >= NOON, "created >= 2026-01-01T12:00:00Z"),
        (F.meta["due"] == NOON, "meta.due = 2026-01-01T12:00:00Z"),
        (F.meta["x"] == -0.5, "meta.x = -0.5"),
        (F.meta["x"] != False, "meta.x != false"),  # noqa: E712
        (F.path.glob("**/*.csv"), "path ~ '**/*.csv'"),
        (F.path.startswith("a"), "path startswith 'a'"),
        (F.writer.contains("'"), "writer contains ''''"),
        (F.size.isin([2, 1]), "size in (1, 2)"),
        (F.size.isin([]), "size in ()"),
        (F.meta["x"].isin([NOON, 1]), "meta.x in (1) or meta.x in (2026-01-01T12:00:00Z)"),
        (F.size.between(1, 2), "size >= 1 and size <= 2"),
        (F.meta["x"].exists(), "meta.x exists"),
        (F.etag == "x", "etag = 'x'"),
    ],
)
def test_the_text_of_a_condition(condition: Condition, expected: str) -> None:
    assert str(condition) == expected


def test_a_kind_is_a_field_as_others() -> None:
    """And one that a file that is there never has is a condition, too."""
    row = {"kind": "move"}
    assert [(F.kind == kind).holds(row) for kind in ("move", "put", "delete")] == [True, False, False]
