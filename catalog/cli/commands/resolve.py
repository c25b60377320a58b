"""`blobcat resolve`."""

from typing import Annotated

import typer

from ..columns import in_short
from ..session import Session


async def resolve(
    session: Session,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="What the error of the write showed.")],
) -> None:
    """Say what became of a write whose outcome was unknown.

    The answer is final. A write that was still undecided is undone by this.

    --json: one Resolution (applied, file); the file is null where it was not applied. See docs/json.md.
    """
    from ...errors import CatalogError, InvalidError

    async with session.catalog() as catalog:
        try:
            file = await catalog.resolve(token)
        except CatalogError as exc:
            if exc.kind not in ("invalid.token", "not-found.volume") or not exc.key:
                raise
            message = "the token belongs to another catalog or to a volume that was deleted"
            raise InvalidError(message, op="resolve", key=exc.key, kind="invalid.token") from exc
    session.output.show(
        {"applied": file is not None, "file": file},
        lambda: (
            [("applied  ", "bold green"), *in_short(file)]
            if file
            else [("not applied", "bold"), ("  and it never will be; write it again", "dim")]
        ),
    )
