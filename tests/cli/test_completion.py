"""`blobcat completion`, in the shells themselves."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.cli.main import run
from tests.cli.driver import PROGRAM, Blobcat

BASH = """
compopt() { echo "compopt $1 $2"; }  # bash has it while it completes, and here nobody pressed Tab
source <(blobcat completion bash)
complete -p blobcat
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_blobcat_completion blobcat
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def filled(blobcat: Blobcat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobcat:
    """With a command `blobcat` on the PATH."""
    for path in ("2026/a.csv", "2026/deep/b.csv", "top.txt"):
        assert blobcat("put", "-", path).code == 0
    program = tmp_path / "bin" / "blobcat"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return blobcat


def run_in(shell: str, *arguments: str) -> list[str]:
    executable = shutil.which(shell)
    if executable is None:
        pytest.skip(f"{shell} is not installed: its completion was not tried")
    done = subprocess.run([executable, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("blobcat comp", ["completion"]),
        ("blobcat completion z", ["zsh"]),
        ("blobcat ls 2026/", ["2026/a.csv", "2026/deep/"]),
        ("blobcat ls 2026/d", ["compopt -o nospace", "2026/deep/"]),
        ("blobcat cat to", ["top.txt"]),
        ("blobcat ls --volume m", ["main"]),
    ],
)
def test_bash_completes(filled: Blobcat, words: str, offered: list[str]) -> None:
    installed, *found = run_in("bash", "-c", BASH, "bash", *words.split())
    assert installed == "complete -o default -F _blobcat_completion blobcat"
    assert found == offered


def test_fish_completes(filled: Blobcat) -> None:
    found = run_in("fish", "--no-config", "-c", "blobcat completion fish | source; complete -C 'blobcat completion z'")
    assert [line.split("\t")[0] for line in found] == ["zsh"]


def test_zsh_knows_who_completes(filled: Blobcat) -> None:
    script = 'autoload -U compinit; compinit -u -D; eval "$(blobcat completion zsh)"; print $_comps[blobcat]'
    assert run_in("zsh", "-f", "-c", script) == ["_blobcat_completion"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("/bin/zsh", """echo 'eval "$(blobcat completion zsh)"' >> ~/.zshrc"""),
        ("/usr/bin/fish", "blobcat completion fish > ~/.config/fish/completions/blobcat.fish"),
        ("/bin/tcsh", """echo 'eval "$(blobcat completion bash)"' >> ~/.bashrc"""),
    ],
)
def test_without_a_shell_it_asks_and_says_how_to_install(
    empty: Blobcat, shell: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", shell)
    refused = empty("completion")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [
        "blobcat: completion of which shell: bash, zsh or fish?",
        f"  → to install it: {line}",
    ]


@pytest.mark.parametrize("url", ["local:nowhere", "local:afile", "memory:", "what is this?"])
def test_where_nothing_can_be_asked_nothing_is_offered(
    empty: Blobcat, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is any error shown to who presses Tab; and nothing is made."""
    (empty.folder / "afile").touch()
    asked = {"_BLOBCAT_COMPLETE": "complete_bash", "COMP_WORDS": "blobcat cat x", "COMP_CWORD": "2", "BLOBCAT_URL": url}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        run([])
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out.strip(), shown.err) == (0, "", "")
    assert [each.name for each in empty.folder.iterdir()] == ["afile"]
