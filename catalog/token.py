"""The token of an unknown outcome: what `resolve` needs to settle an op, as text that can be kept and passed on.

It holds names and ids, no content, no secret. Anyone who may write to the catalog may settle the op. A damaged token
would get an answer about another op, and the answer to that is "not applied"; so a checksum stands in it, and a text
is a token only if it is written exactly as `str` writes it.
"""

import re
from dataclasses import asdict, dataclass
from typing import Final, get_args

from .arguments import is_whole
from .entities import Kind
from .errors import InvalidError
from .keys import VERSION_MAX, check_key_length
from .paths import check_path
from .sealed import sealed, unsealed

_PREFIX: Final = "blobcat1."
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


@dataclass(frozen=True, slots=True)
class Token:
    """An op whose outcome its writer does not know."""

    volume: str
    epoch: str
    path: str
    op: str
    floor: int
    kind: Kind

    def __str__(self) -> str:
        return sealed(_PREFIX, asdict(self))

    @staticmethod
    def parse(text: str) -> "Token":
        """The token that a string holds. Raises: InvalidError."""
        try:
            token = Token(**unsealed(_PREFIX, text))
            _validate(token)
            if str(token) != text:
                raise ValueError(text)
        except (ValueError, TypeError, AttributeError, RecursionError) as exc:
            message = "this is no token: pass the `token` of an OutcomeUnknownError, whole"
            raise InvalidError(message, op="resolve", kind="invalid.token") from exc
        return token


def _validate(token: Token) -> None:
    """Raises: ValueError, TypeError for a token that `resolve` could not have been promised for."""
    if check_path(token.path) != token.path:
        raise ValueError(token.path)
    check_key_length(token.path)
    if not is_whole(token.floor) or not 0 <= token.floor <= VERSION_MAX:
        raise ValueError(token.floor)
    if token.kind not in get_args(Kind):
        raise ValueError(token.kind)
    if not isinstance(token.volume, str):  # what it may be called, the registry knows
        raise TypeError(token.volume)
    for id_ in (token.epoch, token.op):
        if not _ULID.fullmatch(id_):
            raise ValueError(id_)
