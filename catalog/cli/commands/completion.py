"""`blobcat completion`."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from ..completion import VARIABLE
from ..session import Session

_FOLDERS_GO_ON: Final = '[[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == */ ]] && compopt -o nospace'


class Shell(StrEnum):
    """The shells that are known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


async def completion(
    session: Session, shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="Your shell.")]
) -> None:
    """Print the script that lets a shell complete commands, options, volumes and paths.

        bash:  echo 'eval "$(blobcat completion bash)"' >> ~/.bashrc
        zsh:   echo 'eval "$(blobcat completion zsh)"' >> ~/.zshrc    (below compinit)
        fish:  blobcat completion fish > ~/.config/fish/completions/blobcat.fish

    Paths come from the catalog that BLOBCAT_URL, or the line itself, names.

    --json: the script as it is.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it is typer's own door

    script = get_completion_script(prog_name="blobcat", complete_var=VARIABLE, shell=shell.value)
    if shell is Shell.BASH:
        script = script.replace("    return 0\n", f"    {_FOLDERS_GO_ON}\n    return 0\n")
    for line in script.splitlines():
        session.output.line(line)
