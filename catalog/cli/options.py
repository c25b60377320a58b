"""The options and arguments that commands share, and how those before the command's name reach the command."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from .completion import complete_path, complete_volume

if TYPE_CHECKING:
    from .. import Rate

PANEL = "Common options"  # of each command's help; they may stand before the command's name as well


def common(*names: str, help: str, **more: Any) -> Any:  # noqa: A002 — typer's own word
    """An option that all commands have."""
    return typer.Option(*names, help=help, rich_help_panel=PANEL, show_default=False, **more)


@dataclass(frozen=True, slots=True)
class Common:
    """What every command may be told. A field is an option."""

    url: Annotated[
        str | None,
        common(
            "--url",
            "-u",
            metavar="URL",
            envvar="BLOBCAT_URL",
            help="The catalog: local:DIR, azurite:, azure://ACCOUNT/CONTAINER or a connection string.",
        ),
    ] = None
    volume: Annotated[
        str | None,
        common(
            "--volume",
            "-v",
            metavar="NAME",
            envvar="BLOBCAT_VOLUME",
            help="The volume, else the default one.",
            autocompletion=complete_volume,
        ),
    ] = None
    container: Annotated[
        str | None,
        common("--container", metavar="NAME", envvar="BLOBCAT_CONTAINER", help="The container, else the url's."),
    ] = None
    table: Annotated[
        str | None, common("--table", metavar="NAME", envvar="BLOBCAT_TABLE", help="The table, else the url's.")
    ] = None
    json: Annotated[bool, common("--json", help="JSON for programs: one object per line.")] = False
    debug: Annotated[bool, common("--debug", help="Show the traceback of an error.")] = False

    @classmethod
    def chosen(cls, ctx: typer.Context) -> Self:
        """The options as they are meant: those behind the command's name, before it, and then the environment."""
        return cls(**{field.name: _chosen(ctx, field.name) for field in fields(cls)})


def _chosen(ctx: typer.Context, name: str) -> Any:
    for place in (ctx, ctx.parent):
        source = place.get_parameter_source(name) if place else None
        if place and source and source.name == "COMMANDLINE":
            return place.params[name]
    return ctx.params[name] or None if name not in ("json", "debug") else ctx.params[name]


def with_common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, as typer sees it: with the common options behind its own parameters.

    They are not passed on: `Common.chosen(ctx)` has them.
    """
    own = inspect.signature(function)
    shared = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(Common)
    ]

    def called(**given: Any) -> Any:
        return function(**{name: value for name, value in given.items() if name in own.parameters})

    called.__doc__ = function.__doc__
    called.__signature__ = own.replace(parameters=[*own.parameters.values(), *shared])  # type: ignore[attr-defined]
    return called


# What several commands have in common.

PathArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="A file's path in the catalog, taken as it stands.", autocompletion=complete_path
    ),
]
PrefixArgument = Annotated[
    str,
    typer.Argument(
        metavar="PREFIX",
        help="The beginning of the paths, such as 2026/.",
        show_default=False,
        autocompletion=complete_path,
    ),
]
VersionOption = Annotated[
    int | None, typer.Option("--version", metavar="N", help="This version, else the current one.", min=1)
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="As it was then, by the service's clock: 2026-11-20T10:00:00Z."),
]
IfVersionOption = Annotated[
    int | None, typer.Option("--if-version", metavar="N", help="Only if this is the current version.", min=1)
]
IfMatchOption = Annotated[
    str | None, typer.Option("--if-match", metavar="ETAG", help="Only if the current version has this etag.")
]
MetaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--meta",
        metavar="KEY[:TYPE]=VALUE",
        help="Metadata; TYPE is int, float, bool or time, else it is text. May be repeated.",
    ),
]
LongOption = Annotated[bool, typer.Option("--long", "-l", help="More columns: version, digest, metadata.")]
SourceArgument = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="The file's path now.", show_default=False, autocompletion=complete_path),
]
TargetArgument = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="The path it gets.", show_default=False, autocompletion=complete_path),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite what is at the target.")]
PatienceOption = Annotated[
    float | None,
    typer.Option(
        "--patience",
        metavar="SECONDS",
        help="After so long a write under way counts as left behind; 0: at once. Default: as long as its "
        "writer asked for, at least 600.",
        min=0,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option("--rate", metavar="N", help="Take at most so many requests a second. Default 5,000.", min=0.01),
]


def rate_of(rate: float | None) -> "Rate":
    """What a run may take of an account, and of each of its partitions."""
    from .. import Rate

    return Rate() if rate is None else Rate(rate, min(rate, Rate().partition))
