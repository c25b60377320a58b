"""`blobcat completion`."""

import os
from typing import Annotated, Final

import typer

from ..completion import VARIABLE
from ..errors import UsageError
from ..session import Session

_FOLDERS_GO_ON: Final = '[[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == */ ]] && compopt -o nospace'


INSTALLS: Final = {
    "bash": """echo 'eval "$(blobcat completion bash)"' >> ~/.bashrc""",
    "zsh": """echo 'eval "$(blobcat completion zsh)"' >> ~/.zshrc""",
    "fish": "blobcat completion fish > ~/.config/fish/completions/blobcat.fish",
}
"""The shells that are known, and how each is taught."""


def complete_shell(incomplete: str) -> list[str]:
    """Shells that begin like this."""
    return [shell for shell in INSTALLS if shell.startswith(incomplete)]


async def completion(
    session: Session,
    shell: Annotated[
        str | None, typer.Argument(metavar="bash|zsh|fish", help="Your shell.", autocompletion=complete_shell)
    ] = None,
) -> None:
    """Print the script that lets a shell complete commands, options, volumes and paths.

        bash:  echo 'eval "$(blobcat completion bash)"' >> ~/.bashrc
        zsh:   echo 'eval "$(blobcat completion zsh)"' >> ~/.zshrc    (below compinit)
        fish:  blobcat completion fish > ~/.config/fish/completions/blobcat.fish

    Paths come from the catalog that BLOBCAT_URL, or the line itself, names.

    --json: the script as it is.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it is typer's own door

    if shell is None:
        raise UsageError("completion of which shell: bash, zsh or fish?", f"to install it: {_install()}")
    if shell not in INSTALLS:
        raise UsageError(f"completion knows bash, zsh and fish, not {shell}", f"to install it: {_install()}")
    script = get_completion_script(prog_name="blobcat", complete_var=VARIABLE, shell=shell)
    if shell == "bash":
        script = script.replace("    return 0\n", f"    {_FOLDERS_GO_ON}\n    return 0\n")
    for line in script.splitlines():
        session.output.line(line)


def _install() -> str:
    """The line for the shell that is used here, as far as can be told."""
    return INSTALLS.get(os.path.basename(os.environ.get("SHELL", "")), INSTALLS["bash"])  # noqa: PTH119 — no path of ours
