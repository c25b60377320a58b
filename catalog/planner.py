"""Which rows a query reads: the cheapest of the few ways that there are. Pure.

The first of these that there is:

    nothing    where no file can satisfy the condition: `path = 'a' and path = 'b'`
    points     where it names the paths: one read for each of them, up to POINTS_MAX
    index      one with a field that the condition fixes by `=` or `in`, from its first field on
    range      of paths, from the prefix, `startswith`, a glob's literal beginning, or comparisons
    index      one whose first field the condition bounds
    scan       all heads

Nobody has counted how many files there are of each kind, so there is no guessing: an equality is taken to say more than
a prefix, and a prefix more than a range. Among indexes the one with most fields fixed is taken; then one that is
bounded on the next field; then one of fewer fields; then the older one. Where all its fields are fixed, a prefix of
paths narrows an index too.

Results are in order of path, whatever is read: so which indexes there are changes what a query costs, never what it
answers. Another order is had only from an index that is in it; then that, or a named path, is all there is to choose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from .entities import Index, VolumeInfo
from .errors import InvalidError
from .filters import All, Comparison, Condition, StartsWith, joined
from .index_ranges import Reach, in_order, reach, whole_in
from .indexes import FIELDS_MAX, check_index, plain
from .keys import encode
from .literals import spelled_column
from .path_ranges import is_point, path_ranges
from .ranges import Ranges, hull

Access = Literal["nothing", "points", "index", "range", "scan"]

POINTS_MAX: Final = 1_000
"""Reads of single rows: what a page of a scan may cost in time, and as many transactions."""
PATH_RANGES_MAX: Final = 200
"""Read one after the other, each in all shards; of more, the one range from the first to the last."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a volume."""

    where: Condition
    """What a head must satisfy, beside the prefix: also that it is a file, and no tombstone."""
    prefix: str = ""
    order: tuple[str, ...] = ()
    """As fields of an index; empty: by path."""
    time: int | None = None
    """Of what was, the moment, in microseconds since 1970; None: of what is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read, and in which order it comes."""

    question: Question
    access: Access
    paths: Ranges | None = None
    """Of points, a range or a scan: where the encoded paths are; None: anywhere."""
    index: Index | None = None
    reach: Reach | None = None
    """What of the index."""

    @property
    def condition(self) -> Condition:
        """What a row that is read must satisfy; of the prefix, where other rows are read than those under it."""
        question = self.question
        if not question.prefix or self.reach is None or _is_under(question.prefix, self.reach):
            return question.where
        return joined(All, question.where, StartsWith("path", question.prefix))

    @property
    def sorts(self) -> bool:
        """Whether rows come in another order than the one that is wanted: the first is known when all were read."""
        return not self.question.order and self.reach is not None and self.reach.key is None


def plan(question: Question, volume: VolumeInfo, index_id: str = "") -> Plan:
    """How a question is answered, by what is known of the volume; `index_id`: by that index, if there is a choice.

    Raises: InvalidError (invalid.order), where no index that is ready has that order: it names the one to make.
    """
    paths = path_ranges(question.where, question.prefix)
    if paths is not None and all(map(is_point, paths)) and len(paths) <= (POINTS_MAX if not question.order else 1):
        return Plan(question, "points" if paths else "nothing", paths)
    choices = sorted(_choices(question, volume, paths), key=lambda choice: (choice[0].id != index_id, *_rank(*choice)))
    for index, reached in choices:
        if not reached.ranges:
            return Plan(question, "nothing")
        if question.order or reached.equal or (paths is None and reached.bounded):
            return Plan(question, "index", index=index, reach=reached)
    if question.order:
        raise _no_order(question, volume)
    if paths is not None and len(paths) > PATH_RANGES_MAX:
        paths = hull(paths)
    return Plan(question, "scan" if paths is None else "range", paths)


def check_order(order: str | Sequence[str]) -> tuple[str, ...]:
    """The order that is wanted; empty: by path, as files of equal values always are. Raises: InvalidError."""
    fields = (order,) if isinstance(order, str) else tuple(order) if isinstance(order, Sequence) else (order,)
    fields = fields[:-1] if fields[-1:] == ("path",) else fields
    if any(field in ("path", "-path") for field in fields):
        message = "order_by: files are in order of path at last, ascending: name other fields before it"
        raise InvalidError(message, op="query", kind="invalid.order")
    try:
        return check_index(fields) if fields else ()
    except InvalidError as exc:
        raise InvalidError(f"order_by: {exc.message}", op="query", kind="invalid.order") from None


def _choices(question: Question, volume: VolumeInfo, paths: Ranges | None) -> Iterator[tuple[Index, Reach]]:
    for index in volume.indexes:
        if index.state == "ready" and in_order(index, question.where, question.order):
            yield index, reach(index, question.where, paths)


def _is_under(prefix: str, reached: Reach) -> bool:
    """Whether the keys say of each row that it is under a prefix."""
    whole = None if reached.key is None else whole_in(reached.key)
    return reached.key is not None and (whole is None or len(encode(prefix)) <= whole)


def _rank(index: Index, reached: Reach) -> tuple[int, ...]:
    return -reached.equal, not reached.bounded, len(index.on), int(index.id)


def _no_order(question: Question, volume: VolumeInfo) -> InvalidError:
    """What is raised where no index is in the order that is wanted: with the one that would answer it best."""
    fixed = [field for field in _equals(question.where) if field not in question.order]
    others = [field for field in question.order if plain(field) not in fixed]
    on = (*fixed, *others) if len(fixed) + len(others) <= FIELDS_MAX else question.order
    building = any(index.state == "building" and in_order(index, question.where, others) for index in volume.indexes)
    what = "the one that is, is not ready yet" if building else f"make it: create_index({', '.join(map(repr, on))})"
    message = f"volume {volume.name!r} has no index in order of {', '.join(question.order)}: {what}"
    return InvalidError(message, op="query", key=volume.name, kind="invalid.order")


def _equals(condition: Condition) -> Iterator[str]:
    """The fields that have to equal a value, as an index names them."""
    for each in condition.parts if isinstance(condition, All) else (condition,):
        if isinstance(each, Comparison) and each.operator == "==" and each.column != "path":
            yield spelled_column(each.column)
