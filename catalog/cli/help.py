"""Help pages: no boxes, nothing that has to be skipped, and no rich, whose import would be most of `blobcat --help`.

A command's page is made of its docstring and its parameters. Indented lines of a docstring stay as they are.
"""

import os
import shutil
import textwrap
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

WIDTH_MAX: Final = 100
TERM_MAX: Final = 30
Rows = list[tuple[str, str]]


class Page(TyperCommand):
    """A command whose `--help` is ours."""

    def get_help(self, ctx: Any) -> str:  # noqa: D102
        return _page(self, ctx, [])


class Index(TyperGroup):
    """The command whose `--help` lists all others, panel by panel."""

    def get_help(self, ctx: Any) -> str:  # noqa: D102
        panels: dict[str, Rows] = {}
        for name, entry in self.commands.items():
            first, *_ = (entry.help or "").split(".\n")[0].split("\n\n")
            panels.setdefault(str(getattr(entry, "rich_help_panel", "")), []).append((name, _joined(first).rstrip(".")))
        return _page(self, ctx, list(panels.items()))


def _page(command: Any, ctx: typer.Context, panels: list[tuple[str, Rows]]) -> str:
    options: dict[str, Rows] = {"Options": []}  # a command's own come first
    arguments: Rows = []
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            arguments.append((parameter.metavar, parameter.help or ""))
        else:
            options.setdefault(parameter.rich_help_panel or "Options", []).append(_option(parameter))
    width = max([len(term) for _, rows in panels for term, _ in rows], default=0)
    sections = [*panels, ("Arguments", arguments), *options.items()]
    usage = [f"{_bold('Usage:')} {ctx.command_path} {_usage(command, ctx)}"]
    texts = [_paragraphs(command.help or ""), *(_section(*section, width=width) for section in sections if section[1])]
    closing = [f"{_bold('Exit codes')}\n{command.epilog}"] if command.epilog else []
    return "\n".join(["\n\n".join([*usage, *texts, *closing]), ""])


def _usage(command: Any, ctx: typer.Context) -> str:
    if isinstance(command, TyperGroup):
        return "[OPTIONS] COMMAND …"
    return " ".join(["[OPTIONS]", *arguments_of(command, ctx)])


def arguments_of(command: Any, ctx: Any) -> list[str]:
    """A command's arguments, as a usage line has them."""
    return [
        parameter.metavar if parameter.required else f"[{parameter.metavar}]"
        for parameter in command.get_params(ctx)
        if parameter.param_type_name == "argument"
    ]


def _option(option: Any) -> tuple[str, str]:
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in option.opts if name.startswith("--")]
    names = ", ".join([*(short or ["  "]), *long]) if short else "    " + ", ".join(long)
    term = names if option.is_flag or not option.metavar else f"{names} {option.metavar}"
    return term, f"{option.help or ''} ({option.envvar})" if option.envvar else option.help or ""


def _section(heading: str, rows: Rows, *, width: int) -> str:
    first = 2 + max([width, *(len(term) for term, _ in rows if len(term) <= TERM_MAX)]) + 2
    lines = []
    for term, text in rows:
        wrapped = textwrap.wrap(_joined(text), _width() - first) or [""]
        if len(term) > TERM_MAX:
            lines.append(f"  {_cyan(term)}")
        else:
            lines.append(f"  {_cyan(term)}{' ' * (first - 2 - len(term))}{wrapped.pop(0)}".rstrip())
        lines += [" " * first + line for line in wrapped]
    return "\n".join([_bold(heading), *lines])


def _paragraphs(text: str) -> str:
    return "\n\n".join(
        textwrap.indent(paragraph, "  ")
        if paragraph.startswith(" ")
        else textwrap.fill(_joined(paragraph), _width(), initial_indent="  ", subsequent_indent="  ")
        for paragraph in textwrap.dedent(text).strip("\n").split("\n\n")
    )


def _joined(text: str) -> str:
    return " ".join(text.split())


def _width() -> int:
    return min(shutil.get_terminal_size().columns, WIDTH_MAX)


def _bold(text: str) -> str:
    return _styled(text, bold=True)


def _cyan(text: str) -> str:
    return _styled(text, fg="cyan")


def _styled(text: str, **style: Any) -> str:
    """Coloured; `typer.echo` takes the colours off where no terminal is."""
    return text if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else typer.style(text, **style)
