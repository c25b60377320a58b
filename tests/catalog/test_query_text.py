"""Conditions as text: read, written, refused; and in every way of saying one, it means what a naive model says."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog import Condition, Expression, F, FileVersion, InvalidError, parse_expression
from catalog.columns import file_values
from catalog.filters import DEPTH_MAX
from catalog.query_text import TEXT_CHARACTERS_MAX, checked_where
from tests.harness.naive_query import TEXT_FIELDS, Spec, anything, built, holds, specs, times, written
from tests.harness.naive_query import texts as naive_texts

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "size > 1MB and meta.owner = 'ops' and path ~ '2026/**/*.csv' and created >= 2026-11-01",
            (F.size > 1_000_000)
            & (F.meta["owner"] == "ops")
            & F.path.glob("2026/**/*.csv")
            & (F.created >= datetime(2026, 11, 1, tzinfo=UTC)),
        ),
        ("size=1 or size=2 and version=3", (F.size == 1) | ((F.size == 2) & (F.version == 3))),
        ("(size=1 or size=2) and version=3", ((F.size == 1) | (F.size == 2)) & (F.version == 3)),
        ("not size=1 and version=3", ~(F.size == 1) & (F.version == 3)),
        ("not (size=1 and version=3)", ~((F.size == 1) & (F.version == 3))),
        ("not not size=1", F.size == 1),
        ("NOT size=1 Or size=2 AND size=3", ~(F.size == 1) | ((F.size == 2) & (F.size == 3))),
        ("size == 1", F.size == 1),
        ("  size\n!=\t1 ", F.size != 1),
        ("size<=-1", F.size <= -1),
        ("path startswith '2026/'", F.path.startswith("2026/")),
        ("content_type CONTAINS 'csv'", F.content_type.contains("csv")),
        ("path ~ 'a/b.csv'", F.path == "a/b.csv"),
        ("size in (3, 1kB, 2)", F.size.isin([3, 1000, 2])),
        ("size in()", F.size.isin([])),
        ("meta.x in (1, 'a', true, 2026-11-20)", F.meta["x"].isin([1, "a", True, NOON.replace(hour=0)])),
        ("size between 1 and 5 and version = 1", F.size.between(1, 5) & (F.version == 1)),
        ("meta.and exists", F.meta["and"].exists()),
        ("meta.n = 5", F.meta["n"] == 5),
        ("meta.n = 5.0", F.meta["n"] == 5.0),
        ("meta.n = +1_000", F.meta["n"] == 1000),
        ("meta.n = -1.5E-7", F.meta["n"] == -1.5e-7),
        ("meta.n = True", F.meta["n"] == True),  # noqa: E712
        ("meta.n = 'true'", F.meta["n"] == "true"),
        ("meta.n = ''", F.meta["n"] == ""),
        ("meta.n = 'it''s \"so\"'", F.meta["n"] == 'it\'s "so"'),
        ('meta.n = "it\'s ""so"""', F.meta["n"] == 'it\'s "so"'),
        ("meta.n = 'a\nb\\'", F.meta["n"] == "a\nb\\"),
        ("size=1e6", F.size == 1_000_000),
        ("size=12B", F.size == 12),
        ("size=1KB", F.size == 1000),
        ("size=1.5kib", F.size == 1536),
        ("size=1.1G", F.size == 1_100_000_000),
        ("size=2MiB", F.size == 2 << 20),
        ("size=3TB", F.size == 3 * 10**12),
        ("size=4PiB", F.size == 4 << 50),
        ("size=0.3kib", F.size == 307),
        ("created=2026-11-20T12:00", F.created == NOON),
        ("created=2026-11-20t12:00:00z", F.created == NOON),
        ("created=2026-11-20T13:30:00.000001+01:30", F.created == NOON + timedelta(microseconds=1)),
        ("meta.due=2026-11-20T07:00-0500", F.meta["due"] == NOON.astimezone(timezone(timedelta(hours=-5)))),
        ("meta.due='2026-11-20'", F.meta["due"] == "2026-11-20"),
    ],
)
def test_text_says_what_python_says(text: str, expected: Expression) -> None:
    assert repr(parse_expression(text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a field, such as size or meta.owner, found the end"),
        ("size", 5, "expected one of = != < <= > >= ~ startswith contains in between exists, found the end"),
        ("size like 5", 6, 'found "like"'),
        ("size > ", 7, "expected a value, found the end"),
        ("size > and version = 1", 8, 'expected a value, found "and"'),
        ("size => 1", 7, 'expected a value, found ">"'),
        ("(size > 1", 10, 'expected ")", found the end'),
        ("size > 1)", 9, 'expected the end, found ")"'),
        ("size > 1 version = 1", 10, 'expected "and", "or" or the end, found "version"'),
        ("(size > 1 version = 1)", 11, 'expected "and", "or" or ")", found "version"'),
        ("size in 1", 9, 'expected "(" and a list of values, found "1"'),
        ("size in (1 2)", 12, 'expected "," or ")", found "2"'),
        ("size in (1,)", 12, 'expected a value, found ")"'),
        ("size between 1 or 2", 16, 'expected "and", found "or"'),
        ("size > 1 and", 13, "expected a field"),
        ("path = 'abc", 8, "this quote is never closed"),
        ("path = it's", 10, 'found "\'"'),
        ("meta.owner = ops", 14, "ops is no number, time, true or false: put text in quotes, 'ops'"),
        ("meta.code = 007", 13, "put text in quotes, '007'"),
        ("meta.code = 1__0", 13, "put text in quotes"),
        ("meta.code = ٣", 13, "put text in quotes"),
        ("size > 1XB", 8, "put text in quotes, '1XB'"),
        ("size > " + "9" * 5000, 8, "9999… is no number"),
        ("size > 99999999999999999999", 8, "does not fit into 64 bits"),
        ("meta.n = 1e400", 10, "no finite number"),
        ("size = '5'", 8, "size is compared with a whole number, not with '5': leave out the quotes"),
        (
            "created > '2026-11-20'",
            11,
            "created is compared with a datetime, not with '2026-11-20': leave out the quotes",
        ),
        ("created > 2026-13-01", 11, "2026-13-01 is no time: month must be in 1..12"),
        ("created > 2026-11", 11, "2026-11 is no time: a time is 2026-11-20"),
        ("created > 0001-01-01T00:00+14:00", 11, "outside the calendar"),
        ("colour = 'red'", 1, "there is no field 'colour': use meta.KEY or one of path"),
        ("size > 1 and Size > 1", 14, "there is no field 'Size'"),
        ("meta.no-name = 1", 1, "a metadata key is an ASCII identifier"),
        ("meta. = 1", 1, "a metadata key is an ASCII identifier"),
        ("path contains 5", 15, "path contains text, not 5"),
        ("size contains '5'", 15, "size is a whole number: it has no text"),
        ("path ~ 'a//b'", 8, "has an empty segment"),
        ("path ~ '['", 8, "glob '[' has a [ without its ]"),
        ("md5 ~ 'a'", 7, "only path is matched by patterns"),
        ("size in (1, 'a')", 13, "size is compared with a whole number"),
        ("size between 1 and 'a'", 20, "size is compared with a whole number"),
        ("size between 'a' and 1", 14, "size is compared with a whole number"),
        ("meta.x between 1 and 'a'", 22, "meta.x is between two values of one type"),
        ("meta.done > true", 13, "a truth value can be compared with == and != only"),
        ("path = '\ud800'", 8, "lone surrogate"),
        ("size > 1 \0", 10, 'found "\N{REPLACEMENT CHARACTER}"'),
    ],
)
def test_a_refusal_names_the_column_and_points_at_it(text: str, column: int, message: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_expression(text)
    first, line, caret = refused.value.message.splitlines()
    assert message in first
    assert first.endswith(f", in column {column}:")
    assert caret == " " * (4 + min(column - 1, 51)) + "^"
    assert refused.value.kind == "invalid.expression"
    assert line.isprintable()


def test_of_a_long_text_what_is_around_the_place_is_shown() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_expression("size > 1 and " * 20 + "size ? 1" + " and size > 1" * 20)
    _, line, caret = refused.value.message.splitlines()
    assert len(line) < 120
    assert line[caret.index("^")] == "?"


def test_wide_characters_take_two_columns_of_a_terminal() -> None:
    with pytest.raises(InvalidError) as refused:
        parse_expression("path = '中e\u0301' ?")
    assert refused.value.message.splitlines()[2] == "    " + " " * 13 + "^"
    assert "in column 14" in refused.value.message


@pytest.mark.parametrize("text", [None, 5, b"size > 1", F.size > 1], ids=["none", "number", "bytes", "condition"])
def test_what_is_no_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="an expression is a str"):
        parse_expression(text)


