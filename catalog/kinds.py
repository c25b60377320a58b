"""The kinds of rows that there are in a shard. Whoever concludes from all rows that content is dead knows them all."""

from typing import Final

from .columns import SCHEMA
from .errors import IntegrityError, InvalidError
from .filters import Comparison
from .keys import RowRange
from .rows import Entity

KINDS: Final = frozenset("cghiqvxy")
"""By their letter. `c`: of the change log, all of which a version has as well. `x`: of an index, all of which a head
has as well. `y`: what a verification has found out."""

_EDGES: Final = (" ", *(edge for kind in sorted(KINDS) for edge in (kind, chr(ord(kind) + 1))), "\ufffd\ufffd")
UNKNOWN: Final = tuple(
    RowRange(first, stop) for first, stop in zip(_EDGES[::2], _EDGES[1::2], strict=True) if first < stop
)
"""Where no row should be: read where not all rows are."""
BESIDE_HEADS: Final = (RowRange(_EDGES[0], "h"), RowRange("i", "x"), RowRange("y", _EDGES[-1]))
"""All of a shard but its heads, and what indexes say of them again."""
LIVE: Final = Comparison("kind", "!=", "delete")
"""Of a head or a version: what is a file, and no tombstone."""
NEWER: Final = Comparison("schema", ">", SCHEMA)
"""Rows that are read whatever they seem to say, as nobody knows what they do say."""


def kind_of(row: Entity, op: str = "reconcile") -> str:
    """The letter of a row's kind.

    Raises: InvalidError for a row of a newer schema, or of a kind that is not known: what it refers to is not, either
    (R3). IntegrityError where the row does not say its schema.
    """
    schema, kind = row.values.get("schema"), row.row[:1]
    if not isinstance(schema, int):
        message = f"row {row.row!a} of {row.partition} does not say its schema: not a row of blobcat's"
        raise IntegrityError(message, op=op, key=row.row, kind="integrity.row")
    if schema > SCHEMA:
        message = f"row {row.row!a} was written by a newer blobcat (schema {schema}, this one knows {SCHEMA}): upgrade"
        raise InvalidError(message, op=op, key=row.row, kind="invalid.newer-schema")
    if kind not in KINDS:
        message = f"row {row.row!a} of {row.partition} is of a kind that this blobcat does not know: upgrade"
        raise InvalidError(message, op=op, key=row.row, kind="invalid.unknown-row")
    return kind
