"""Where a command wants a file and was given a folder: nothing is stored for one, so what to do instead is said."""

import shlex

from .errors import UsageError


def check_file(path: str, instead: str) -> None:
    """Raises: UsageError for a path that ends in `/`, with the command line that does what was meant."""
    if path.endswith("/"):
        raise UsageError(f"{path} is a folder, and this takes a file's path", instead)


def check_transfer(verb: str, source: str, target: str) -> None:
    """The same for `cp` and `mv`. Raises: UsageError."""
    if source.endswith("/"):
        each = f'"{_bare(target)}${{f#{_bare(source)}}}"'
        line = f'blobcat ls -r {shlex.quote(source)} | while IFS= read -r f; do blobcat {verb} "$f" {each}; done'
        raise UsageError(f"{source} is a folder, and {verb} takes one file", line)
    check_file(target, f"blobcat {verb} {shlex.quote(source)} {shlex.quote(target + source.rpartition('/')[2])}")


def _bare(folder: str) -> str:
    """A folder as it stands between double quotes of a shell."""
    return "".join("\\" + each if each in '\\"$`' else each for each in folder.rstrip("/") + "/")
