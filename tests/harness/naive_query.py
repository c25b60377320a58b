"""Conditions as plain tuples, and what they mean, said a second time: on records, with none of the catalog's code.

A spec is `("compare", field, operator, value)`, `("startswith", field, text)`, `("contains", field, text)`,
`("glob", pattern)`, `("in", field, values)`, `("between", field, low, high)`, `("exists", field)`, `("not", spec)`,
`("and", specs)` or `("or", specs)`. `built` says it with `F`, `written` as text, `holds` is the model.
"""

import operator
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from catalog import Expression, F, FileVersion
from catalog.fields import Field

Spec = tuple[Any, ...]

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TIMES = [NOON, NOON + timedelta(microseconds=1), datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
TEXTS = [
    "", " ", "a", "A", "b", "1", "true", "2026-11-20", "it's", "''", '"', "a'b\"c", "%", "_", "\\", "\\'", "$.path",
    "m_owner", "x' or PartitionKey eq 'y", "'; drop table entities; --", "/* */", "e\u0301", "é", "中", "\ud7ff",
    "\ue000", "\uffff", "😀", "😀😀", "a😀", "a~", "a\x7fb", "a\nb",
]  # fmt: skip
NUMBERS = [0, 1, -1, 5, 5.0, 5.5, -0.0, 0.1, 1e-7, 2**53, 2**53 + 1, 2.0**53, 2**63 - 1, -(2**63), 5e-324, 1.79e308]
PATTERNS = [
    "**",
    "*",
    "a*",
    "**/*.csv",
    "2026/**/*.csv",
    "2026/*",
    "?",
    "[ab]*",
    "[!a]",
    "e\u0301*",
    "a[*]",
    "a/b.csv",
    "2026/**",
]
TEXT_FIELDS = ["path", "kind", "etag", "digest", "md5", "content_type", "writer"]
META = ["meta.owner", "meta.n", "meta.nobody"]

texts = st.sampled_from(TEXTS) | st.text(max_size=3)
wholes = st.sampled_from([number for number in NUMBERS if float(number).is_integer() and abs(number) < 2**63])
numbers = st.sampled_from(NUMBERS) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
times = st.sampled_from(TIMES) | st.datetimes(timezones=st.just(UTC))
anything = texts | numbers | times | st.booleans()
_typed = (
    st.tuples(st.sampled_from(TEXT_FIELDS), st.just(texts))
    | st.tuples(st.sampled_from(["size", "version"]), st.just(wholes))
    | st.tuples(st.sampled_from(["created", "modified"]), st.just(times))
)
_ordered = _typed | st.tuples(st.sampled_from(META), st.sampled_from([texts, numbers, times]))
_of_text = st.sampled_from([*TEXT_FIELDS, *META])


@st.composite
def _leaves(draw: st.DrawFn) -> Spec:  # noqa: PLR0911 — one case per word
    match draw(
        st.sampled_from(["compare", "equal", "startswith", "contains", "glob", "in", "in", "between", "exists"])
    ):
        case "compare":
            name, values = draw(_ordered)
            return "compare", name, draw(st.sampled_from(list(OPERATORS))), draw(values)
        case "equal":
            return "compare", draw(st.sampled_from(META)), draw(st.sampled_from(["=", "!="])), draw(anything)
        case "glob":
            return "glob", draw(st.sampled_from(PATTERNS))
        case "in":
            name, values = draw(_ordered | st.tuples(st.sampled_from(META), st.just(anything)))
            return "in", name, draw(st.lists(values, max_size=20))
        case "between":
            name, values = draw(_ordered)
            return "between", name, draw(values), draw(values)
        case "exists":
            return "exists", draw(st.sampled_from([*META, "md5", "modified", "path", "digest"]))
        case word:
            return word, draw(_of_text), draw(texts)


specs: st.SearchStrategy[Spec] = st.recursive(
    _leaves(),
    lambda parts: (
        st.tuples(st.just("not"), parts)
        | st.tuples(st.sampled_from(["and", "or"]), st.lists(parts, min_size=2, max_size=3))
    ),
    max_leaves=6,
)


# With `F`.


def field(name: str) -> Field:
    """The field of this name."""
    if name.startswith("meta."):
        return F.meta[name.removeprefix("meta.")]
    found: Field = getattr(F, name)
    return found


def built(spec: Spec) -> Expression:  # noqa: PLR0911 — one case per word
    """The condition, as Python says it."""
    match spec:
        case "compare", name, sign, value:
            compared: Expression = OPERATORS[sign](field(name), value)
            return compared
        case "startswith", name, text:
            return field(name).startswith(text)
        case "contains", name, text:
            return field(name).contains(text)
        case "glob", pattern:
            return F.path.glob(pattern)
        case "in", name, values:
            return field(name).isin(values)
        case "between", name, low, high:
            return field(name).between(low, high)
        case "exists", name:
            return field(name).exists()
        case "not", part:
            return ~built(part)
        case word, parts:
            return reduce(operator.and_ if word == "and" else operator.or_, map(built, parts))
    raise AssertionError(spec)


# As text.


def written(spec: Spec) -> str:  # noqa: PLR0911 — one case per word
    """The condition, as text says it."""
    match spec:
        case "compare", name, sign, value:
            return f"{name}{sign}{literal(value)}"
        case ("startswith" | "contains") as word, name, text:
            return f"{name} {word.upper()} {literal(text)}"
        case "glob", pattern:
            return f"path ~ {literal(pattern)}"
        case "in", name, values:
            return f"{name} in ({', '.join(map(literal, values))})"
        case "between", name, low, high:
            return f"{name} between {literal(low)} and {literal(high)}"
        case "exists", name:
            return f"{name} exists"
        case "not", part:
            return f"not ({written(part)})"
        case word, parts:
            return f" {word} ".join(f"({written(part)})" for part in parts)
    raise AssertionError(spec)


def literal(value: Any) -> str:
    """A value, in one of the ways in which text says it."""
    match value:
        case bool():
            return str(value).upper()
        case datetime():
            return value.strftime(f"{value.year:04}-%m-%dT%H:%M:%S.%f")  # UTC
        case str() if '"' in value:
            return "'" + value.replace("'", "''") + "'"
        case str():
            return f'"{value}"'
    return repr(value)


# What it means.


def holds(spec: Spec, file: FileVersion) -> bool:  # noqa: C901, PLR0911 — one case per word
    """Whether a file satisfies it."""
    match spec:
        case "compare", name, sign, value:
            return _compares(_value(file, name), OPERATORS[sign], _normal(name, value))
        case "startswith", name, text:
            value = _value(file, name)
            return isinstance(value, str) and value[: len(_normal(name, text))] == _normal(name, text)
        case "contains", name, text:
            value = _value(file, name)
            return isinstance(value, str) and value.find(_normal(name, text)) >= 0
        case "glob", pattern:
            return _globs(unicodedata.normalize("NFC", pattern).split("/"), file.path.split("/"))
        case "in", name, values:
            return any(_compares(_value(file, name), operator.eq, _normal(name, value)) for value in values)
        case "between", name, low, high:
            return holds(("compare", name, ">=", low), file) and holds(("compare", name, "<=", high), file)
        case "exists", name:
            return _value(file, name) is not None
        case "not", part:
            return not holds(part, file)
        case "and", parts:
            return all(holds(part, file) for part in parts)
        case "or", parts:
            return any(holds(part, file) for part in parts)
    raise AssertionError(spec)


def _value(file: FileVersion, name: str) -> Any:
    return file.metadata.get(name.removeprefix("meta.")) if name.startswith("meta.") else getattr(file, name)


def _normal(name: str, value: Any) -> Any:
    return unicodedata.normalize("NFC", value) if name == "path" else value


def _compares(value: Any, compare: Callable[[Any, Any], Any], literal: Any) -> bool:
    return value is not None and _kind(value) == _kind(literal) and bool(compare(value, literal))


def _kind(value: Any) -> str:
    return "number" if type(value) in (int, float) else type(value).__name__


def _globs(pattern: Sequence[str], path: Sequence[str]) -> bool:
    match pattern:
        case []:
            return not path
        case ["**"]:
            return bool(path)
        case ["**", *rest]:
            return any(_globs(rest, path[skipped:]) for skipped in range(len(path)))
        case [first, *rest]:
            return bool(path) and fnmatchcase(path[0], first) and _globs(rest, path[1:])
    raise AssertionError(pattern)
