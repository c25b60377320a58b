"""The error tree, for those who import from `catalog`: drawn and explained in `storage.errors`."""

from storage.errors import (
    AccessDeniedError,
    CatalogError,
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    TooLargeError,
    UnavailableError,
)

__all__ = [
    "AccessDeniedError",
    "CatalogError",
    "ConflictError",
    "IntegrityError",
    "InvalidError",
    "NotFoundError",
    "OutcomeUnknownError",
    "TooLargeError",
    "UnavailableError",
]
