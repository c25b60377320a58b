"""Continuation tokens: where a query goes on, as text that can be kept, passed on and used in another process. Pure.

It names the volume by its epoch, the question by a hash, and the file behind which the answer goes on. It holds no
secret; who has it and may read the volume, goes on. As with the tokens of writes, a checksum stands in it, and a text
is a token only if it is written exactly so.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Final

from .errors import InvalidError
from .planner import Question
from .rows import KEY_UNITS_MAX, units
from .sealed import sealed, unsealed

_PREFIX: Final = "blobcatq1."
_ID: Final = re.compile(r"[0-9A-Za-z]{1,40}")
_HASH_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """The file behind which an answer goes on."""

    after: str
    """Its path; where an index gives the order, the key of its row there."""
    index: str = ""
    """That index's id."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a token says."""

    epoch: str
    question: str
    after: str
    index: str

    def __str__(self) -> str:
        return sealed(_PREFIX, list(asdict(self).values()))


def token_of(epoch: str, question: Question, place: Place) -> str:
    """The token of a place in the answer to a question."""
    return str(Continuation(epoch, _hash(question), place.after, place.index))


def place_in(token: object, epoch: str, volume: str, question: Question) -> Place:
    """Where a token says to go on. Raises: InvalidError (invalid.token), for one that is not of this question."""
    try:
        found = _parsed(token)
    except (ValueError, TypeError, RecursionError) as exc:
        raise _wrong(
            "this is no token of a query, or not all of it: pass the `token` of a page, whole", volume
        ) from exc
    if found.epoch != epoch:
        raise _wrong(f"this token is of another volume than {volume!r}, or of one that was deleted", volume)
    if found.question != _hash(question):
        raise _wrong("this token is of another query: condition, prefix, order and as_of must be the same", volume)
    if bool(found.index) is not bool(question.order):
        raise _wrong("this token is of another query", volume)
    return Place(found.after, found.index)


def _parsed(token: object) -> Continuation:
    found = Continuation(*unsealed(_PREFIX, token))
    if str(found) != token or any(not isinstance(each, str) for each in asdict(found).values()):
        raise ValueError(token)
    if not _ID.fullmatch(found.epoch) or not found.after or units(found.after) > KEY_UNITS_MAX:
        raise ValueError(token)
    return found


def _hash(question: Question) -> str:
    asked = json.dumps([str(question.where), question.prefix, question.order, question.time])
    return hashlib.sha256(asked.encode()).hexdigest()[:_HASH_DIGITS]


def _wrong(message: str, volume: str) -> InvalidError:
    return InvalidError(message, op="query", key=volume, kind="invalid.token")
