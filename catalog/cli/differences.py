"""What a reconcile has found, as people see it: one row for each state, and what is proposed about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .columns import GAP, SIZE_WIDTH, count, size
from .output import Line, Output

if TYPE_CHECKING:
    from ..reconcile.difference import Action, Difference, State

COUNT_WIDTH: Final = 8
EXAMPLES_MAX: Final = 2
EXAMPLES_WIDTH: Final = 44
INDENT: Final = " " * (COUNT_WIDTH + SIZE_WIDTH + 2 * len(GAP))
PROPOSED: Final[dict[str, str]] = {"none": "-"}
CHOICES: Final[dict[str, str]] = {
    "orphan-ours": "--orphans adopt makes files of them, --orphans quarantine puts them aside",
    "foreign-new": "--foreign adopt makes files of them, in place",
}
"""What is proposed only where somebody asks for it."""


@dataclass(slots=True)
class Row:
    """All findings of one state about which the same is proposed."""

    state: "State"
    action: "Action"
    count: int = 0
    bytes: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, found: "Difference") -> None:
        """Count it."""
        self.count += 1
        self.bytes += found.size
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(subject(found))


def subject(found: "Difference") -> str:
    """What a finding is about, in the words of the catalog: `path@version`, a path, or else a blob's name."""
    if found.state in ("foreign-new", "invalid-name"):
        return found.key
    return found.versions[0] if len(found.versions) == 1 else found.path or found.key


def rows_of(differences: Iterable["Difference"]) -> tuple[list[Row], list[str]]:
    """The findings, summed up in the order of states; and what is left alone, as others may be at work on it."""
    from ..reconcile.difference import MEANING

    rows: dict[tuple[State, Action], Row] = {}
    quiet, settled = set[str](), set[str]()  # a write and its content are two differences, and one write
    needed = 0
    for found in differences:
        if found.quiet:
            needed += found.state == "purging"
            quiet.update([] if found.state == "purging" else [found.op])
        else:
            settled.update([found.op] if found.state == "in-flight" else ())
            rows.setdefault((found.state, found.action), Row(found.state, found.action)).add(found)
    order, writes = [*MEANING], len(quiet - settled)
    left = [f"{count(writes, 'write')} under way, left alone"] if writes else []
    left += [f"{count(needed, 'content')} chosen by a purge, kept because a version needs it"] if needed else []
    return sorted(rows.values(), key=lambda row: (order.index(row.state), row.action == "none", row.action)), left


def table(output: Output, rows: list[Row]) -> None:
    """Show them. On a terminal each says what it means, and what would be done."""
    states = max([len("STATE"), *(len(row.state) for row in rows)])
    actions = max([len("PROPOSED"), *(len(_proposed(row)) for row in rows)])
    output.heading(
        f"{'COUNT':>{COUNT_WIDTH}}{GAP}{'SIZE':>{SIZE_WIDTH}}{GAP}{'STATE':{states}}{GAP}"
        f"{'PROPOSED':{actions}}{GAP}SUCH AS"
    )
    for row in rows:
        output.line(
            (f"{row.count:>{COUNT_WIDTH},}{GAP}", "bold"),
            (f"{size(row.bytes):>{SIZE_WIDTH}}{GAP}", "green"),
            (f"{row.state:{states}}{GAP}", "bold red"),
            (f"{_proposed(row):{actions}}{GAP}", "dim" if row.action == "none" else "cyan"),
            _examples(row),
        )
        if output.terminal:
            for text in _explained(row):
                output.line((INDENT + text, "dim"))


def _proposed(row: Row) -> str:
    return PROPOSED.get(row.action, row.action)


def _examples(row: Row) -> str:
    """One or two, whole; and whether there are more."""
    shown = row.examples if len("  ".join(row.examples)) <= EXAMPLES_WIDTH else row.examples[:1]
    return "  ".join(shown) + (" …" if len(shown) < row.count else "")


def _explained(row: Row) -> Iterator[str]:
    from ..reconcile.difference import DOES, MEANING

    yield MEANING[row.state]
    if row.action != "none":
        yield f"→ {DOES[row.action]}"
    elif row.state in CHOICES:
        yield f"→ {CHOICES[row.state]}"


def actions_table(output: Output, actions: Iterable[tuple[str, int]], *, deleting: Iterable[str]) -> None:
    """What a plan would do: how often, what, and what that is."""
    from ..reconcile.difference import DOES

    listed, words = [*actions], {str(action): does for action, does in DOES.items()}
    width = max((len(action) for action, _ in listed), default=0)
    for action, number in listed:
        line: Line = (
            (f"{number:>{COUNT_WIDTH},}{GAP}", "bold"),
            (f"{action:{width}}{GAP}", "bold red" if action in deleting else "cyan"),
            (words.get(action, ""), "dim"),
        )
        output.line(*line)
