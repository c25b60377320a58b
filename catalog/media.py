"""The content type of a path, where nobody gave one: the same on every machine, whatever its own tables say."""

from functools import cache, lru_cache
from mimetypes import MimeTypes
from posixpath import splitext

from storage import Headers
from storage.metadata import check_headers

from .errors import InvalidError

UNKNOWN = "application/octet-stream"


@cache
def _types() -> MimeTypes:
    return MimeTypes()  # Python's own table; the system's files are not read


def content_type_of(path: str) -> str:
    """By the extension: `text/csv` for `a.csv`, and UNKNOWN where it tells nothing or a compressed file."""
    return _of_extension(splitext(path)[1])


@lru_cache(maxsize=1024)
def _of_extension(extension: str) -> str:
    found, encoding = _types().guess_type(f"a{extension}", strict=True)
    return found if found and not encoding else UNKNOWN


def check_content_type(content_type: str) -> str:
    """Raises: InvalidError for what no store takes: the rule is the stores' own (S13)."""
    if not isinstance(content_type, str):
        message = f"a content type is text, not {type(content_type).__name__}"
        raise InvalidError(message, op="put", kind="invalid.content-type")
    check_headers(Headers(content_type), key="")
    return content_type
