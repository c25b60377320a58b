"""Conditions, said to a service: as OData to Azure Tables, as SQL to SQLite. Pure. What they mean: see `filters`.

Push-down only narrows what is read. `pushable` turns a condition into one that the service decides well enough: it
holds at least where the original does, and whoever reads evaluates the original again. So no quirk of a service (its
types, UTF-16 order, how it reads decimals, at most 15 comparisons) can change an answer, only its cost.

    StartsWith   a range of text, of as much of the prefix as services order as we do
    Matches      the same of the glob's literal prefix
    In           `==` or `==`, each of them one comparison; where that is too long, the range from the first to the last
    Contains     SQLite only
    Exists       SQLite only
    Not          where neither a missing column nor a value of another type can make it hold: see `ALWAYS_THERE`

One thing is taken for granted: rows that anybody queries have the fields of `ALWAYS_THERE`, of their types. Heads and
versions do. Without it no `~` could be pushed down, which holds also where a column is missing.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

from .errors import InvalidError
from .filters import All, Any, Comparison, Condition, Contains, Exists, In, Matches, Not, Operator, StartsWith
from .literals import DIGEST, LEARNED_DIGEST, TEXT, TYPES, Literal_, is_time, kind_of
from .rows import INT64_MAX, INT64_MIN

ALWAYS_THERE: Final = frozenset(TYPES) - {"md5", "modified"}

_OPPOSITE: Final[Mapping[Operator, Operator]] = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_SIDES: Final[Mapping[Operator, Sequence[Operator]]] = {
    "==": (">=", "<="),
    "!=": (),
    "<": ("<=",),
    "<=": ("<=",),
    ">": (">=",),
    ">=": (">=",),
}
_ODATA: Final[Mapping[Operator, str]] = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_SQL: Final[Mapping[Operator, str]] = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_UNSENDABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ORDERED: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\U0010ffff]*")
"""Text that can be sent, and that services order by UTF-16 unit as we do by code point: below the surrogates."""


_Leaf = Comparison | StartsWith | Contains | In


@dataclass(frozen=True, slots=True)
class Service:
    """What a service can decide."""

    language: Literal["odata", "sql"]
    comparisons_max: int
    strict_types: bool = False
    """It compares whole numbers with whole ones only, and floating with floating ones."""
    text_max: int | None = None
    """Of a condition's OData, percent-encoded."""


