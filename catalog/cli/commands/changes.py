"""`blobcat changes`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..columns import history_row
from ..errors import UsageError
from ..local_file import local_file
from ..output import Line
from ..records import system_message
from ..session import Session

if TYPE_CHECKING:
    from ... import FileVersion, Volume


async def changes(
    session: Session,
    since: Annotated[
        str | None, typer.Option("--since", metavar="CURSOR", help="Those after this; else all of the log.")
    ] = None,
    cursor_file: Annotated[
        str | None,
        typer.Option(
            "--cursor", metavar="FILE", help="Go on from the cursor in this file, and leave the next one there."
        ),
    ] = None,
    on: Annotated[bool, typer.Option("--on", help="Switch the log on first, from now on.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Switch the log off, and show nothing.")] = False,
) -> None:
    """Show each change since a cursor, once, and then the cursor to go on from.

        blobcat changes --on
        blobcat changes --cursor seen.cursor

    Of a volume with a change log: init --change-log, or --on. A change is the version that it made; a delete is one,
    too. Whoever keeps the cursor gets with it all that came after, and nothing twice. --cursor keeps it in a file,
    which need not be there at first; it has the next one once all was shown. Else the cursor comes last, for --since.

    --json: a FileVersion per line, and last of all, without --cursor, one ReadTo (cursor). See docs/json.md.
    """
    if on and off:
        raise UsageError("--on and --off at once", "give one of them")
    if since is not None and cursor_file is not None:
        raise UsageError("--since and --cursor at once", "give one of them")
    kept = None if cursor_file is None or off else Path(cursor_file)
    # that it can be written is seen before anything is done or shown
    with nullcontext() if kept is None else local_file(kept, overwrite=True) as target:
        after = since if kept is None else _kept(kept)
        async with session.volume() as volume:
            if on or off:
                await volume.set_change_log(on)
            if off:
                session.output.note("the change log is off", ("  blobcat changes --on begins a new one", "dim"))
                return
            cursor = await _shown(session, volume, after)
        if target is not None:
            target.write(f"{cursor}\n".encode())
        elif session.output.json:
            session.output.record({"cursor": cursor})
        else:
            session.output.note(cursor)


async def _shown(session: Session, volume: "Volume", after: str | None) -> str:
    """Show what came after a cursor; the next one, once all of it was taken: what cannot be shown was not seen."""
    found = volume.changes(after)
    async for file in found:
        session.output.show(file, _row)
    session.output.flush()
    return found.cursor


def _kept(path: Path) -> str | None:
    """The cursor that a file holds; None where there is no such file yet. Raises: UsageError."""
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UsageError(f"cannot read {system_message(exc)}") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(f"{path} holds no cursor, and no text") from exc


def _row(file: "FileVersion") -> Line:
    return [*history_row(file), f"  {file.path}"]
