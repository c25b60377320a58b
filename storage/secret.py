"""Secret: a text that cannot be shown by accident.

Keys and signatures travel in one from where they are parsed to where an SDK takes them. Whatever prints, formats, logs,
compares in a message or copies it sees `***`; what would write it down (pickle, json) is refused. Only `reveal` gives
the text, so that `grep -rn reveal` lists every place that handles one. It hides nothing from a debugger.
"""

from hmac import compare_digest
from typing import Final, NoReturn, Self

MASK: Final = "***"


class Secret:
    """A text that only `reveal` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Give it to whoever needs it at once, and keep it in no attribute."""
        return self._text

    def __repr__(self) -> str:
        return f"<Secret {MASK}>"

    def __str__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return compare_digest(self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


def sealed(value: object) -> object:
    """A str as a Secret; anything else as it is."""
    return Secret(value) if isinstance(value, str) else value
