"""A plan: what was found, what is proposed about each, and on which conditions. A file that people can read and diff.

JSON lines. The first says what was compared, how completely, and what came of it; then one line for each finding, in
order. Nothing in it depends on when or where it was made: the same state of the two sides gives the same bytes.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final, Literal, get_args

from ..arguments import is_number, is_whole
from ..errors import InvalidError
from ..kinds import UNKNOWN
from ..pace import LISTED_AT_A_TIME
from ..table import PAGE_ROWS
from .difference import DELETING, FITTING, MEANING, Action, Difference, parsed

FORMAT: Final = 1
Depth = Literal["etag", "headers", "content"]
Orphans = Literal["report", "adopt", "quarantine"]
Foreign = Literal["report", "adopt"]
REQUESTS: Final[dict[Action, int]] = {
    "none": 0,
    "settle": 12,
    "finish-purge": 16,
    "refresh": 16,
    "rewrite-headers": 34,
    "heal": 48,
    "insert-head": 18,
    "insert-version": 18,
    "mend-index": 26,
    "adopt": 18,
    "put-again": 24,
    "quarantine": 18,
}
"""About how many an action takes, with the looks before it, where one version refers to a blob. Measured."""


PURGES_AT_A_TIME: Final = 5_000
"""Finished together, by one reading of the volume."""
DELETIONS_AT_A_TIME: Final = 5_000
"""Deleted after one reading of all that may refer to them."""
COPIED_BYTES: Final = 1 << 20
"""Of a file, at a time."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is to be done about what nobody can prove to be dead or meant."""

    orphans: Orphans = "report"
    foreign: Foreign = "report"

    def check(self) -> "Policy":
        """Raises: InvalidError."""
        for name, value, allowed in (("orphans", self.orphans, Orphans), ("foreign", self.foreign, Foreign)):
            if value not in get_args(allowed):
                message = f"{name} is one of {', '.join(get_args(allowed))}, not {value!r}"
                raise InvalidError(message, op="reconcile")
        return self

    def proposed(self, found: Difference) -> Difference:
        """With what is to be done about it."""
        if found.state == "orphan-ours" and self.orphans != "report":
            return replace(found, action="put-again" if self.orphans == "adopt" else self.orphans)
        if found.state == "foreign-new" and self.foreign != "report":
            return replace(found, action=self.foreign)
        return found


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a plan."""

    volume: str
    epoch: str
    root: str
    prefix: str
    depth: str
    sample: float
    blobs: int
    """How many were listed."""
    versions: int
    """How many have content, or are about to lose it: all but deletes and what was purged."""
    bytes: int
    states: Mapping[str, int] = field(default_factory=dict)
    """How many findings there are of each."""
    actions: Mapping[str, int] = field(default_factory=dict)
    certificates: Sequence[Mapping[str, Any]] = ()
    """Each part that was read, to its end, and how much that was."""
    incomplete: Sequence[str] = ()
    """What could not be read: then nothing is concluded."""
    refused: Sequence[str] = ()
    """Why nothing may be deleted by this plan, whatever is proposed."""
    requests_read: int = 0
    """How many requests the scan takes, about: pages of rows, and of the listing."""
    requests: int = 0
    """How many requests it will take to carry it out, about."""
    format: int = FORMAT

    @property
    def deletions(self) -> int:
        """How many blobs would be deleted on somebody's word."""
        return sum(self.actions.get(action, 0) for action in DELETING)

    def as_line(self) -> str:
        """As it stands in the file."""
        values = {"blobcat": "plan", **{name: getattr(self, name) for name in self.__slots__}}
        return json.dumps(values, sort_keys=True, ensure_ascii=False, default=list)


def lines(header: Header, found: Iterable[Difference]) -> Iterator[str]:
    """The file, line by line."""
    yield header.as_line() + "\n"
    for each in found:
        yield json.dumps(each.as_record(), ensure_ascii=False) + "\n"


