"""What may be kept beside a blob's bytes, and how its text travels in HTTP headers.

The service takes ASCII metadata only, and answers anything else with a misleading 403. So values are percent-encoded
on the wire: printable ASCII stands for itself, except the space, the percent sign and a few marks that proxies or XML
mangle; everything else is its UTF-8 bytes in hexadecimal. `decoded(encoded(x)) == x` for every text, lone surrogates
included. The empty text is a lone `%`, which no other text encodes to: an empty header is dropped by too many.

A value written by another tool is decoded where it can be, and comes back as it is where it cannot.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

from .content import Headers
from .errors import InvalidError, TooLargeError

METADATA_BYTES_MAX: Final = 8 * 1024
"""Keys and encoded values of one blob ("Setting and retrieving properties and metadata")."""
CONTENT_TYPE_MAX: Final = 255
MD5_BYTES: Final = 16

_KEY: Final = re.compile(r"[a-z_][a-z0-9_]*")
_CONTENT_TYPE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_READABLE: Final = "!#$&'()*+,/:;=?@[]^`{|}"
_AS_IT_IS: Final = re.compile(r"[A-Za-z0-9_.~!#$&'()*+,/:;=?@^`{|}\[\]-]+")
_EMPTY: Final = "%"
_ENCODED_MAX: Final = 12  # of one character: four bytes of UTF-8, each as a percent sign and two digits


def encoded(value: str) -> str:
    """A metadata value as printable ASCII."""
    if _AS_IT_IS.fullmatch(value):  # as nearly all are
        return value
    return quote(value, safe=_READABLE, errors="surrogatepass") or _EMPTY


def decoded(value: str) -> str:
    """The text that `encoded` made a value of."""
    if value == _EMPTY:
        return ""
    try:
        return unquote(value, errors="surrogatepass")
    except UnicodeDecodeError:  # not ours: some other tool's percent signs
        return value


def encoded_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """All of a blob's metadata for the wire."""
    return {key: encoded(value) for key, value in metadata.items()}


def decoded_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A blob's metadata from the wire. Keys are lower-case: headers have no case."""
    return {key.lower(): decoded(value or "") for key, value in (metadata or {}).items()}


def check_headers(headers: Headers, *, key: str, op: str = "put") -> None:
    """Refuse headers that the service would reject or change.

    Raises: InvalidError (a metadata key or value, the content type, the MD5), TooLargeError (metadata over 8 KiB).
    """
    if not _CONTENT_TYPE.fullmatch(headers.content_type) or len(headers.content_type) > CONTENT_TYPE_MAX:
        rule = f"a content type is 1 to {CONTENT_TYPE_MAX} printable ASCII characters"
        raise InvalidError(f"{rule}: {headers.content_type!r}", op=op, key=key, kind="invalid.content-type")
    if headers.md5 is not None and len(headers.md5) != MD5_BYTES:
        message = f"an MD5 is {MD5_BYTES} bytes, not {len(headers.md5)}"
        raise InvalidError(message, op=op, key=key, kind="invalid.md5")
    if headers.metadata:
        _check_metadata(headers.metadata, key, op)


@lru_cache(maxsize=1024)
def _is_key(name: str) -> bool:
    return _KEY.fullmatch(name) is not None


def _check_metadata(metadata: Mapping[Any, Any], key: str, op: str) -> None:
    characters = 0
    for name, value in metadata.items():
        if not isinstance(name, str) or not _is_key(name):
            rule = "a metadata key is a lower-case ASCII identifier"
            raise InvalidError(f"{rule}: {name!r}", op=op, key=key, kind="invalid.metadata")
        if not isinstance(value, str):
            rule = f"a metadata value is text, not {type(value).__name__}"
            raise InvalidError(f"{rule}: {name}", op=op, key=key, kind="invalid.metadata")
        characters += len(name) + len(value)
    if characters * _ENCODED_MAX <= METADATA_BYTES_MAX:  # as nearly always: then it need not be counted
        return
    size = sum(len(name) + len(encoded(value)) for name, value in metadata.items())
    if size > METADATA_BYTES_MAX:
        rule = f"metadata is at most {METADATA_BYTES_MAX:,} bytes with its keys, percent-encoded, not {size:,}"
        raise TooLargeError(rule, op=op, key=key, kind="too-large.metadata")
