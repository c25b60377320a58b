"""Values as parts of row keys, so that rows sort as their values do: what a secondary index is made of. Pure.

A part is a tag for the value's type, then the value, and never contains U+0020, which ends it. So parts sort as their
values, and a row key of several parts by the first, then the second, and so on: a shorter text comes before a longer
one that it begins. Keys are of the same alphabet as those of paths (`keys`): services order it in the same way.

    missing          →  0
    truth values     →  1 and 0 or 1
    numbers          →  2, then 19 hexadecimal digits: the next floating number at or below it, then how far above that
                        it is. So whole and floating numbers are one order, exact to the last of 64 bits; 5 is 5.0
    text             →  3, then its characters: most as they are, some as two units, in order of code point
    times            →  4, then 16 hexadecimal digits

A part that descends has all of that turned round, unit by unit: what was the lowest is the highest, and it ends in
U+FFFD, above everything. Text is cut at PART_UNITS_MAX units. Up to there the order of parts is that of the values;
values that differ only behind it have one part, so who reads a range of rows evaluates his condition again.
"""

import re
import struct
from typing import Final

from .rows import Value

PART_UNITS_MAX: Final = 128
PART_END: Final = " "
TURNED_END: Final = "\ufffd"
"""The end of a text that descends."""

_MISSING, _TRUTH, _NUMBER, _TEXT, _TIME = "01234"
_SIGN: Final = 1 << 63
_DIGITS: Final = str.maketrans("0123456789abcdef", "fedcba9876543210")

_LOW: Final = 0x3400  # second units begin here: they sort in their own order, and are forbidden nowhere
_TURNED: Final = 0x4E00  # of a text that descends, each half of a unit
_HIGH: Final = 0xFFE5
_SPAN: Final = 0xD800 - _LOW
_LEADS: Final = {0x7F: "~", ord("#"): '"', ord("%"): "$", ord("'"): "&", ord("/"): ".", ord("?"): ">", ord("\\"): "["}
"""Characters that a key may not have, or that services stumble over: said by the one before them, and a second unit."""
_ESCAPED: Final = {
    **{point: "!" + chr(_LOW + point) for point in range(0x22)},
    **{point: lead + chr(_LOW + 1) for point, lead in _LEADS.items()},
    **{ord(lead): lead + chr(_LOW) for lead in _LEADS.values()},
    **{point: "~" + chr(_LOW + 1 + point - 0x7F) for point in range(0x7F, 0xA0)},
}
_HIGH_CHARACTERS: Final = re.compile("[\uffe5-\U0010ffff]")


def part(value: Value | None, *, time: bool = False, descending: bool = False) -> str:
    """A value as a part of a row key, with its end. `time`: it is a time, in microseconds. None: it is missing."""
    return (_part(value, time=time) + PART_END) if not descending else _turned(_part(value, time=time))


def text_beginning(text: str, *, descending: bool = False) -> str:
    """What the parts of all texts begin with that begin with this one."""
    begun = (_TEXT + _text(text))[:PART_UNITS_MAX]
    return begun if not descending else "".join(map(_turned_unit, begun))[:PART_UNITS_MAX]


def kind_of_part(value: Value, *, time: bool = False, descending: bool = False) -> str:
    """What the parts of all values of this one's type begin with."""
    tag = _part(value, time=time)[0]
    return tag if not descending else _turned_unit(tag)


def _part(value: Value | None, *, time: bool) -> str:
    match value:
        case None:
            return _MISSING
        case bool():
            return f"{_TRUTH}{value:d}"
        case str():
            return (_TEXT + _text(value))[:PART_UNITS_MAX]
        case int() if time:
            return f"{_TIME}{value + _SIGN:016x}"
        case _:
            return _NUMBER + _number(value)


def _number(value: float) -> str:
    """The digits of a number. A whole one of over 53 bits lies between two floating ones: the lower, and how far up."""
    below = float(value)
    if below > value:  # rounded up; Python compares whole and floating numbers exactly
        below = struct.unpack(">d", struct.pack(">q", _bits(below) - 1 if below > 0 else _bits(below) + 1))[0]
    above = int(value - int(below)) if isinstance(value, int) else 0
    bits = _bits(below + 0.0)  # one zero
    ordered = bits + _SIGN if bits >= 0 else _SIGN - 1 - (bits & (_SIGN - 1))
    return f"{ordered:016x}{above:03x}"


def _bits(value: float) -> int:
    bits: int = struct.unpack(">q", struct.pack(">d", value))[0]
    return bits


def _text(text: str) -> str:
    escaped = text.translate(_ESCAPED)
    return escaped if escaped.isascii() else _HIGH_CHARACTERS.sub(_high, escaped)


def _high(character: re.Match[str]) -> str:
    lead, digit = divmod(ord(character[0]) - _HIGH, _SPAN)
    return chr(_HIGH + lead) + chr(_LOW + digit)


def _turned(plain: str) -> str:
    if plain[0] != _TEXT:
        return _turned_unit(plain[0]) + plain[1:].translate(_DIGITS) + PART_END
    return "".join(map(_turned_unit, plain))[:PART_UNITS_MAX] + TURNED_END


def _turned_unit(unit: str) -> str:
    rest = 0xFFFF - ord(unit)
    return chr(_TURNED + (rest >> 8)) + chr(_TURNED + (rest & 0xFF))
