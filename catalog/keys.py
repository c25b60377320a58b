"""Where a path's rows are: the path codec, row keys, ranges and shards.

The codec is injective, keeps prefixes (`encode(a + b)` begins with `encode(a)`) and keeps order: segment by segment,
and by code point inside a segment, so that everything under `a/` sorts before `a-b`. Azure orders keys by UTF-16 unit,
SQLite by byte and Python by code point; on strings of BMP characters without surrogates the three agree, so the codec
emits nothing else:

    /                                   →  !               the lowest of what it emits: a folder before its neighbours
    space                               →  "
    ! " # $ % & ' > ?                   →  two units: $ & or > and a letter, in ascending order
    U+FFE5 and up, astral included      →  two units: a lead from U+FFE5 and a digit from U+3400
    every other character               →  itself

U+0020 is never emitted: it ends a path before a suffix, and sorts below everything. U+FFFD U+FFFD is above everything.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from .arguments import is_whole
from .errors import InvalidError, TooLargeError

ENCODED_UNITS_MAX = 500  # of the 512 that a RowKey has: a letter, a separator and ten digits go beside it
SHARDS_MAX = 256
VERSION_MAX = 10**10 - 2

_ESCAPES: Final = {
    "/": "!", " ": '"',
    "!": "$a", '"': "$b", "#": "$c", "$": "$d", "%": "&a", "&": "&b", "'": "&c", ">": ">a", "?": ">b",
}  # fmt: skip
_TO_KEY = str.maketrans(_ESCAPES)
_FROM_KEY = {encoded: plain for plain, encoded in _ESCAPES.items()}
_ENCODED = re.compile(r'[!"]|[$&>].|[\uffe5-\uffff].', re.DOTALL)

_HIGH = 0xFFE5  # from here up, a character is a lead and a digit
_DIGIT = 0x3400
_DIGITS = 0xD800 - _DIGIT  # the digits end where the surrogates begin
_HIGH_CHARACTERS = re.compile("[\uffe5-\U0010ffff]")

_END = " "
_LOGGED_UNITS_MAX = 512 - 17  # beside a letter and sixteen digits
_HASH_DIGITS: Final = 32
_SHUT = "-shut"
ABOVE = "\ufffd\ufffd"
"""Behind all keys that begin with what stands before it."""


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows from `first` (included) up to `stop` (excluded)."""

    first: str
    stop: str


def encode(path: str) -> str:
    """A path, or the beginning of one, as it stands in a row key."""
    encoded = path.translate(_TO_KEY)
    return encoded if encoded.isascii() else _HIGH_CHARACTERS.sub(_encode_high, encoded)


def decode(encoded: str) -> str:
    """The path that `encode` was given. Raises: InvalidError for what `encode` never emits."""
    path = _ENCODED.sub(_decode_units, encoded)
    if encode(path) != encoded:
        raise InvalidError(f"{encoded!a} is no encoded path", op="decode")
    return path


def _encode_high(character: re.Match[str]) -> str:
    lead, digit = divmod(ord(character[0]) - _HIGH, _DIGITS)
    return chr(_HIGH + lead) + chr(_DIGIT + digit)


def _decode_units(found: re.Match[str]) -> str:
    units = found[0]
    if units[0] < chr(_HIGH):
        return _FROM_KEY.get(units, "\0")  # what no path contains
    point = _HIGH + (ord(units[0]) - _HIGH) * _DIGITS + ord(units[1]) - _DIGIT
    return chr(point) if 0 <= point <= 0x10FFFF else "\0"  # noqa: PLR2004 — Unicode's last


def check_key_length(path: str) -> None:
    """Refuse a path that would not fit into a row key. Raises: TooLargeError."""
    if len(path) > ENCODED_UNITS_MAX // 2 and len(encode(path)) > ENCODED_UNITS_MAX:
        message = f"path {path[:60]!a}… is longer than {ENCODED_UNITS_MAX} units after encoding"
        raise TooLargeError(message, op="path", key=path)


# --- Partitions ------------------------------------------------------------------------------------------------------

REGISTRY = "~"
"""The partition of the volumes themselves."""


def shard_of(path: str, shards: int) -> int:
    """The shard of a path: the same for ever, on every machine."""
    return int.from_bytes(hashlib.blake2b(path.encode()).digest()[:8], "big") & (shards - 1)


def partition(epoch: str, shard: int) -> str:
    """The partition key of a volume's shard."""
    return f"{epoch}~{shard:02x}"


def check_shards(shards: int) -> int:
    """A power of two, up to SHARDS_MAX. Raises: InvalidError."""
    if not is_whole(shards) or not 1 <= shards <= SHARDS_MAX or shards & (shards - 1):
        raise InvalidError(f"shards is a power of two from 1 to {SHARDS_MAX}, not {shards!r}", op="create_volume")
    return shards