@lru_cache(maxsize=256)
def pushable(condition: Condition | None, service: Service) -> Condition | None:
    """A condition that holds at least where `condition` does and that the service can decide; None: everywhere.

    Of parts joined by `&` those are left out that make it too long, the last ones first. Found once for all shards.
    """
    weaker = None if condition is None else _weaken(condition, service, negated=False)
    if weaker is None or _fits(weaker, service):
        return weaker
    kept: tuple[Condition, ...] = ()
    for part in weaker.parts if isinstance(weaker, All) else ():
        if _fits(All((*kept, part)), service):
            kept = (*kept, part)
    return All(kept) if kept else None


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a service is told of a condition."""

    text: str
    """The filter as it is sent, in its own language, the range of keys included."""
    left: Condition | None
    """The parts of the condition that it leaves open, wholly or a little; None: it decides all of them."""


def left_open(condition: Condition | None, service: Service) -> Condition | None:
    """Of parts joined by `&` those that a service does not decide to the last row by what is pushed down to it."""
    if condition is None:
        return None
    parts = condition.parts if isinstance(condition, All) else (condition,)
    pushed = pushable(condition, service)
    kept = pushed.parts if isinstance(condition, All) and isinstance(pushed, All) else (pushed,)
    weaker = [(part, _weaken(part, service, negated=False)) for part in parts]
    left = tuple(part for part, said in weaker if said is None or said not in kept or not _says_all(said, part))
    return None if not left else left[0] if len(left) == 1 else All(left)


def _says_all(said: Condition, part: Condition) -> bool:
    """Whether what was made of a part is as strong as the part itself."""
    match part, said:
        case (Comparison() | StartsWith() | Contains() | In()) as leaf, _ if leaf.column == DIGEST:
            return False
        case StartsWith(_, prefix), All(parts):
            return _ORDERED.fullmatch(prefix) is not None and len(parts) > 1
        case In(column, values), Any(parts):
            return parts == tuple(Comparison(column, "==", value) for value in values)
        case (All(parts), All(others)) | (Any(parts), Any(others)) if len(parts) == len(others):
            return all(_says_all(other, one) for one, other in zip(parts, others, strict=True))
        case Not(Comparison(column, operator, literal)), _:
            return said == Comparison(column, _OPPOSITE[operator], literal)
    return said == part


def _fits(condition: Condition, service: Service) -> bool:
    if _comparisons(condition) > service.comparisons_max:
        return False
    return service.text_max is None or len(quote(odata(condition), safe="")) <= service.text_max


def _comparisons(condition: Condition) -> int:
    match condition:
        case All(parts) | Any(parts):
            return sum(map(_comparisons, parts))
        case Not(part):
            return _comparisons(part)
        case Exists(columns):
            return len(columns)
    return 1


def _weaken(  # noqa: PLR0911 — one case per node
    condition: Condition, service: Service, *, negated: bool
) -> Condition | None:
    match condition:
        case Not(part):
            return _weaken(part, service, negated=not negated)
        case All(parts) | Any(parts):
            weakened = [_weaken(part, service, negated=negated) for part in parts]
            return _group(weakened, every=isinstance(condition, All) is not negated)
        case Exists(columns):
            if service.language == "odata" or not ALWAYS_THERE.isdisjoint(columns):
                return None
            return Not(condition) if negated else condition
        case Matches(glob=glob):
            return None if negated else _weaken(StartsWith("path", glob.literal), service, negated=False)
        case Comparison(column) | StartsWith(column) | Contains(column) | In(column):
            weaker = _negated(condition, service) if negated else _leaf(condition, service)
            return _of_digest(weaker) if column == DIGEST and weaker is not None else weaker
    return None


def _group(parts: Sequence[Condition | None], *, every: bool) -> Condition | None:
    """Parts of which all (`every`) or one must hold. None holds everywhere: of all of them, it can be left out."""
    kept = tuple(part for part in parts if part is not None)
    if every:
        return All(kept) if kept else None
    return Any(kept) if len(kept) == len(parts) else None


def _leaf(leaf: _Leaf, service: Service) -> Condition | None:
    match leaf:
        case Comparison():
            return _weaken_comparison(leaf, service)
        case StartsWith(column, prefix):
            return _beginning(column, _ORDERED.match(prefix)[0])  # type: ignore[index]  # it always matches
        case Contains(_, part):
            return leaf if service.language == "sql" and not _UNSENDABLE.search(part) else None
        case In(column, values):
            each = [_weaken_comparison(Comparison(column, "==", value), service) for value in values]
            found = _group(each, every=False) if each else None
            if found is None or _comparisons(found) <= service.comparisons_max:
                return found
            if len({kind_of(value) for value in values}) > 1:
                return None
            bounds = Comparison(column, ">=", values[0]), Comparison(column, "<=", values[-1])
            return _group([_weaken_comparison(bound, service) for bound in bounds], every=True)


def _negated(  # noqa: PLR0911 — one case per leaf
    leaf: _Leaf, service: Service
) -> Condition | None:
    """The complement, which holds also where the column is missing or of another type: only where neither can be."""
    if leaf.column not in ALWAYS_THERE:
        return None
    is_text = TYPES[leaf.column] == TEXT
    match leaf:
        case Comparison(column, operator, literal):
            if kind_of(literal) is not (str if is_text else float):
                return None
            return _weaken_comparison(Comparison(column, _OPPOSITE[operator], literal), service)
        case In(column, values):
            if any(kind_of(value) is not (str if is_text else float) for value in values):
                return None
            others = [_weaken_comparison(Comparison(column, "!=", value), service) for value in values]
            return _group(others, every=True)
        case StartsWith(column, prefix) if is_text and prefix and _ORDERED.fullmatch(prefix):
            stop = chr(ord(prefix[-1]) + 1)
            if _ORDERED.fullmatch(stop):
                return Any((Comparison(column, "<", prefix), Comparison(column, ">=", prefix[:-1] + stop)))
        case Contains() if is_text and _leaf(leaf, service) is not None:
            return Not(leaf)
    return None


def _beginning(column: str, prefix: str) -> Condition | None:
    """A range with all text that begins so."""
    if not prefix:
        return None
    first = Comparison(column, ">=", prefix)
    stop = "\xa0" if prefix[-1] == "~" else chr(ord(prefix[-1]) + 1)  # behind ~ come controls: no url should hold them
    return All((first, Comparison(column, "<", prefix[:-1] + stop))) if stop < "\ud800" else first


def _of_digest(condition: Condition) -> Condition:
    """What a condition on the column `digest` says of either column that may hold the digest."""
    return Any((condition, _with_column(condition, LEARNED_DIGEST)))


def _with_column(condition: Condition, column: str) -> Condition:
    match condition:
        case Not(part):
            return Not(_with_column(part, column))
        case All(parts) | Any(parts):
            return type(condition)(tuple(_with_column(part, column) for part in parts))
        case Comparison() | Contains():
            return replace(condition, column=column)
    raise AssertionError(condition)


def _weaken_comparison(comparison: Comparison, service: Service) -> Condition | None:
    match comparison:
        case Comparison(_, operator, bool()):
            return comparison if operator in ("==", "!=") else None
        case Comparison(_, operator, str() as text):
            # Services order text by UTF-16 unit, we by code point: the same only below the surrogates.
            ordered = operator in ("==", "!=") or all(character < "\ud800" for character in text)
            return comparison if ordered and not _UNSENDABLE.search(text) else None
        case Comparison(column, _, int()) if _is_whole(column):
            return comparison
        case Comparison(column, operator, int() | float() as number):
            strict = service.strict_types
            bounds = [_bound(column, side, number, strict_types=strict) for side in _SIDES[operator]]
            return _group(bounds, every=True)
    return None


def _is_whole(column: str) -> bool:
    """Whether numbers in this column are whole ones: a user's datetimes, and our own fields."""
    return is_time(column) or TYPES.get(column, TEXT) != TEXT


