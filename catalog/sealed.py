"""Text that callers keep, pass on and give back: a prefix says what it is, a checksum that all of it is there. Pure.

The checksum finds what was cut or mistyped, and keeps nobody from making a text of his own: whoever reads one says what
may stand in it, and takes only what is written exactly as it would be written again.
"""

import base64
import hashlib
import json
from typing import Any, Final

_CHECK_CHARACTERS: Final = 8


def sealed(prefix: str, body: object) -> str:
    """What JSON can say, as such a text."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return prefix + base64.urlsafe_b64encode(_check(text) + text).decode().rstrip("=")


def unsealed(prefix: str, text: object) -> Any:
    """What a text says. Raises: ValueError, TypeError, RecursionError, where it is none of this prefix, or damaged."""
    if not isinstance(text, str) or not text.startswith(prefix):
        raise TypeError(text)
    encoded = text.removeprefix(prefix)
    decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    check, body = decoded[:_CHECK_CHARACTERS], decoded[_CHECK_CHARACTERS:]
    if check != _check(body):
        raise ValueError(text)
    return json.loads(body)


def _check(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_CHECK_CHARACTERS].encode()