def counted(header: Header, found: Iterable[Difference]) -> Header:
    """The header with the sums of these findings."""
    states, actions, requests = Counter[str](), Counter[str](), 0
    for each in found:
        states[each.state] += 1
        actions[each.action] += 1
        requests += REQUESTS[each.action]
    del actions["none"]
    order = list(MEANING)
    searches = -(-actions["finish-purge"] // PURGES_AT_A_TIME)
    searches += -(-sum(actions[each] for each in DELETING) // DELETIONS_AT_A_TIME)
    return replace(
        header,
        states={state: states[state] for state in order if states[state]},
        actions=dict(sorted(actions.items())),
        requests_read=_reading(header),
        requests=requests + searches * _search(header),
    )


def _reading(header: Header) -> int:
    """How many requests it takes to read both sides, and the bytes where they were wanted; without looks again."""
    rows = [sum(each["rows"].values()) for each in header.certificates if "rows" in each]
    listed = [each["blobs"] + each["quarantined"] + each["of other volumes"] for each in _listings(header)]
    pages = sum(_pages(n, PAGE_ROWS) for n in rows) + sum(_pages(n, LISTED_AT_A_TIME) for n in listed)
    return pages + (round(2 * header.sample * header.blobs) if header.depth == "content" else 0)


def _search(header: Header) -> int:
    """How many requests it takes to read all that may refer to content, before that is deleted: empty ranges, too."""
    rows = [each["rows"] for each in header.certificates if "rows" in each]
    return sum(_pages(each.get(kind, 0), PAGE_ROWS) for each in rows for kind in "hiv") + len(rows) * len(UNKNOWN)


def _listings(header: Header) -> list[Mapping[str, Any]]:
    return [each for each in header.certificates if "blobs" in each]


def _pages(n: int, most: int) -> int:
    """A page that is full says nothing of whether there are more."""
    return n // most + 1


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan on disk."""

    path: Path
    header: Header
    sha256: str
    """Of the whole file: by this it is named where somebody forces it."""
    counts: Path | None = None
    """The folder of the file of counts that `refused` may name; None: that of the plan, perhaps."""
    notes: Sequence[str] = ()
    """What has collapsed since the last run, where the plan deletes nothing. Not in the file."""

    def differences(self) -> Iterator[Difference]:
        """What was found, one by one. Raises: InvalidError, at the latest at its end, if the file is another by now."""
        with self._opened() as file:
            digest = hashlib.sha256(file.readline())
            for number, line in enumerate(file, 2):
                digest.update(line)
                yield _parsed(self.path, number, line)
        self._check(digest.hexdigest())

    def copied(self, path: Path) -> "PlanFile":
        """A copy of this very plan, under another name. Raises: InvalidError where the file is not what it was."""
        digest = hashlib.sha256()
        with self._opened() as file, path.open("wb") as copy:
            while piece := file.read(COPIED_BYTES):
                digest.update(piece)
                copy.write(piece)
        self._check(digest.hexdigest())
        return replace(self, path=path)

    def _opened(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except FileNotFoundError as exc:
            raise InvalidError(f"the plan {str(self.path)!r} is gone", op="plan", kind="invalid.plan") from exc

    def _check(self, sha256: str) -> None:
        """Raises: InvalidError where a file of this name is another by now."""
        if sha256 != self.sha256:
            message = f"the plan {str(self.path)!r} was changed meanwhile: read it again"
            raise InvalidError(message, op="plan", kind="invalid.plan")


def _parsed(path: Path, number: int, line: bytes) -> Difference:
    try:
        found = Difference.of_record(parsed(line))
        _check_types(found)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as exc:
        message = f"{path}, line {number} is no finding of a plan: it was cut or edited"
        raise InvalidError(message, op="plan", kind="invalid.plan") from exc
    if found.action != "none" and found.action not in FITTING.get(found.state, ()):
        spoken = f"{found.state!r} and {found.action!r}"
        message = f"{path}, line {number} speaks of {spoken}, which this blobcat does not know: upgrade"
        raise InvalidError(message, op="plan", kind="invalid.newer-plan")
    return found


def _check_types(found: Difference) -> None:
    """Raises: TypeError, ValueError."""
    texts = (found.state, found.key, found.path, found.op, found.writer, found.at, found.why, found.action, found.twin)
    rows = (*found.rows.keys(), *found.rows.values())
    if not all(isinstance(text, str) for text in (*texts, found.blob_etag, *found.versions, *rows)):
        raise TypeError("not text")
    if not is_whole(found.size):
        raise TypeError("not a size")
    _ = found.users, found.intents  # they can be told apart


def write(path: Path, header: Header, found: Iterable[Difference]) -> PlanFile:
    """Write a plan; under its name it is whole, or not there."""
    digest, making = hashlib.sha256(), path.with_name(f"{path.name}.making")
    with making.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines(header, found):
            digest.update(line.encode())
            file.write(line)
    making.replace(path)
    return PlanFile(path, header, digest.hexdigest())


def read(path: Path) -> PlanFile:
    """Open a plan. Raises: InvalidError for what is none, is of a newer format, or was cut."""
    try:
        with path.open("rb") as file:
            first = file.readline()
            digest = hashlib.sha256(first)
            while piece := file.read(COPIED_BYTES):
                digest.update(piece)
            values = parsed(first)
    except FileNotFoundError as exc:
        raise InvalidError(f"there is no plan {str(path)!r}", op="plan", kind="invalid.plan") from exc
    except OSError as exc:
        raise InvalidError(f"cannot read {str(path)!r}: {exc.strerror}", op="plan", kind="invalid.plan") from exc
    except ValueError as exc:  # no text, or no JSON
        raise InvalidError(f"{str(path)!r} is no plan of blobcat's", op="plan", kind="invalid.plan") from exc
    if not isinstance(values, dict) or values.pop("blobcat", "") != "plan":
        raise InvalidError(f"{str(path)!r} is no plan of blobcat's", op="plan", kind="invalid.plan")
    if values.get("format") != FORMAT:
        message = f"{str(path)!r} is a plan of format {values.get('format')}; this blobcat knows {FORMAT}"
        raise InvalidError(message, op="plan", kind="invalid.newer-plan")
    if values.keys() != _KINDS.keys() or not all(_KINDS[name](value) for name, value in values.items()):
        raise InvalidError(f"{str(path)!r} is no plan that this blobcat wrote", op="plan", kind="invalid.plan")
    plan = PlanFile(path, Header(**values), digest.hexdigest())
    counts = counted(plan.header, plan.differences())
    if (counts.states, counts.actions) != (plan.header.states, plan.header.actions):  # the brake goes by them
        message = f"the findings of {str(path)!r} are not those that its first line tells of: it was cut or edited"
        raise InvalidError(message, op="plan", kind="invalid.plan")
    return plan


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_counts(value: object) -> bool:
    return isinstance(value, dict) and all(is_whole(each) and each >= 0 for each in value.values())


def _is_certificates(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and _is_certificate(each) for each in value)


def _is_certificate(value: Mapping[str, Any]) -> bool:
    listing = ("blobs", "quarantined", "of other volumes")
    if "blobs" in value and not all(_is_count(value.get(name)) for name in listing):
        return False
    return "rows" not in value or _is_counts(value["rows"])


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return is_whole(value) and isinstance(value, int) and value >= 0


_KINDS: Final[dict[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("volume", "epoch", "root", "prefix", "depth"), _is_text),
    **dict.fromkeys(("blobs", "versions", "bytes", "requests_read", "requests", "format"), _is_count),
    **dict.fromkeys(("states", "actions"), _is_counts),
    **dict.fromkeys(("incomplete", "refused"), _is_texts),
    "sample": is_number,
    "certificates": _is_certificates,
}
"""What the first line says, and what each may be."""
