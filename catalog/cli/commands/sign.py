"""`blobcat sign`."""

import shlex
from typing import Annotated

import typer

from ..folders import check_file
from ..options import PathArgument, VersionOption
from ..session import Session
from ..spans import span

ExpiresOption = Annotated[
    str, typer.Option("--expires-in", metavar="TIME", help="How long it is good for: 30m, 12h or 7d.")
]


async def sign(
    session: Session, path: PathArgument, expires_in: ExpiresOption = "1h", version: VersionOption = None
) -> None:
    """Print a url by which anyone can read one version of a file, for a while.

    Who has the url has the content: hand it over as you would a password.
    It takes an account's key, or an identity with the role Storage Blob Delegator.

    --json: one SignedUrl (path, expires_in_s, url). See docs/json.md.
    """
    check_file(path, f"blobcat ls -r {shlex.quote(path)} shows the files in it")
    valid_for = span(expires_in, "--expires-in 12h")
    async with session.volume() as volume:
        url = await volume.sign(path, expires_in=valid_for, version=version)
    session.output.show({"path": path, "expires_in_s": int(valid_for.total_seconds()), "url": url}, lambda _: [url])