def test_a_query_takes_a_condition_or_its_text() -> None:
    assert checked_where("size > 1") == checked_where(F.size > 1) == (F.size > 1)


@pytest.mark.parametrize("where", [True, 5, F.size, b"size > 1"], ids=repr)
def test_a_query_takes_nothing_else(where: Any) -> None:
    with pytest.raises(InvalidError, match="where is a condition"):
        checked_where(where)


# Too long, too deep.


@pytest.mark.parametrize(
    "text",
    [
        "a" * (TEXT_CHARACTERS_MAX + 1),
        "(" * TEXT_CHARACTERS_MAX,
        ")" * TEXT_CHARACTERS_MAX,
        "not " * (TEXT_CHARACTERS_MAX // 4),
        "'" * TEXT_CHARACTERS_MAX,
        "size in (" + "1," * 40_000,
        "(size=1 and (size=2 or " * 50 + "size=3" + "))" * 50,
        "size=" + "1_" * 40_000,
        "meta." + "a" * 90_000 + "=1",
        "path ~ '" + "**/" * 30_000 + "'",
    ],
    ids=lambda text: text[:12],
)
def test_what_is_too_much_is_refused_and_not_a_crash(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        parse_expression(text)
    assert refused.value.kind == "invalid.expression"
    assert len(refused.value.message) < 500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(" * 40_000 + "size=1" + ")" * 40_000, F.size == 1),
        ("not " * 24_000 + "size=1", F.size == 1),
        (" and ".join(["size=1"] * 7000), None),
        ("size in (" + ",".join(["1"] * 40_000) + ")", F.size.isin([1])),
        ("size=1" + " " * 90_000, F.size == 1),
    ],
    ids=["parentheses", "not", "and", "in", "blanks"],
)
def test_what_is_long_but_not_deep_is_taken(text: str, expected: Expression | None) -> None:
    found = parse_expression(text)
    assert expected in (None, found)
    assert found.depth <= 2


