"""Arguments that have no module of their own: flags and callbacks, checked before any request. Pure."""

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import Any

from .errors import InvalidError


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


def _is_async(function: object) -> bool:
    return iscoroutinefunction(function) or isasyncgenfunction(function)
