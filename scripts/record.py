"""Records a terminal session as docs/terminal.svg: real commands, run on a terminal of their own, colours and all.

What a command shows goes through rich, which draws it. The picture refers to nothing outside itself.
"""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.text import Text

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "terminal.svg"
PROGRAM: Final = "from catalog.cli.main import main; main()"
COLUMNS: Final = 92
LINES: Final = 40

TREE: Final = {
    "2026/11/20/orders.csv": b"id,cups\n" + b"".join(b"%d,%d\n" % (n, n % 7) for n in range(4_000)),
    "2026/11/20/stock.csv": b"day,beans\nfri,3\n",
    "2026/11/21/orders.csv": b"id,cups\n" + b"".join(b"%d,%d\n" % (n, n % 5) for n in range(6_000)),
    "labels/espresso.png": bytes(range(256)) * 900,
    "labels/mocha.png": bytes(reversed(range(256))) * 700,
    "notes.txt": b"more to come\n",
}
CHANGED: Final = {"2026/11/20/stock.csv": b"day,beans\nfri,3\nsat,5\n"}

SESSION: Final = (  # what is typed; before a line of `changes`, files of the tree change
    "blobcat init",
    "blobcat ingest incoming --meta owner=ops",
    "blobcat tree -L 3",
    "blobcat query --where 'size > 50kB' --where \"meta.owner = 'ops'\"",
    "changes",
    "blobcat ingest incoming",
    "blobcat history 2026/11/20/stock.csv",
    "blobcat cat --version 1 2026/11/20/stock.csv",
    "blobcat put incoming/notes.txt 2026/11/20/stock.csv --if-version 1",
    "blobcat du",
    "blobcat verify",
)


def main() -> int:
    """Record it. Exit code 0."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    with TemporaryDirectory() as place:
        folder = Path(place)
        write(folder, TREE)
        for line in SESSION:
            if line == "changes":
                write(folder, CHANGED)
                continue
            console.print(Text.assemble(("$ ", "bold green"), (line, "bold")))
            console.print(Text.from_ansi(shown(line, folder)))
    PICTURE.write_text(drawn(console), "utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {len(SESSION) - 1} commands\n")
    return 0


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Put files into the tree that is ingested."""
    for name, content in files.items():
        path = folder / "incoming" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def shown(line: str, folder: Path) -> str:
    """What a command shows on a terminal, when it is done."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TZ")}
    environment = kept | {
        "BLOBCAT_URL": "local:.blobcat",
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LOGNAME": "ada",  # the author of the versions
    }
    command = 'blobcat() { "$PYTHON" -c "$PROGRAM" "$@"; }; ' + line
    process = subprocess.Popen(
        ["/usr/bin/env", "bash", "-c", command],
        cwd=folder,
        env=environment | {"PYTHON": sys.executable, "PROGRAM": PROGRAM},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(4096):
                text += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
    process.wait()
    return settled(text.decode())


def settled(text: str) -> str:
    """What is left on the screen once the progress bars are gone: of each line what came after the last was cleared."""
    text = text.replace("\r\n", "\n")
    text = re.sub(r"\x1b\[\?25[lh]", "", text)
    text = text.rpartition("\x1b[2K")[2]
    return text.strip("\n") + "\n"


def drawn(console: Console) -> str:
    """The picture, with fonts that are there already and without ids that differ from run to run."""
    picture = console.export_svg(title="blobcat", unique_id="blobcat")
    picture = re.sub(r"@font-face \{.*?\}\n", "", picture, flags=re.DOTALL)
    picture = picture.replace("Fira Code, monospace", "'Fira Code', Menlo, Consolas, 'DejaVu Sans Mono', monospace")
    return "\n".join(line.rstrip() for line in picture.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
