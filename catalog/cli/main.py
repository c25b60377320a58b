"""Where `blobcat` starts: the commands put together, and every way out of them."""

import gc
import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Final

import typer
from typer.core import TyperGroup

from .commands import (
    adopt,
    apply,
    cat,
    changes,
    completion,
    count,
    doctor,
    du,
    dump,
    get,
    history,
    index,
    ingest,
    init,
    load,
    ls,
    purge,
    put,
    query,
    rebuild,
    reconcile,
    recover,
    resolve,
    rm,
    sign,
    sql,
    stat,
    transfer,
    tree,
    undo,
    verify,
    volumes,
)
from .completion import VARIABLE, get_ready
from .errors import EXIT_CODES, INTERRUPTED, OK, usage_report
from .help import Index, Page
from .options import with_common_options
from .output import Output
from .session import Body, command

PANELS: Final[dict[str, dict[str, Body]]] = {  # a new command is a module in `commands`, and its place here
    "The catalog": {"init": init.init, "volumes": volumes.volumes, "index": index.index},
    "Files in": {
        "adopt": adopt.adopt,
        "ingest": ingest.ingest,
        "put": put.put,
        "cp": transfer.cp,
        "mv": transfer.mv,
        "rm": rm.rm,
        "restore": transfer.restore,
    },
    "Finding": {
        "ls": ls.ls,
        "tree": tree.tree,
        "du": du.du,
        "query": query.query,
        "count": count.count,
        "sql": sql.sql,
    },
    "Files out": {
        "get": get.get,
        "cat": cat.cat,
        "stat": stat.stat,
        "history": history.history,
        "changes": changes.changes,
        "sign": sign.sign,
    },
    "Care": {
        "verify": verify.verify,
        "purge": purge.purge,
        "reconcile": reconcile.reconcile,
        "apply": apply.apply,
        "undo": undo.undo,
        "recover": recover.recover,
        "rebuild": rebuild.rebuild,
        "resolve": resolve.resolve,
        "doctor": doctor.doctor,
        "dump": dump.dump,
        "load": load.load,
        "completion": completion.completion,
    },
}


def main() -> None:
    """The entry point of the `blobcat` command."""
    gc.disable()  # what is imported stays: looking for garbage in it took a seventh of a start; see `session`
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us: there is nobody to read it, and no trouble
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 — for as long as we run
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # of a locale that lacks a character
    code = run(sys.argv[1:])
    if code == INTERRUPTED:
        os._exit(code)  # a thread may still wait for a terminal's next line, and would hold us here
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line, and return its exit code. Nothing but cancellation is raised."""
    if VARIABLE in os.environ:
        get_ready()
    try:
        code = program().main(list(arguments), "blobcat", standalone_mode=False)
        sys.stdout.flush()
        return code or OK
    except typer.TyperException as exc:
        return usage_report(exc, Output(json="--json" in arguments))


@cache
def program() -> TyperGroup:
    """The whole of it: every command, with its options."""
    app = typer.Typer(
        cls=Index,
        add_completion=False,
        context_settings={"help_option_names": ["--help", "-h"]},
        pretty_exceptions_enable=False,  # errors are ours to show
        rich_markup_mode=None,  # see help
    )
    app.callback(invoke_without_command=True, epilog=EXIT_CODES)(blobcat)
    for panel, bodies in PANELS.items():
        for name, body in bodies.items():
            app.command(name, cls=Page, rich_help_panel=panel)(command(body))
    return typer.main.get_group(app)


@with_common_options
def blobcat(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """A file catalog for Azure Storage: what is there, what was there, and is it still true.

    The environment says where the catalog is, or --url does:

        export BLOBCAT_URL=local:.blobcat
        blobcat init
        blobcat ingest FOLDER
        blobcat ls

    BLOBCAT_CREDENTIAL may hold an account key or a SAS; else it is the url's own, or that of whoever is signed in.
    """
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"blobcat {version_of('blobcat')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
