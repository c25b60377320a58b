"""storage knows bytes: content by blob name, under preconditions. It knows no paths, tables or versions.

`content` is the port, `errors` the tree; the adapters are named after their medium and are imported where they are
used, so that nobody pays for an SDK without need.
"""

from .content import (
    WHOLE,
    Always,
    Blob,
    Blocks,
    Capabilities,
    ContentStore,
    Headers,
    IfAbsent,
    IfMatch,
    Opened,
    Precondition,
    Span,
)
from .digests import Digester, Digests
from .names import check_name

__all__ = [
    "WHOLE",
    "Always",
    "Blob",
    "Blocks",
    "Capabilities",
    "ContentStore",
    "Digester",
    "Digests",
    "Headers",
    "IfAbsent",
    "IfMatch",
    "Opened",
    "Precondition",
    "Span",
    "check_name",
]
