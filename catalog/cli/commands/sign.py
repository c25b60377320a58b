"""`blobcat sign`."""

import re
import shlex
from datetime import timedelta
from typing import Annotated, Final

import typer

from ..errors import UsageError
from ..folders import check_file
from ..options import PathArgument, VersionOption
from ..session import Session

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

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
    span = _span(expires_in)
    async with session.volume() as volume:
        url = await volume.sign(path, expires_in=span, version=version)
    session.output.show({"path": path, "expires_in_s": int(span.total_seconds()), "url": url}, lambda _: [url])


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not found:
        raise UsageError(f"{text!r} is no time", "a number and s, m, h or d, such as --expires-in 12h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
