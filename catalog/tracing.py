"""OpenTelemetry spans around the public calls: `blobcat.put`, `blobcat.query` and so on.

Only where the application has set up a tracer provider of its own before it connects; otherwise nothing of
OpenTelemetry is even imported, and classes are what they are. `traced(Volume)` is a subclass made of the class itself,
so a new method is traced without a word here. Spans of single requests are `storage.azure_sender`'s (see README).

A span names the volume and the paths of its call; never content, metadata, credentials, tokens or urls. An iteration is
one span, current while an item is fetched and not while the caller works with it.
"""

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, signature
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .errors import CatalogError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

NAMED: Final = frozenset({"path", "prefix", "source", "target", "name", "pattern", "version"})
"""Parameters that a span tells of, where they are text or numbers."""

_ITERATION: Final = re.compile(r"\bAsync(Iterator|Generator)\[")

T = TypeVar("T")


def traced(kind: type[T]) -> type[T]:
    """The class, or, where somebody traces, a subclass whose public methods are spans."""
    tracer = _tracer()
    if tracer is None:
        return kind
    methods: dict[str, Any] = {}
    for name in dir(kind):
        if (
            not name.startswith("_")
            and name != "close"
            and (method := _spanning(tracer, name, getattr(kind, name))) is not None
        ):
            methods[name] = method
    if isasyncgenfunction(iteration := getattr(kind, "__aiter__", None)):
        methods["__aiter__"] = _iteration(tracer, kind.__name__.lower(), iteration)
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__, "__doc__": kind.__doc__})


def _tracer() -> "Tracer | None":
    """A tracer of the provider that the application has set. Who sets one has imported the module."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    tracer: Tracer = trace.get_tracer("blobcat")
    return tracer


def _spanning(tracer: "Tracer", name: str, method: Any) -> Any:
    """The method in a span; None for what is no call to a service."""
    if iscoroutinefunction(method):
        return _call(tracer, name, method)
    gives = str(getattr(method, "__annotations__", {}).get("return"))
    if "AsyncContextManager" in gives or isasyncgenfunction(getattr(method, "__wrapped__", None)):
        return _context(tracer, name, method)
    return _iteration(tracer, name, method) if _ITERATION.search(gives) else None


def _starting(tracer: "Tracer", name: str, method: Callable[..., Any]) -> "Callable[..., Span]":
    parameters = list(signature(method).parameters)

    def start(*args: Any, **kwargs: Any) -> "Span":
        told = dict(zip(parameters, args, strict=False)) | kwargs
        attributes = {
            f"blobcat.{key}": value for key, value in told.items() if key in NAMED and isinstance(value, str | int)
        }
        volume = getattr(args[0], "volume", getattr(args[0], "name", None))
        if isinstance(volume, str):
            attributes["blobcat.volume"] = volume
        return tracer.start_span(f"blobcat.{name}", attributes=attributes)

    return start


def _current(span: "Span", *, end: bool) -> Any:
    from opentelemetry.trace import use_span  # noqa: PLC0415 — somebody has it

    return use_span(span, end_on_exit=end)


def _failed(span: "Span", exc: BaseException) -> None:
    span.set_attribute("error.type", exc.kind if isinstance(exc, CatalogError) else type(exc).__qualname__)


def _call(tracer: "Tracer", name: str, method: Callable[..., Awaitable[Any]]) -> Any:
    start = _starting(tracer, name, method)

    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        span = start(*args, **kwargs)
        with _current(span, end=True):
            try:
                return await method(*args, **kwargs)
            except BaseException as exc:
                _failed(span, exc)
                raise

    return call


def _iteration(tracer: "Tracer", name: str, method: Callable[..., Any]) -> Any:
    start = _starting(tracer, name, method)

    @wraps(method)
    async def iteration(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        span, end = start(*args, **kwargs), object()
        try:
            async with aclosing(method(*args, **kwargs)) as items:
                while True:
                    with _current(span, end=False):
                        item = await anext(items, end)
                    if item is end:
                        return
                    yield item
        except GeneratorExit:  # left early: no failure
            raise
        except BaseException as exc:
            _failed(span, exc)
            raise
        finally:
            span.end()

    return iteration


def _context(tracer: "Tracer", name: str, method: Callable[..., AbstractAsyncContextManager[Any]]) -> Any:
    start = _starting(tracer, name, method)

    @wraps(method)
    @asynccontextmanager
    async def context(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with _current(start(*args, **kwargs), end=True) as span:
            try:
                async with method(*args, **kwargs) as entered:
                    yield entered
            except BaseException as exc:
                _failed(span, exc)
                raise

    return context
