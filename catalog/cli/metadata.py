"""`--meta KEY[:TYPE]=VALUE`: metadata as the command line says it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from .errors import UsageError

Value = str | int | float | bool | datetime
HINT: Final = (
    "--meta owner=ops, --meta rows:int=5, --meta share:float=0.5, --meta done:bool=true, "
    "--meta due:time=2026-11-20T10:00:00Z"
)


def parsed_metadata(items: Iterable[str] | None) -> Mapping[str, Value] | None:
    """The metadata of all `--meta` options; None where there are none. Raises: UsageError."""
    if not items:
        return None
    found: dict[str, Value] = {}
    for item in items:
        key, value = _parsed(item)
        if key in found:
            raise UsageError(f"metadata {key!r} is given twice", HINT)
        found[key] = value
    return found


def _parsed(item: str) -> tuple[str, Value]:
    left, equals, text = item.partition("=")
    key, colon, kind = left.partition(":")
    if not equals or not key:
        raise UsageError(f"--meta is KEY=VALUE or KEY:TYPE=VALUE, not {item!r}", HINT)
    if colon and kind not in _TYPES:
        raise UsageError(f"--meta {key}: the type is one of {', '.join(_TYPES)}, not {kind!r}", HINT)
    what, parse = _TYPES[kind or "text"]
    try:
        return key, parse(text)
    except ValueError as exc:
        raise UsageError(f"--meta {key}: {text!r} is not {what}", HINT) from exc


def _truth(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


_TYPES: Final[Mapping[str, tuple[str, Callable[[str], Value]]]] = {
    "text": ("text", str),
    "int": ("a whole number", int),
    "float": ("a number", float),
    "bool": ("true or false", _truth),
    "time": ("a time with its zone, such as 2026-11-20T10:00:00Z", _moment),
}
