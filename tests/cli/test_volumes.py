"""`init` and `volumes`."""

import pytest

from catalog import RecoveredVolume, RecoveryReport, UnavailableError
from catalog.cli.commands.recover import _line
from tests.cli.driver import Blobcat


def test_init_makes_the_catalog_and_a_default_volume(empty: Blobcat) -> None:
    made = empty("init")
    assert (made.code, made.err) == (0, "")
    assert made.lines == ["volume main made  16 shards, the default"]


def test_init_takes_the_name_as_it_is_listed(empty: Blobcat) -> None:
    assert empty("init", "raw").lines == ["volume raw made  16 shards, the default"]
    assert empty("init", "raw", "-v", "other").code == 2


def test_a_catalog_in_memory_is_no_use_to_a_command(empty: Blobcat) -> None:
    refused = empty("--url", "memory:", "init")
    assert refused.code == 2
    assert "a catalog in memory ends with its command" in refused.err


def test_init_again_says_that_it_is_there(blobcat: Blobcat) -> None:
    again = blobcat("init")
    assert again.code == 0
    assert again.lines == ["volume main is there already  2 shards, the default"]


def test_init_with_other_settings_is_a_conflict(blobcat: Blobcat) -> None:
    other = blobcat("init", "--shards", "4")
    assert other.code == 4
    assert "with other settings" in other.err
    assert "leave out --shards and --root" in other.err


def test_init_json_says_whether_it_was_made(empty: Blobcat) -> None:
    first, second = empty("init", "--json").record, empty("--json", "init").record
    assert (first.pop("made"), second.pop("made")) == (True, False)
    assert first == second
    assert first["name"] == "main"
    assert first["default"] is True
    assert first["created"].endswith("Z")


def test_init_refuses_shards_that_are_no_power_of_two(empty: Blobcat) -> None:
    assert empty("init", "--shards", "3").code == 2


def test_volumes_marks_the_default_one(blobcat: Blobcat) -> None:
    blobcat("init", "-v", "raw", "--root", "elsewhere/")
    main, raw = blobcat("volumes").lines
    assert main.startswith("* main")
    assert raw.startswith("  raw")
    assert "elsewhere/" in raw
    assert [info["default"] for info in blobcat("volumes", "--json").records] == [True, False]


def test_volumes_sets_the_default_one(blobcat: Blobcat) -> None:
    blobcat("init", "-v", "raw")
    assert [info["default"] for info in blobcat("volumes", "--set-default", "raw", "--json").records] == [False, True]
    assert blobcat("volumes", "--set-default", "nope").code == 3


def test_volumes_deletes_one_without_files(blobcat: Blobcat) -> None:
    blobcat("init", "-v", "raw")
    asked = blobcat("volumes", "--delete", "raw")
    assert asked.code == 2
    assert "asks before it deletes" in asked.err
    deleted = blobcat("volumes", "--delete", "raw", "--yes")
    assert (deleted.code, deleted.err) == (0, "volume raw deleted\n")
    gone = blobcat("volumes", "--delete", "raw", "-y")
    assert gone.code == 3
    assert "blobcat volumes shows those that are there" in gone.err
    assert "init" not in gone.err
    assert [info["name"] for info in blobcat("volumes", "--json").records] == ["main"]
    blobcat("put", blobcat.file("a"), "a")
    refused = blobcat("volumes", "--delete", "main", "-y")
    assert refused.code == 4
    assert "volume 'main' has files, 'a' for one: only an empty volume can be deleted" in refused.err
    assert "delete its files first" in refused.err


def test_nobody_is_asked_about_a_volume_that_is_not_there(blobcat: Blobcat) -> None:
    gone = blobcat("volumes", "--delete", "nope")
    assert gone.code == 3
    assert gone.err.splitlines() == [
        "blobcat: there is no volume 'nope'",
        "  → blobcat volumes shows those that are there",
    ]


def test_the_volume_may_be_named_before_and_after_the_command_and_by_the_environment(
    blobcat: Blobcat, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobcat("init", "-v", "raw")
    blobcat("put", blobcat.file("a"), "a", "--volume", "raw")
    assert blobcat("-v", "raw", "ls").lines == ["a"]
    assert blobcat("ls", "-v", "raw").lines == ["a"]
    assert blobcat("-v", "nope", "ls", "-v", "raw").lines == ["a"]
    assert blobcat("ls").lines == []
    monkeypatch.setenv("BLOBCAT_VOLUME", "raw")
    assert blobcat("ls").lines == ["a"]
    assert blobcat("-v", "main", "ls").lines == []


def test_recover_does_not_call_settled_what_failed() -> None:
    failed = RecoveredVolume("raw", "E", "failed", UnavailableError("busy"))
    gone = RecoveredVolume("old", "E", "deleted")
    assert _line(RecoveryReport((), (failed,)))[0][0] == "1 volume failed"
    assert _line(RecoveryReport((), (gone,)))[0][0] == "1 volume settled"
