"""storage knows bytes: content by blob name, under preconditions. It knows no paths, tables or versions.

These are the port and what goes with it. Adapters are imported from their own modules, where they are wanted:
`storage.memory`, `storage.local`, `storage.azure_blob`; so nobody loads an SDK without need.
"""

from .abilities import Examination, Examined, Keeps, Signing, Sweeps, Touches, Wrapping
from .content import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    Capabilities,
    ContentStore,
    Discards,
    Headers,
    IfAbsent,
    IfMatch,
    Opened,
    Precondition,
    Span,
)
from .digests import Digester, Digests
from .errors import (
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
from .names import check_container, check_name, check_prefix
from .secret import Secret, sealed

__all__ = [
    "WHOLE",
    "AccessDeniedError",
    "Always",
    "Blob",
    "Blocks",
    "Capabilities",
    "CatalogError",
    "ConflictError",
    "ContentStore",
    "Digester",
    "Digests",
    "Discards",
    "Examination",
    "Examined",
    "Headers",
    "IfAbsent",
    "IfMatch",
    "IntegrityError",
    "InvalidError",
    "Keeps",
    "NotFoundError",
    "Opened",
    "OutcomeUnknownError",
    "Precondition",
    "Secret",
    "Signing",
    "Span",
    "Sweeps",
    "TooLargeError",
    "Touches",
    "UnavailableError",
    "Wrapping",
    "check_container",
    "check_name",
    "check_prefix",
    "sealed",
]
