"""Arguments that have no module of their own: numbers, flags and callbacks, checked before any request. Pure."""

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from math import isfinite
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeGuard

from .errors import InvalidError


def is_whole(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, and finite; True and False are none."""
    return is_whole(value) or (isinstance(value, float) and isfinite(value))


def check_whole(
    op: str, name: str, value: object, *, least: int = 0, most: int | None = None, kind: str | None = None
) -> int:
    """Raises: InvalidError for what is no whole number within these limits."""
    if is_whole(value) and least <= value and (most is None or value <= most):
        return value
    limits = f"from {least} up" if most is None else f"from {least} to {most}"
    raise InvalidError(f"{name} is a whole number {limits}, not {value!r}", op=op, kind=kind)


def check_flags(op: str, **flags: bool) -> None:
    """Raises: InvalidError for what is neither True nor False: a text is true, also where it says "no"."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidError(f"{name} is True or False, not {value!r}", op=op)


def check_callback(op: str, name: str, callback: Callable[..., Any] | None) -> None:
    """Raises: InvalidError for what cannot be called, or would have to be awaited: nobody would."""
    if callback is None:
        return
    if not callable(callback):
        raise InvalidError(f"{name} is a function, not {callback!r}", op=op)
    if any(map(_is_async, (callback, type(callback).__call__))):
        raise InvalidError(f"{name} is a plain function, not an async one: it is called, and not awaited", op=op)


def check_file(op: str, name: str, path: object) -> Path:
    """Raises: InvalidError for what can be no file of this machine."""
    found = fspath(path) if isinstance(path, str | PathLike) else None
    if not isinstance(found, str) or not found or "\0" in found:
        raise InvalidError(f"{name} is the path of a local file, not {path!r}", op=op)
    return Path(found)


def _is_async(function: object) -> bool:
    return iscoroutinefunction(function) or isasyncgenfunction(function)
