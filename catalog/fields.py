"""`F`, the fields of a file: how people spell conditions. `(F.size > 1_000_000) & (F.meta["owner"] == "ops")`.

It knows which column a field is kept in, and of which type its literals are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn
from unicodedata import normalize

from .errors import InvalidError
from .filters import Comparison, Condition, Operator, checked_literal
from .times import microseconds

_TEXT, _WHOLE, _TIME = "text", "a whole number", "a datetime"
FIELDS: Final[Mapping[str, tuple[str, str]]] = {  # name: (column, type)
    "path": ("path", _TEXT),
    "version": ("version", _WHOLE),
    "kind": ("kind", _TEXT),
    "etag": ("op", _TEXT),
    "size": ("size", _WHOLE),
    "digest": ("digest", _TEXT),
    "md5": ("md5", _TEXT),
    "content_type": ("content_type", _TEXT),
    "created": ("created", _TIME),
    "modified": ("modified", _TIME),
    "writer": ("writer", _TEXT),
}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field of a file, to be compared with a literal."""

    name: str
    column: str
    type: str | None  # None: whatever the literal is (user metadata)

    def __eq__(self, literal: object) -> Condition:  # type: ignore[override]
        return self._compare("==", literal)

    def __ne__(self, literal: object) -> Condition:  # type: ignore[override]
        return self._compare("!=", literal)

    def __lt__(self, literal: object) -> Condition:
        return self._compare("<", literal)

    def __le__(self, literal: object) -> Condition:
        return self._compare("<=", literal)

    def __gt__(self, literal: object) -> Condition:
        return self._compare(">", literal)

    def __ge__(self, literal: object) -> Condition:
        return self._compare(">=", literal)

    __hash__ = None  # type: ignore[assignment]  # `==` builds a condition

    def __and__(self, other: object) -> NoReturn:
        raise InvalidError(f"{self.name} is compared with nothing: missing parentheses beside & or |?", op="query")

    __rand__ = __or__ = __ror__ = __and__

    def _compare(self, operator: Operator, literal: object) -> Condition:
        if isinstance(literal, bool) and operator not in ("==", "!="):
            raise InvalidError(f"{self.name}: a truth value can be compared with == and != only", op="query")
        prefix, value = "", literal
        match self.type, literal:
            case None, datetime():
                prefix, value = "t_", _stored(literal, self.name)
            case None, _:
                prefix = "m_"
            case "a datetime", datetime():
                value = _stored(literal, self.name)
            case "text", str() if self.name == "path":
                value = normalize("NFC", literal)  # as paths are kept
            case "a whole number", float() if literal.is_integer():
                value = int(literal)
            case ("text", str()) | ("a whole number", int()) if not isinstance(literal, bool):
                pass
            case _:
                raise InvalidError(f"{self.name} is compared with {self.type}, not with {literal!r}", op="query")
        return Comparison(prefix + self.column, operator, checked_literal(value, self.name))


class _Meta:
    """`F.meta["owner"]`: a key of the user's metadata."""

    def __getitem__(self, key: str) -> Field:
        if not isinstance(key, str) or not key.isidentifier():
            raise InvalidError(f"a metadata key is an identifier, not {key!r}", op="query")
        return Field(f'meta["{key}"]', key, None)


class _Fields:
    """`F`: the fields of a file, by name."""

    meta: Final = _Meta()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise InvalidError(f"F.{name} is compared with a value, F.{name} == {value!r}, not set", op="query")

    def __getattr__(self, name: str) -> Field:
        if name.startswith("_"):  # what tools ask of any object
            raise AttributeError(name)
        if name not in FIELDS:
            raise InvalidError(f"there is no field {name!r}: use meta[...] or one of {', '.join(FIELDS)}", op="query")
        column, kind = FIELDS[name]
        return Field(name, column, kind)


F: Final = _Fields()


def _stored(time: datetime, name: str) -> int:
    if time.utcoffset() is None:
        raise InvalidError(f"{name}: a datetime needs a time zone, such as datetime.now(UTC)", op="query")
    return microseconds(time)
