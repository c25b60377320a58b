"""`--where 'FIELD OPERATOR VALUE'`: conditions as the command line says them."""

import operator as ops
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .errors import UsageError

if TYPE_CHECKING:
    from ..fields import Field
    from ..filters import Condition

HINT: Final = "--where 'size>1MB', --where 'created>=2026-11-20', --where 'meta.owner=ops', --where 'meta.code=\"007\"'"

_CONDITION: Final = re.compile(r"\s*([\w.-]+?)\s*(!=|<=|>=|==|=|<|>)\s*(.*?)\s*", re.DOTALL)
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": ops.eq,
    "==": ops.eq,
    "!=": ops.ne,
    "<": ops.lt,
    "<=": ops.le,
    ">": ops.gt,
    ">=": ops.ge,
}
_QUOTED: Final = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
_SIZE: Final = re.compile(r"(\d[\d_]*(?:\.\d+)?)\s*([kKMGTP]i?)?B?")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)")


def parsed_where(texts: Iterable[str] | None) -> "Condition":
    """All conditions, joined by "and"; without any, one that every file satisfies. Raises: UsageError, InvalidError."""
    from ..fields import F

    condition: Condition = F.version >= 1
    for index, text in enumerate(texts or ()):
        parsed = _parsed(text)
        condition = parsed if index == 0 else condition & parsed
    return condition


def _parsed(text: str) -> "Condition":
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(f"--where takes FIELD, one of = != < <= > >=, and a value; not {text!r}", HINT)
    name, operator, value = found.groups()
    field = _field(name)
    condition: Condition = _OPERATORS[operator](field, _literal(name, field, value))
    return condition


def _field(name: str) -> "Field":
    from ..fields import FIELDS, F

    if name.startswith("meta."):
        return F.meta[name.removeprefix("meta.")]
    if name not in FIELDS:
        fields = ", ".join(FIELDS)
        raise UsageError(f"--where: there is no field {name!r}", f"the fields are {fields}, and meta.KEY for metadata")
    field: Field = getattr(F, name)
    return field


def _literal(name: str, field: "Field", text: str) -> Any:
    quoted = _QUOTED.fullmatch(text)
    match field.type:
        case None:
            return quoted[2] if quoted else _guessed(text)
        case "text":
            return quoted[2] if quoted else text
        case "a datetime":
            return _moment(name, quoted[2] if quoted else text)
    return _whole(name, text)


def _guessed(text: str) -> Any:
    """A value of metadata says its type by its looks: true, 5, 0.5, a time with its zone; else it is text."""
    if text in ("true", "false"):
        return text == "true"
    if _MOMENT.fullmatch(text):
        return datetime.fromisoformat(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _moment(name: str, text: str) -> datetime:
    """A time; of a date its first moment. Without a zone it is local, as times are shown."""
    try:
        return datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError) as exc:
        example = "2026-11-20, 2026-11-20T10:00 or 2026-11-20T10:00:00Z"
        raise UsageError(f"--where {name}: {text!r} is no time", f"a time is {example}") from exc


def _whole(name: str, text: str) -> float:
    """A whole number; a size may have a unit, decimal (1MB) or binary (1MiB)."""
    try:
        if name == "size" and (found := _SIZE.fullmatch(text)):
            from decimal import Decimal

            number, prefix = found.groups("")
            factor = (1024 if prefix.endswith("i") else 1000) ** " KMGTP".index((prefix[:1] or " ").upper())
            whole: int = round(Decimal(number) * factor)
            return whole
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except (ValueError, ArithmeticError) as exc:
        hint = "a size is 1000, 1kB, 1MB or 1MiB" if name == "size" else ""
        raise UsageError(f"--where {name}: {text!r} is no number", hint) from exc