def check_version(version: int) -> int:
    """A version as there can be one. Raises: InvalidError."""
    if not is_whole(version) or not 1 <= version <= VERSION_MAX:
        raise InvalidError(f"a version is a whole number from 1 up, not {version!r}", op="version")
    return version


# --- Rows ------------------------------------------------------------------------------------------------------------

INTENTS: Final = RowRange("i", "j")
GATES: Final = RowRange("g", "h")
VOLUMES: Final = RowRange("v", "w")  # in the registry
DELETED: Final = RowRange("d", "e")  # in the registry
CATALOG: Final = "c"  # in the registry


def head_row(path: str) -> str:
    """The one row that says what is at a path now."""
    return "h" + encode(path)


def version_row(path: str, version: int) -> str:
    """The row of one version; newer versions sort first."""
    return f"v{encode(path)}{_END}{VERSION_MAX + 1 - version:010d}"


def intent_row(op: str) -> str:
    """The row of a change that is under way."""
    return "i" + op


def change_row(created: int, path: str) -> str:
    """The row of a change in the change log, in order of time."""
    return f"c{created:016d}{fitted(path, _LOGGED_UNITS_MAX)}"


def fitted(path: str, room: int) -> str:
    """A path at the end of a key that has room for so many units; of one that is too long the beginning and a hash."""
    encoded = encode(path)
    if len(encoded) <= room:
        return encoded
    digest = hashlib.blake2b(path.encode(), digest_size=_HASH_DIGITS // 2).hexdigest()
    return f"{encoded[: whole_units(room)]}{_END}{digest}"


def whole_units(room: int) -> int:
    """How many units of a path stand as they are at the end of a key, with room for so many, of which it needs more."""
    return room - _HASH_DIGITS - len(_END)


def changes_between(first: int, stop: int) -> RowRange:
    """The changes from one moment (included) to another, in microseconds."""
    return RowRange(f"c{first:016d}", f"c{stop:016d}")


def change_time(row: str) -> int:
    """The moment that a change's row speaks of."""
    return int(row[1:17])


def index_beginning(id_: str) -> str:
    """What the keys of all rows of an index begin with; behind it, see `indexes`."""
    return f"x{id_}{_END}"


def index_rows(id_: str) -> RowRange:
    """All rows of an index in a shard."""
    return RowRange(index_beginning(id_), f"x{id_}!")


def is_index_row(row: str) -> bool:
    """Whether a row is one of an index."""
    return row.startswith("x")


def index_id(row: str) -> str:
    """The id of the index that has this row."""
    return row[1:].partition(_END)[0]


def request_row(path: str, request_id: str) -> str:
    """The row that says which version of a path a caller's own id made. The same id at another path is another's."""
    return f"q{hashlib.blake2b(path.encode(), digest_size=16).hexdigest()}{_END}{encode(request_id)}"


def gate_row(generation: int) -> str:
    """The row that lets writers of one generation of settings into a shard."""
    return f"g{generation}"


def shut_gate_row(generation: int) -> str:
    """The row that stands for a shard's gate while its volume is being deleted, and after: nobody writes by it."""
    return f"g{generation}{_SHUT}"


def gate_generation(row: str) -> int:
    """The generation of a gate's row, shut or not."""
    return int(row[1:].removesuffix(_SHUT))


def deleted_row(epoch: str) -> str:
    """The record of a volume that is gone, in the registry."""
    return "d" + epoch


def volume_row(name: str) -> str:
    """The row of a volume, in the registry."""
    return "v" + name


def load_row(load: str) -> str:
    """The row of a load of a dump, in the registry."""
    return "l" + load


def heads(prefix: str) -> RowRange:
    """The heads of all paths that begin with `prefix`."""
    return _with_prefix("h", prefix)


def versions_under(prefix: str) -> RowRange:
    """All versions of all paths that begin with `prefix`."""
    return _with_prefix("v", prefix)


def versions_behind(path: str, prefix: str) -> RowRange:
    """All versions of all paths that begin with `prefix` and come behind a path."""
    under, behind = versions_under(prefix), "v" + encode(path) + encode("/")
    return RowRange(max(under.first, behind), max(under.stop, behind))


def versions(path: str, *, above: int = 0) -> RowRange:
    """The versions of one path that are newer than `above`, newest first."""
    return RowRange(f"v{encode(path)}{_END}", version_row(path, above))


def _with_prefix(letter: str, prefix: str) -> RowRange:
    return RowRange(letter + encode(prefix), letter + encode(prefix) + ABOVE)
