"""The one error tree, by what a handler does with it.

    CatalogError                 op, key, kind
    ├── NotFoundError            (KeyError)    it is not there
    ├── ConflictError                          someone else won: expected and found say what
    ├── InvalidError             (ValueError)  the request can never succeed as it is
    │   └── TooLargeError                      … because of its size
    ├── AccessDeniedError                      the credential may not do this, or nobody may for now
    ├── UnavailableError                       not applied, and never will be: try again later
    ├── OutcomeUnknownError                    may or may not be applied: `resolve(token)` says which
    └── IntegrityError                         what is stored is not what was written

`kind` is a stable, dotted word for programs ("conflict.version"); the message is for people and may change.
The tree lives here because both packages raise its leaves; `catalog.errors` re-exports it. Errors of an SDK are
translated once, in the adapter that met them, with the original as `__cause__`.
"""

from typing import TypeVar

E = TypeVar("E", bound=BaseException)


class CatalogError(Exception):
    """Root of all errors that blobcat raises on purpose."""

    default_kind = "error"

    def __init__(self, message: str, *, op: str = "", key: str = "", kind: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.op = op
        self.key = key
        self.kind = kind or self.default_kind

    def __str__(self) -> str:  # KeyError would print its repr
        return self.message


class NotFoundError(CatalogError, KeyError):
    """There is no such file, version, volume, blob, table or container."""

    default_kind = "not-found"


class ConflictError(CatalogError):
    """A precondition did not hold. Nothing was applied, and nothing of this call ever will be."""

    default_kind = "conflict"

    def __init__(
        self,
        message: str,
        *,
        expected: object = None,
        found: object = None,
        op: str = "",
        key: str = "",
        kind: str | None = None,
    ) -> None:
        super().__init__(message, op=op, key=key, kind=kind)
        self.expected = expected
        self.found = found


class InvalidError(CatalogError, ValueError):
    """The input breaks a rule, which the message names. Raised before any request wherever the rule can be checked."""

    default_kind = "invalid"


class TooLargeError(InvalidError):
    """The input is over a limit, which the message names."""

    default_kind = "too-large"


class AccessDeniedError(CatalogError):
    """The service refused the credential (401, 403), or nobody may do this for now: it is archived, held by a policy.

    Nothing was applied. Of content it says nothing: it may be as whole as ever.
    """

    default_kind = "access-denied"


class UnavailableError(CatalogError):
    """The service could not be reached in time. A write that raises this was not applied, and never will be."""

    default_kind = "unavailable"


class OutcomeUnknownError(CatalogError):
    """A write may or may not be applied. `Catalog.resolve(error.token)` settles it, once and for ever."""

    default_kind = "outcome-unknown"

    def __init__(self, message: str, *, token: str = "", op: str = "", key: str = "", kind: str | None = None) -> None:
        super().__init__(message, op=op, key=key, kind=kind)
        self.token = token


class IntegrityError(CatalogError):
    """Stored bytes or rows are not what was written: damaged, missing, or changed behind the catalog's back."""

    default_kind = "integrity"


def another(error: E) -> E:
    """The same error for one more caller, since raising one adds to its traceback. Others' errors stay as they are."""
    if not isinstance(error, CatalogError):
        return error  # who knows how it is made
    own = type(error).__new__(type(error), *error.args)  # not called: what it was made of stands in its fields
    own.__dict__.update(vars(error))
    own.__cause__ = error.__cause__
    return own
