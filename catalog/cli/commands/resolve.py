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
    async with session.catalog() as catalog:
        file = await catalog.resolve(token)
    session.output.show(
        {"applied": file is not None, "file": file},
        lambda _: (
            [("applied  ", "bold green"), *in_short(file)]
            if file
            else [("not applied", "bold"), ("  and it never will be; write it again", "dim")]
        ),
    )