def _bound(column: str, side: Operator, number: float, *, strict_types: bool) -> Condition | None:
    """A bound on a user's number, which may be stored as a whole or as a floating one.

    A little wider than it need be: not every service reads and compares decimals to the last bit.
    """
    margin = max(abs(float(number)) * 1e-14, 1e-320)
    near = float(number) + (margin if side == "<=" else -margin)
    if math.isinf(near):
        return None
    floating = Comparison(column, side, near)
    if not strict_types:
        return floating
    whole = math.ceil(number) if side == "<=" else math.floor(number)
    return Any((Comparison(column, side, min(max(whole, INT64_MIN), INT64_MAX)), floating))


def odata(condition: Condition) -> str:
    """A pushable condition as an OData filter, every literal typed and quoted."""
    match condition:
        case Comparison(column, operator, literal):
            return f"{column} {_ODATA[operator]} {odata_literal(literal)}"
        case All(parts):
            return "(" + " and ".join(map(odata, parts)) + ")"
        case Any(parts):
            return "(" + " or ".join(map(odata, parts)) + ")"
    raise InvalidError(f"{condition} cannot be pushed down", op="query")


def odata_literal(literal: Literal_) -> str:
    """A literal as OData spells its type."""
    match literal:
        case bool():
            return "true" if literal else "false"
        case int():
            return f"{literal}L"
        case float():
            digits = f"{Decimal(repr(literal)):f}"  # in full: Azurite knows no exponents
            return digits if "." in digits else f"{digits}.0"
        case _:
            return "'" + literal.replace("'", "''") + "'"


def sql(condition: Condition, column: str) -> tuple[str, list[Literal_]]:
    """A pushable condition as an SQLite expression over the JSON object in `column`, with its parameters."""
    match condition:
        case Comparison(name, operator, literal):
            value = int(literal) if isinstance(literal, bool) else literal
            return f"json_extract({column}, ?) {_SQL[operator]} ?", [f"$.{name}", value]
        case Contains(name, part) | Not(Contains(name, part)):
            sign = "=" if isinstance(condition, Not) else ">"
            return f"instr(json_extract({column}, ?), ?) {sign} 0", [f"$.{name}", part]
        case Exists(names) | Not(Exists(names)):
            missing, joint = ("IS", " AND ") if isinstance(condition, Not) else ("IS NOT", " OR ")
            each = joint.join(f"json_type({column}, ?) {missing} NULL" for _ in names)
            return f"({each})", [f"$.{name}" for name in names]
        case All(parts) | Any(parts):
            texts, parameters = zip(*(sql(part, column) for part in parts), strict=True)
            joined = (" AND " if isinstance(condition, All) else " OR ").join(texts)
            return f"({joined})", [value for values in parameters for value in values]
    raise InvalidError(f"{condition} cannot be pushed down", op="query")
