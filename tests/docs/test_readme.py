"""README tells the truth: every block in it is run, and what it shows is what comes out.

What stands after `$` in the `console` blocks is typed into one shell, from the first to the last, and what follows is
what it prints; `…` stands for anything within a line. The `python` blocks are one program, and `# → text` says what a
line prints. The `cron` block is run as cron would. The `bash` blocks hold our own scripts: one runs this test, and
`test_demo` and `tests/bench` run the others. The `sh` block needs an account at Azure, and is only read.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "that was it:"


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(README) if found == language]


def typed() -> Iterator[tuple[str, list[str]]]:
    """The commands of all console blocks, and the lines that they print."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            yield command, shown


def printed(commands: list[str], folder: Path) -> list[list[str]]:
    """What each command prints, when they are typed into one shell."""
    script = "".join(f"{command}\nstatus=$?; echo '{MARK}'; (exit $status)\n" for command in commands)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("BLOBCAT_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/usr/bin/env", "bash"],
        input=script,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**ours, "PATH": path},
        encoding="utf-8",
        check=False,
    )
    return [part.splitlines() for part in done.stdout.split(f"{MARK}\n")[:-1]]


def is_like(line: str, shown: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.split("…"))
    return re.fullmatch(pattern, line) is not None


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {language for language, _ in BLOCK.findall(README)} == {"bash", "console", "cron", "python", "sh"}


def test_commands_print_what_the_console_blocks_show(tmp_path: Path) -> None:
    commands, shown = zip(*typed(), strict=True)
    outputs = printed(list(commands), tmp_path)
    assert len(outputs) == len(commands)
    for command, output, expected in zip(commands, outputs, shown, strict=True):
        same = len(output) == len(expected) and all(map(is_like, output, expected))
        assert same, f"{command}\nprinted {output}\nREADME  {expected}"


def test_programs_print_what_their_comments_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = "\n".join(blocks("python"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 — our own text
    assert out.getvalue().splitlines() == re.findall(r"# → (.*)$", program, re.MULTILINE)


def test_cron_has_something_to_mail_only_where_all_is_not_well(tmp_path: Path) -> None:
    (block,) = blocks("cron")
    *_, line = block.splitlines()
    command = line.split(maxsplit=5)[5]
    url = "export BLOBCAT_URL=local:.blobcat"
    _, missing, _, quiet, kept = printed([url, command, "blobcat init", command, "wc -l < reconcile.jsonl"], tmp_path)
    assert missing[-1] == "blobcat reconcile: exit 3, see reconcile.jsonl"
    assert (quiet, kept) == ([], ["1"])


def test_the_scripts_are_there_to_be_run() -> None:
    scripts = [line.split()[0] for block in blocks("bash") for line in block.splitlines()]
    assert scripts == ["./scripts/demo", "./scripts/test", "./scripts/bench"]
    for script in re.findall(r"\./(scripts/[\w-]+)", README):
        assert os.access(ROOT / script, os.X_OK), script
        subprocess.run(["/usr/bin/env", "bash", "-n", ROOT / script], check=True)


def test_what_is_to_be_pasted_can_be_read() -> None:
    for block in blocks("sh"):
        subprocess.run(["/usr/bin/env", "bash", "-n"], input=block, encoding="utf-8", check=True)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target
    headings = {
        re.sub(r"[^\w -]", "", line[3:].lower()).replace(" ", "-") for line in README.splitlines() if line[:3] == "## "
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


def test_decisions_are_listed_in_their_order() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
    for number, name in enumerate(listed, 1):
        title = (folder / name).read_text("utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. ")
        assert f"[{title.partition('. ')[2]}]({name})" in (folder / "README.md").read_text("utf-8")
