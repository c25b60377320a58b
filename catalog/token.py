"""The token of an unknown outcome: what `resolve` needs to settle an op, as text that can be kept and passed on.

It holds names and ids, no content, no secret. Anyone who may write to the catalog may settle the op.
"""

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import Final

from .errors import InvalidError

_PREFIX: Final = "blobcat1."


@dataclass(frozen=True, slots=True)
class Token:
    """An op whose outcome its writer does not know."""

    volume: str
    epoch: str
    path: str
    op: str
    floor: int

    def __str__(self) -> str:
        text = json.dumps(asdict(self), separators=(",", ":"))
        return _PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @staticmethod
    def parse(text: str) -> "Token":
        """The token that a string holds. Raises: InvalidError."""
        try:
            if not text.startswith(_PREFIX):
                raise ValueError(text)
            encoded = text.removeprefix(_PREFIX)
            fields = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
            token = Token(**fields)
            if not isinstance(token.floor, int) or not all(
                isinstance(field, str) for field in (token.volume, token.epoch, token.path, token.op)
            ):
                raise TypeError(text)
        except (ValueError, TypeError, AttributeError, binascii.Error) as exc:
            message = "this is no token: pass the `token` of an OutcomeUnknownError, whole"
            raise InvalidError(message, op="resolve", kind="invalid.token") from exc
        return token
