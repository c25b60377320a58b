"""When a write may happen: the closed preconditions, decided against what is there.

The decision for stores that hold their blobs themselves; a service decides alone, and alike: `IfAbsent` fails where a
blob is, `IfMatch` where another or none is, and who would read or delete a blob that is not there learns just that.
"""

from .content import Always, IfAbsent, IfMatch, Precondition
from .errors import ConflictError, InvalidError, NotFoundError


def check_when(when: object, *, op: str, key: str) -> None:
    """Refuse what is no precondition of a write, or carries an etag that no store gives out. Raises: InvalidError."""
    if isinstance(when, IfMatch):
        _check_etag(when.etag, op, key)
    elif not isinstance(when, IfAbsent | Always):
        message = f"a precondition is IfAbsent, IfMatch or Always, not {type(when).__name__}"
        raise InvalidError(message, op=op, key=key, kind="invalid.precondition")


def check_when_there(when: object, *, op: str, key: str) -> None:
    """Refuse what is no precondition for a blob that must be there: IfMatch and Always are. Raises: InvalidError."""
    check_when(when, op=op, key=key)
    if isinstance(when, IfAbsent):
        message = f"{op} is for what is there: IfMatch or Always, not IfAbsent"
        raise InvalidError(message, op=op, key=key, kind="invalid.precondition")


def check_when_match(when: object, *, op: str, key: str) -> None:
    """Refuse what does not name the blob's etag. Raises: InvalidError."""
    check_when(when, op=op, key=key)
    if not isinstance(when, IfMatch):
        message = f"{op} is for a blob that is known: IfMatch, not {type(when).__name__}"
        raise InvalidError(message, op=op, key=key, kind="invalid.precondition")


def decide_put(when: Precondition, found: str | None, *, key: str) -> None:
    """Pass where a blob may be written, given the etag that is there. Raises: ConflictError."""
    if isinstance(when, IfAbsent) and found is not None:
        message = f"put {key}: a blob of this name is there already"
        raise ConflictError(message, expected=None, found=found, op="put", key=key, kind="conflict.exists")
    if isinstance(when, IfMatch) and found != when.etag:
        raise _other_etag(when.etag, found, "put", key)


def decide_there(when: Precondition, found: str | None, *, op: str, key: str) -> None:
    """Pass where a blob may be read or deleted, given its etag. Raises: NotFoundError, ConflictError."""
    if found is None:
        raise no_such_blob(op, key)
    if isinstance(when, IfMatch) and found != when.etag:
        raise _other_etag(when.etag, found, op, key)


def no_such_blob(op: str, key: str) -> NotFoundError:
    """What to raise where the blob is not."""
    return NotFoundError(f"{op} {key}: there is no such blob", op=op, key=key, kind="not-found.blob")


def _other_etag(expected: str, found: str | None, op: str, key: str) -> ConflictError:
    there = "no blob" if found is None else f"a blob with the etag {found}"
    message = f"{op} {key}: expected the etag {expected}, found {there}"
    return ConflictError(message, expected=expected, found=found, op=op, key=key, kind="conflict.etag")


def _check_etag(etag: object, op: str, key: str) -> None:
    if not isinstance(etag, str) or not etag or '"' in etag or not (etag.isascii() and etag.isprintable()):
        message = f"an etag is printable ASCII without quotes: {etag!r}"
        raise InvalidError(message, op=op, key=key, kind="invalid.etag")
