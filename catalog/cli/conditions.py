"""`--where EXPRESSION`: which files, as text says it."""

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..filters import Condition

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="EXPRESSION",
        help="Which files, in quotes; see blobcat query --help. Of several, all must hold.",
    ),
]


def hint_of_prefix(prefix: str, command: str = "query") -> str:
    """What to say where nothing is below a prefix that reads like a condition; else ""."""
    like = " " in prefix and any(each in prefix for each in "=<>~") and prefix.isprintable()
    return f"a condition goes with --where: blobcat {command} --where {shlex.quote(prefix)}" if like else ""


def condition_of(texts: Iterable[str] | None) -> "Condition | None":
    """All that was said, joined by "and"; None where nothing was. Raises: InvalidError."""
    condition: Condition | None = None
    for text in texts or ():
        from ..query_text import parse_expression  # which takes a parser along

        parsed = parse_expression(text)
        condition = parsed if condition is None else condition & parsed
    return condition
