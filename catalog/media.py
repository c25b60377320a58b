"""The content type of a path, where nobody gave one: the same on every machine, whatever its own tables say."""

from functools import cache
from mimetypes import MimeTypes

from .errors import InvalidError

UNKNOWN = "application/octet-stream"


@cache
def _types() -> MimeTypes:
    return MimeTypes()  # Python's own table; the system's files are not read


def content_type_of(path: str) -> str:
    """By the extension: `text/csv` for `a.csv`, and UNKNOWN where it tells nothing or a compressed file."""
    found, encoding = _types().guess_type(path, strict=True)
    return found if found and not encoding else UNKNOWN


def check_content_type(content_type: str) -> str:
    """Raises: InvalidError for what no header can say."""
    if (
        not isinstance(content_type, str)
        or not content_type.isascii()
        or not content_type.isprintable()
        or not content_type
    ):
        raise InvalidError(f"a content type is printable ASCII, not {content_type!r}", op="put")
    return content_type
