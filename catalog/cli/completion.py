"""What a shell may offer behind Tab: paths and volumes, asked from the catalog that the line names.

Whoever presses Tab waits, and nobody asked for errors: what takes long, or goes wrong, offers nothing.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from .. import Catalog

VARIABLE: Final = "_BLOBCAT_COMPLETE"
"""Set by the script in the shell: this run is to say what Tab may offer, and nothing else."""
PATIENCE: Final = "BLOBCAT_COMPLETION_TIMEOUT"
"""How long Tab may take to ask the catalog, in seconds, else `PATIENCE_S`: for links and machines that are slow."""
PATIENCE_S: Final = 2.0
OFFERED_MAX: Final = 200


def get_ready() -> None:
    """Teach typer the shells that it knows: it does so by itself only where it adds options of its own."""
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()


def complete_path(ctx: typer.Context, incomplete: str) -> list[str]:
    """Files and folders that begin like this."""

    async def paths(catalog: "Catalog", volume: str | None) -> list[str]:
        found: list[str] = []
        async for entry in (await catalog.volume(volume)).list(incomplete):
            found.append(entry.path)
            if len(found) == OFFERED_MAX:
                break
        return found

    return _asked(ctx, paths)


def complete_volume(ctx: typer.Context, incomplete: str) -> list[str]:
    """Volumes that begin like this."""

    async def names(catalog: "Catalog", _volume: str | None) -> list[str]:
        return [info.name async for info in catalog.volumes() if info.name.startswith(incomplete)]

    return _asked(ctx, names)


def _asked(
    ctx: typer.Context, question: "Callable[[Catalog, str | None], Coroutine[Any, Any, list[str]]]"
) -> list[str]:
    import asyncio
    import os

    from .options import Common
    from .output import Output
    from .session import Session

    async def answer() -> list[str]:
        options, patience_s = Common.chosen(ctx), float(os.environ.get(PATIENCE) or PATIENCE_S)
        async with asyncio.timeout(patience_s), Session(options, Output(json=True)).catalog() as catalog:
            return await question(catalog, options.volume)

    try:
        return asyncio.run(answer())
    except Exception:  # noqa: BLE001 — see above
        return []
