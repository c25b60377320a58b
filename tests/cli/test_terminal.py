"""Pipes, terminals, signals, start-up."""

import ctypes
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from catalog.cli.hints import GOING_ON, WHOLE, hint_of_interruption
from catalog.cli.main import PANELS
from catalog.cli.output import clean
from tests.cli.driver import Blobcat

COMMANDS = [
    "cat",
    "completion",
    "du",
    "tree",
    "init",
    "volumes",
    "adopt",
    "ingest",
    "put",
    "rm",
    "get",
    "ls",
    "stat",
    "history",
    "changes",
    "query",
    "count",
    "sql",
    "verify",
    "purge",
    "reconcile",
    "apply",
    "undo",
    "recover",
    "rebuild",
    "resolve",
]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(
    blobcat: Blobcat, *arguments: str, columns: int = 80, typed: bytes = b"", **environment: str
) -> tuple[int, str]:
    """Run on a terminal of its own, where somebody has typed; return the exit code and all that was shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "CI")}
    process = blobcat.start(
        *arguments, stdin=theirs, stdout=theirs, stderr=theirs, env=kept | {"TERM": "xterm-256color"} | environment
    )
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(4096):
                shown += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
    return process.wait(), shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_headings_colours_and_a_summary(blobcat: Blobcat) -> None:
    blobcat("put", "-", "2026/[red]a.txt", stdin=b"12345")
    code, shown = on_terminal(blobcat, "ls", "-r")
    assert code == 0
    assert "\x1b[" in shown
    lines = ESCAPES.sub("", shown).splitlines()
    assert lines[0].split() == ["SIZE", "WRITTEN", "PATH"]
    assert lines[1].endswith("2026/[red]a.txt")
    assert lines[2] == "1 file, 5 B"


def test_no_color_is_honoured(blobcat: Blobcat) -> None:
    blobcat("put", "-", "a.txt")
    for arguments in (["ls"], ["--help"], ["get", "nope"]):
        _, shown = on_terminal(blobcat, *arguments, NO_COLOR="1")
        assert not re.search(r"\x1b\[3\d", shown), shown


def test_a_long_path_is_not_cut_on_a_narrow_terminal(blobcat: Blobcat) -> None:
    path = "very/" * 30 + "long.txt"
    blobcat("put", "-", path)
    _, shown = on_terminal(blobcat, "ls", "-r", columns=40)
    assert path in ESCAPES.sub("", shown)


def test_progress_is_shown_and_gone_again(blobcat: Blobcat) -> None:
    for number in range(200):
        blobcat.file(f"{number}.txt", b"x" * 1000)
    code, shown = on_terminal(blobcat, "ingest", "in", columns=120)
    assert code == 0
    assert "200" in ESCAPES.sub("", shown)
    assert "\x1b[2K" in shown
    assert ESCAPES.sub("", shown).splitlines()[-1].startswith("200 written (200.0 kB)")
    assert on_terminal(blobcat, "verify")[0] == 0


def test_json_is_plain_on_a_terminal_too(blobcat: Blobcat) -> None:
    blobcat.file("a.txt")
    for arguments in (["ingest", "in"], ["ls"], ["verify"]):
        _, shown = on_terminal(blobcat, *arguments, "--json")
        assert shown.startswith("{")
        assert "\x1b" not in shown
        assert len(shown.splitlines()) == 1


def test_a_reader_that_leaves_is_no_error(blobcat: Blobcat) -> None:
    for number in range(800):
        blobcat.file(f"{'long-name-' * 12}{number}.txt", b"")
    blobcat("ingest", "in")
    process = blobcat.start("ls", "-r", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    with process.stderr as err:
        assert err.read() == b""
    assert process.wait() == 0


def waiting_for_input(blobcat: Blobcat, *arguments: str) -> "subprocess.Popen[bytes]":
    """A command, by default `put -`, that has read what there was, and waits for more."""
    process = blobcat.start(*(arguments or ("put", "-", "x")), stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(b"some")
    process.stdin.flush()
    unread = struct.pack("i", 1)
    while struct.unpack("i", unread)[0] and process.poll() is None:
        unread = fcntl.ioctl(process.stdin, termios.FIONREAD, struct.pack("i", 0))
        os.sched_yield()
    return process


def check_interrupted(process: "subprocess.Popen[bytes]", hint: str = "nothing half-done is visible") -> None:
    """It ends with 130, one line and a hint."""
    try:
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
    assert process.stdin
    process.stdin.close()
    assert process.stderr
    with process.stderr as err:
        assert err.read().decode().splitlines() == ["blobcat: interrupted", f"  → {hint}"]


def test_control_c_is_one_line_and_130(blobcat: Blobcat) -> None:
    process = waiting_for_input(blobcat)
    process.send_signal(signal.SIGINT)
    check_interrupted(process)
    assert blobcat("ls").lines == []


def test_after_control_c_a_command_that_goes_on_says_so(blobcat: Blobcat) -> None:
    process = waiting_for_input(blobcat, "load", "-")
    process.send_signal(signal.SIGINT)
    check_interrupted(process, "nothing half-done is visible; the same command again goes on from there")


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("apply", "the same command again goes on from there"),
        ("mv", "nothing half-done is visible"),
        ("ls", ""),
        ("dump", ""),  # which may write to standard output
        ("get", ""),  # again, it meets the files that are there
    ],
)
def test_of_an_interruption_nothing_untrue_is_said(command: str, hint: str) -> None:
    assert hint_of_interruption(command) == hint


def test_every_command_that_an_interruption_is_told_of_is_one() -> None:
    bodies = {body.__name__ for each in PANELS.values() for body in each.values()}
    assert bodies >= WHOLE | GOING_ON  # a misspelt one would be silent


def test_a_control_c_that_another_thread_gets_is_heard(blobcat: Blobcat) -> None:
    """Which thread gets it is the system's choice; the one that waits for events must be woken all the same."""
    process = waiting_for_input(blobcat)
    others = {int(each.name) for each in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid}
    assert ctypes.CDLL(None).tgkill(process.pid, max(others), signal.SIGINT) == 0
    check_interrupted(process)


