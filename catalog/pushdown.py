"""Conditions, said to a service: as OData to Azure Tables, as SQL to SQLite. Pure.

Push-down only narrows what is read. `pushable` turns a condition into one that the service decides well enough: it
holds at least where the original does, and whoever reads evaluates the original again. So no quirk of a service (its
types, UTF-16 order, how it reads decimals, at most 15 comparisons) can change an answer, only its cost.

One thing is taken for granted: rows that anybody queries have the fields of `ALWAYS_THERE`, of their types. Heads and
versions do. Without it no `~` could be pushed down, which holds also where a column is missing.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from .errors import InvalidError
from .fields import FIELDS
from .filters import All, Any, Comparison, Condition, Literal_, Not, Operator
from .rows import INT64_MAX, INT64_MIN

_COLUMNS: Final = dict(FIELDS.values())
ALWAYS_THERE: Final = frozenset(_COLUMNS) - {"md5", "modified"}

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


def pushable(
    condition: Condition | None, *, strict_types: bool, comparisons_max: int, text_max: int | None = None
) -> Condition | None:
    """A condition that holds at least where `condition` does and that the service can decide; None: everywhere.

    `strict_types`: the service compares whole numbers with whole ones only, and floating with floating ones. `text_max`
    bounds the condition's OData, percent-encoded. Where it is too long, the last of the parts joined by `&` go first.
    """
    weaker = None if condition is None else _weaken(condition, strict_types=strict_types, negated=False)
    while weaker is not None and not _fits(weaker, comparisons_max, text_max):
        weaker = All(weaker.parts[:-1]) if isinstance(weaker, All) and len(weaker.parts) > 1 else None
    return weaker


def _fits(condition: Condition, comparisons_max: int, text_max: int | None) -> bool:
    if _comparisons(condition) > comparisons_max:
        return False
    return text_max is None or len(quote(odata(condition), safe="")) <= text_max


def _comparisons(condition: Condition) -> int:
    return sum(map(_comparisons, condition.parts)) if isinstance(condition, All | Any) else 1


def _weaken(condition: Condition, *, strict_types: bool, negated: bool) -> Condition | None:
    match condition:
        case Not(part):
            return _weaken(part, strict_types=strict_types, negated=not negated)
        case Comparison():
            plain = _negated(condition) if negated else condition
            return None if plain is None else _weaken_comparison(plain, strict_types=strict_types)
        case All(parts) | Any(parts):
            weakened = [_weaken(part, strict_types=strict_types, negated=negated) for part in parts]
            kept = tuple(part for part in weakened if part is not None)
            if isinstance(condition, All) is not negated:  # all of them: leave out what cannot be pushed
                return All(kept) if kept else None
            return Any(kept) if len(kept) == len(parts) else None
    return None


def _negated(comparison: Comparison) -> Comparison | None:
    """The complement, which holds also where the column is missing or of another type: only where neither can be."""
    column, literal = comparison.column, comparison.literal
    if column not in ALWAYS_THERE or isinstance(literal, bool):
        return None
    if isinstance(literal, str) is not (_COLUMNS[column] == "text"):
        return None
    return Comparison(column, _OPPOSITE[comparison.operator], literal)


def _weaken_comparison(comparison: Comparison, *, strict_types: bool) -> Condition | None:
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
            bounds = [_bound(column, side, number, strict_types=strict_types) for side in _SIDES[operator]]
            kept = tuple(bound for bound in bounds if bound is not None)
            return All(kept) if kept else None
    return None


def _is_whole(column: str) -> bool:
    """Whether numbers in this column are whole ones: a user's datetimes, and our own fields."""
    return column.startswith("t_") or _COLUMNS.get(column, "text") != "text"


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
        case All(parts) | Any(parts):
            texts, parameters = zip(*(sql(part, column) for part in parts), strict=True)
            joined = (" AND " if isinstance(condition, All) else " OR ").join(texts)
            return f"({joined})", [value for values in parameters for value in values]
    raise InvalidError(f"{condition} cannot be pushed down", op="query")