def test_conditions_nested_as_deep_as_they_may_be_come_back() -> None:
    condition: Condition = F.size == 1
    while condition.depth < DEPTH_MAX:
        condition = (condition | (F.size == 2)) if condition.depth % 2 else ~condition
    assert repr(parse_expression(str(condition))) == repr(condition)


# There and back.


@given(specs)
def test_the_text_of_a_condition_says_it(spec: Spec) -> None:
    condition = built(spec)
    assert repr(parse_expression(str(condition))) == repr(condition)


@given(specs)
def test_text_and_python_make_the_same_condition(spec: Spec) -> None:
    assert repr(parse_expression(written(spec))) == repr(built(spec))


# Whatever is typed.

words = st.sampled_from(
    [
        *("size", "path", "meta.owner", "meta.", "created", "version", "and", "or", "not", "in", "between", "exists"),
        *("startswith", "contains", "true", "false", "(", ")", ",", "=", "==", "!=", "<", "<=", ">", ">=", "~", "'"),
        *('"', "''", "'a'", '"b"', "'2026/**'", "1", "-1", "1.5", "1e9", "1MB", "1_0", "007", "2026-11-20", "é", "😀"),
        *(
            "2026-11-20T10:00Z",
            "2026-99-99",
            "\0",
            "\ud800",
            "1e999",
            "99999999999999999999",
            "[",
            "**",
            "\\",
            ";",
            "--",
        ),
    ]
)
typed = st.lists(words | st.text(max_size=2), max_size=12).flatmap(
    lambda parts: st.sampled_from([" ", ""]).map(lambda by: by.join(parts))
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A text that says something, with something cut out, put in, or said twice."""
    text = written(draw(specs))
    for _ in range(draw(st.integers(1, 3))):
        start, stop = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        middle = draw(st.just("") | words | st.characters() | st.just(text[start:stop] * 2))
        text = text[:start] + middle + text[stop:]
    return text


@given(typed | mutated() | st.text())
@example("size=1\0")
@example("meta.x = 1e+")
@example("created=2026-02-30")
@example("created=9999-12-31T23:59:59-05:00")
@example("size=9" + "9" * 399 + "PB")
@example("path ~ '" + "a" * 300 + "'")
@example("'")
def test_whatever_is_typed_is_a_condition_or_an_error_that_points(text: str) -> None:
    try:
        condition = parse_expression(text)
    except InvalidError as error:
        assert error.kind == "invalid.expression"  # noqa: PT017 — most texts are in error, some are not
        assert re.search(  # noqa: PT017
            r", in column \d+:\n.*\n *\^\Z", error.message
        )
    else:
        assert repr(parse_expression(str(condition))) == repr(condition)


# What it means.

FILE = FileVersion(
    volume="raw", path="a", version=1, kind="put", etag="01H", size=0, digest="d", md5=None, content_type="a/b",
    metadata={}, created=NOON, modified=None, writer="a", request_id=None, chain="c", blob="b", blob_etag="e",
    blob_version=None,
)  # fmt: skip
files: st.SearchStrategy[FileVersion] = st.builds(
    lambda **fields: replace(FILE, **fields),
    path=st.sampled_from(["a", "b", "a/b.csv", "2026/x.csv", "2026/11/x.csv", "2026", "é", "a*", "😀/a", "a~"]),
    version=st.integers(1, 5),
    size=st.sampled_from([0, 1, 5, 2**53 + 1, 2**63 - 1]),
    digest=naive_texts,
    learned=st.booleans(),
    md5=st.none() | naive_texts,
    content_type=naive_texts,
    writer=naive_texts,
    created=times,
    modified=st.none() | times,
    metadata=st.dictionaries(st.sampled_from(["owner", "n"]), anything),
)


@given(specs, files)
@example(("compare", "digest", "=", ""), replace(FILE, digest="", learned=True))
@example(("in", "meta.n", [1]), replace(FILE, metadata={"n": True}))
@example(("compare", "meta.n", "<", 2**53 + 1), replace(FILE, metadata={"n": 2.0**53}))
@example(("compare", "path", "=", "e\u0301"), replace(FILE, path="é"))
def test_a_condition_holds_where_the_naive_model_says(spec: Spec, file: FileVersion) -> None:
    assert built(spec).holds(file_values(file)) is holds(spec, file)


@given(specs, files)
def test_a_row_of_the_columns_that_are_read_is_enough(spec: Spec, file: FileVersion) -> None:
    condition, row = built(spec), file_values(file)
    assert condition.holds({name: row[name] for name in row.keys() & condition.reads}) is condition.holds(row)


def test_the_model_knows_the_fields_of_text() -> None:
    """Else it would leave one out."""
    of_text: Callable[[str], bool] = lambda name: getattr(F, name).type == "text"  # noqa: E731
    from catalog.literals import FIELDS

    assert set(TEXT_FIELDS) == set(filter(of_text, FIELDS))
