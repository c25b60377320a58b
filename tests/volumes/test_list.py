"""list and query: exactly what a plain model says, in order of path, on every back end."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from catalog import Condition, F, FileVersion, Folder, InvalidError, Item, Volume

PATHS = ["a", "a/b", "a/b/c", "a-b", "a b", "b/1", "b/2/x", "b/2/y", "é", "中/文", "\U0001f600", "z"]


async def fill(volume: Volume) -> dict[str, FileVersion]:
    """Every path, with metadata that differ; and two that are deleted again."""

    async def items() -> AsyncIterator[Item]:
        for number, path in enumerate(PATHS):
            yield Item(path, b"x" * number, metadata=METADATA[number % len(METADATA)])
        yield Item("gone", b"x")
        yield Item("b/gone/x", b"x")

    outcomes = [outcome async for outcome in volume.put_many(items())]
    assert all(outcome.ok for outcome in outcomes)
    await volume.delete("gone")
    await volume.delete("b/gone/x")
    return {outcome.file.path: outcome.file for outcome in outcomes if outcome.file and "gone" not in outcome.file.path}


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
METADATA: list[dict[str, str | int | float | bool | datetime]] = [
    {},
    {"owner": "ops", "n": 5},
    {"owner": "it's", "n": 5.5, "final": True},
    {"owner": "", "n": -1, "final": False, "taken": NOON},
    {"n": "5", "taken": "not a time"},
    {"n": 2**53 + 1, "owner": "\U0001f600"},
]


def by_segment(path: str) -> list[str]:
    return path.split("/")


async def test_a_recursive_list_is_all_live_files_in_order(volume: Volume) -> None:
    files = await fill(volume)
    listed = [file async for file in volume.list(recursive=True)]
    assert listed == [files[path] for path in sorted(PATHS, key=by_segment)]


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "b/", "b/2/", "中/", "nothing", "z"])
async def test_a_list_of_a_prefix_is_what_begins_with_it(volume: Volume, prefix: str) -> None:
    await fill(volume)
    listed = [file.path async for file in volume.list(prefix, recursive=True)]
    assert listed == sorted((path for path in PATHS if path.startswith(prefix)), key=by_segment)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a", "a/", "a b", "a-b", "b/", "z", "é", "中/", "\U0001f600"]),
        ("a/", ["a/b", "a/b/"]),
        ("b/", ["b/1", "b/2/"]),
        ("b", ["b/"]),
        ("b/2", ["b/2/"]),
        ("b/2/", ["b/2/x", "b/2/y"]),
        ("nothing/", []),
    ],
)
async def test_a_list_by_folder_shows_each_folder_once(volume: Volume, prefix: str, expected: list[str]) -> None:
    await fill(volume)
    entries = [entry async for entry in volume.list(prefix)]
    assert [entry.path for entry in entries] == expected
    assert all(isinstance(entry, Folder) == entry.path.endswith("/") for entry in entries)


async def test_deleted_files_are_listed_when_asked_for(volume: Volume) -> None:
    await fill(volume)
    listed = [entry async for entry in volume.list(recursive=True, deleted=True)]
    deleted = [entry.path for entry in listed if isinstance(entry, FileVersion) and entry.kind == "delete"]
    assert deleted == ["b/gone/x", "gone"]
    assert len(listed) == len(PATHS) + 2
    assert Folder("b/gone/") in [entry async for entry in volume.list("b/", deleted=True)]


async def test_listing_an_empty_volume_yields_nothing(volume: Volume) -> None:
    assert [entry async for entry in volume.list()] == []
    assert [file async for file in volume.query(F.size >= 0)] == []


Model = Callable[[FileVersion], bool]


def meta(file: FileVersion, key: str, *kinds: type) -> object:
    """A metadata value of one of these types, else something that equals and exceeds nothing."""
    value = file.metadata.get(key)
    return value if type(value) in kinds else float("nan")


QUERIES: dict[str, tuple[Condition, Model]] = {
    "size": (F.size > 3, lambda f: f.size > 3),
    "size as a float": (F.size >= 5.0, lambda f: f.size >= 5),
    "path": (F.path < "b", lambda f: f.path < "b"),
    "path is": (F.path == "é", lambda f: f.path == "é"),
    "path above": (F.path > "中", lambda f: f.path > "中"),
    "version": (F.version == 1, lambda _f: True),
    "content type is not": (F.content_type != "x/y", lambda _f: True),
    "created": (F.created > NOON.replace(year=2000), lambda _f: True),
    "modified is missing": (F.modified > NOON.replace(year=2000), lambda _f: False),
    "not modified": (~(F.modified > NOON), lambda _f: True),
    "text": (F.meta["owner"] == "ops", lambda f: f.metadata.get("owner") == "ops"),
    "quotes": (F.meta["owner"] == "it's", lambda f: f.metadata.get("owner") == "it's"),
    "empty text": (F.meta["owner"] == "", lambda f: f.metadata.get("owner") == ""),
    "text order": (F.meta["owner"] >= "o", lambda f: str(f.metadata.get("owner", "")) >= "o"),
    "text order, astral": (
        F.meta["owner"] >= "\U0001f600",
        lambda f: str(f.metadata.get("owner", "")) >= "\U0001f600",
    ),
    "another text, not a missing one": (
        F.meta["owner"] != "ops",
        lambda f: "owner" in f.metadata and f.metadata["owner"] != "ops",
    ),
    "the complement has the missing": (~(F.meta["owner"] == "ops"), lambda f: f.metadata.get("owner") != "ops"),
    "number": (F.meta["n"] == 5, lambda f: meta(f, "n", int, float) == 5),
    "number order over both kinds": (F.meta["n"] >= 5, lambda f: meta(f, "n", int, float) >= 5),  # type: ignore[operator]
    "float": (F.meta["n"] < 5.25, lambda f: meta(f, "n", int, float) < 5.25),  # type: ignore[operator]
    "large number": (F.meta["n"] == 2**53 + 1, lambda f: f.metadata.get("n") == 2**53 + 1),
    "large number is exact": (F.meta["n"] == 2**53, lambda _f: False),
    "number as text": (F.meta["n"] == "5", lambda f: f.metadata.get("n") == "5"),
    "truth": (F.meta["final"] == True, lambda f: f.metadata.get("final") is True),  # noqa: E712
    "truth is no number": (F.meta["final"] == 1, lambda _f: False),
    "time": (F.meta["taken"] == NOON, lambda f: f.metadata.get("taken") == NOON),
    "time order": (F.meta["taken"] > NOON, lambda _f: False),
    "and": (
        (F.size > 2) & (F.meta["owner"] == "ops"),
        lambda f: f.size > 2 and f.metadata.get("owner") == "ops",
    ),
    "or": (
        (F.size == 2) | (F.meta["n"] == -1),
        lambda f: f.size == 2 or f.metadata.get("n") == -1,
    ),
    "not and": (
        ~((F.size > 2) & (F.meta["owner"] == "ops")),
        lambda f: not (f.size > 2 and f.metadata.get("owner") == "ops"),
    ),
    "more comparisons than a service takes": (
        (F.size == 1) | (F.size == 2) | (F.size == 3) | (F.size == 5) | (F.size == 7) | (F.size == 8) | (F.size == 9)
        | (F.size == 11) | (F.size == 12) | (F.size == 13) | (F.size == 14) | (F.size == 15) | (F.size == 16)
        | (F.size == 17) | (F.size == 18) | (F.size == 19) | (F.size == 20),
        lambda f: f.size in {1, 2, 3, 5, 7, 8, 9, 11},
    ),
    "injection": (F.meta["owner"] == "x' or PartitionKey eq 'y", lambda _f: False),
}  # fmt: skip


async def test_a_query_is_what_the_model_says(volume: Volume) -> None:
    files = await fill(volume)
    ordered = [files[path] for path in sorted(files, key=by_segment)]
    for name, (condition, model) in QUERIES.items():
        found = [file async for file in volume.query(condition)]
        assert found == [file for file in ordered if model(file)], name


async def test_a_query_of_a_prefix_with_a_limit(volume: Volume) -> None:
    await fill(volume)
    assert [file.path async for file in volume.query(F.size >= 0, prefix="b/")] == ["b/1", "b/2/x", "b/2/y"]
    assert [file.path async for file in volume.query(F.size >= 0, prefix="b/", limit=2)] == ["b/1", "b/2/x"]
    assert [file.path async for file in volume.query(F.size >= 0, limit=0)] == []


async def test_a_query_sees_the_current_version_only(volume: Volume) -> None:
    await volume.put("a", b"1", metadata={"owner": "old"})
    await volume.put("a", b"2", metadata={"owner": "new"})
    assert [file async for file in volume.query(F.meta["owner"] == "old")] == []
    assert [file.version async for file in volume.query(F.meta["owner"] == "new")] == [2]


@pytest.mark.parametrize("where", [b"size > 1", 5, True])
async def test_a_where_is_a_condition(volume: Volume, where: Condition) -> None:
    with pytest.raises(InvalidError, match="is a condition"):
        [file async for file in volume.query(where)]


@pytest.mark.parametrize("limit", [-1, 1.5, True])
async def test_a_limit_is_a_whole_number(volume: Volume, limit: int) -> None:
    with pytest.raises(InvalidError, match="whole number"):
        [file async for file in volume.query(F.size > 1, limit=limit)]
