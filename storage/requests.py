"""What may be asked of a store: every request, checked before it goes anywhere (S13).

Each adapter calls one of these first in each of its methods, so that all refuse the same input with the same error,
and refused input reaches no service and no disk.
"""

from typing import Final

from .content import Blocks, Headers, Span
from .errors import InvalidError, TooLargeError
from .metadata import check_headers
from .names import BLOCKS_MAX, check_block, check_name, check_prefix
from .preconditions import check_when, check_when_match, check_when_there

PUT_BYTES_MAX: Final = 5000 << 20
"""In one request ("Put Blob")."""
BLOCK_BYTES_MAX: Final = 4000 << 20
"""In one block ("Put Block")."""


def check_put(name: object, content: object, when: object, headers: Headers) -> None:
    """Raises: InvalidError (name, precondition, headers, block ids, no bytes), TooLargeError."""
    check_name(name, op="put")
    key = str(name)
    check_when(when, op="put", key=key)
    check_headers(headers, key=key)
    if isinstance(content, Blocks):
        _check_blocks(content, key)
    else:
        _check_bytes(content, PUT_BYTES_MAX, "put", key)


def check_stage(name: object, block: object, data: object) -> None:
    """Raises: InvalidError (name, block id, no bytes, empty), TooLargeError."""
    check_name(name, op="stage")
    key = str(name)
    check_block(block, key=key)
    _check_bytes(data, BLOCK_BYTES_MAX, "stage", key)
    if not data:
        raise InvalidError(f"stage {key}: a block is not empty", op="stage", key=key, kind="invalid.block")


def check_open(name: object, span: Span, when: object) -> None:
    """Raises: InvalidError (name, precondition, a span before the beginning)."""
    check_name(name, op="open")
    check_when_there(when, op="open", key=str(name))
    if span.start < 0 or (span.length is not None and span.length < 0):
        message = f"a span starts at 0 or after and is not of negative length: {span}"
        raise InvalidError(message, op="open", key=str(name), kind="invalid.span")


def check_stat(name: object) -> None:
    """Raises: InvalidError."""
    check_name(name, op="stat")


def check_delete(name: object, when: object) -> None:
    """Raises: InvalidError (name, precondition)."""
    check_name(name, op="delete")
    check_when_there(when, op="delete", key=str(name))


def check_keep(name: object, when: object) -> None:
    """Raises: InvalidError."""
    check_name(name, op="keep")
    check_when_match(when, op="keep", key=str(name))


def check_touch(name: object, when: object, headers: Headers) -> None:
    """Raises: InvalidError (name, precondition, headers), TooLargeError."""
    check_name(name, op="touch")
    check_when_match(when, op="touch", key=str(name))
    check_headers(headers, key=str(name), op="touch")


def check_discard(name: object) -> None:
    """Raises: InvalidError."""
    check_name(name, op="discard")


def check_list(prefix: object) -> None:
    """Raises: InvalidError."""
    check_prefix(prefix)


def _check_blocks(blocks: Blocks, key: str) -> None:
    if len(blocks.ids) > BLOCKS_MAX:
        message = f"put {key}: a blob has at most {BLOCKS_MAX:,} blocks, not {len(blocks.ids):,}"
        raise TooLargeError(message, op="put", key=key, kind="too-large.blocks")
    for block in blocks.ids:
        check_block(block, key=key, op="put")


def _check_bytes(data: object, size_max: int, op: str, key: str) -> None:
    if not isinstance(data, bytes):
        message = f"{op} {key}: content is bytes, not {type(data).__name__}"
        raise InvalidError(message, op=op, key=key, kind="invalid.content")
    if len(data) > size_max:
        message = f"{op} {key}: at most {size_max:,} bytes at once, not {len(data):,}; stage blocks instead"
        raise TooLargeError(message, op=op, key=key, kind="too-large.content")