@pytest.mark.parametrize("command", [name for each in PANELS.values() for name in each])
def test_a_commands_own_options_stand_before_those_of_all(empty: Blobcat, command: str) -> None:
    headings = [line for line in empty(command, "--help").lines if line in ("Arguments", "Options", "Common options")]
    assert headings[-2:] == ["Options", "Common options"]


def test_one_letter_means_one_thing(empty: Blobcat) -> None:
    """`-n` is a number of files; a version is told by its word, as everywhere."""
    assert "-n, --limit" in empty("query", "--help").out
    assert empty("restore", "x", "-n", "1").err.startswith("blobcat: No such option: -n\n")


def test_help_lists_every_command_and_the_exit_codes(empty: Blobcat) -> None:
    shown = empty("--help")
    assert shown.code == 0
    assert all(re.search(rf"^  {command}  +\w", shown.out, re.MULTILINE) for command in COMMANDS)
    assert re.search(r"130 +interrupted", shown.out)
    assert empty().out == shown.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_documents_itself_and_its_json(empty: Blobcat, command: str) -> None:
    shown = empty(command, "--help")
    assert shown.code == 0
    assert "--json: " in shown.out
    assert "(BLOBCAT_URL)" in shown.out
    assert max(map(len, shown.lines)) <= 100


def test_version(empty: Blobcat) -> None:
    assert re.fullmatch(r"blobcat \d+\.\d+\.\d+\n", empty("--version").out)


def test_clean_leaves_marks_and_escapes_the_rest() -> None:
    assert clean("[red] 日本 ✓ \\n") == "[red] 日本 ✓ \\n"
    assert clean("\x1b[31m\n\x9b\u202e\udcff\u200b") == "\\x1b[31m\\n\\x9b\\u202e\\udcff\\u200b"


def test_commands_speak_to_a_terminal_of_any_encoding(blobcat: Blobcat) -> None:
    blobcat("put", "-", "日本.txt")
    process = blobcat.start("ls", stdout=subprocess.PIPE, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert process.communicate()[0] == rb"\u65e5\u672c.txt" + b"\n"
    assert Path(blobcat.folder / "cat").exists()


def test_help_for_a_reader_who_has_left_is_quiet(blobcat: Blobcat) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    process = blobcat.start("--help", stdout=ours, stderr=subprocess.PIPE)
    os.close(ours)
    assert process.communicate()[1] == b""  # how it ends is typer's business: it meets the broken pipe first
