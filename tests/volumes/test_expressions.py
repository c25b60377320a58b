"""Whatever is asked, in Python or as text: exactly the files that a naive model says, on every back end."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from hypothesis import HealthCheck, example, given, settings

from catalog import F, FileVersion, Item, Volume, parse_expression
from tests.harness.naive_query import NOON, NUMBERS, TEXTS, TIMES, Spec, built, holds, specs, written
from tests.harness.nightly import NIGHTLY

Value = str | int | float | bool | datetime

PATHS = [
    "a",
    "a/b.csv",
    "a*",
    "a~",
    "2026/x.csv",
    "2026/11/x.csv",
    "2026/11/é.csv",
    "it's",
    "중",
    "b",
    "😀",
    "😀/b.csv",
]
OWNERS: list[Value] = [*TEXTS, *TIMES, True, False, 1]
COUNTS: list[Value] = [*NUMBERS, *TIMES, True, "1", "a\0b"]


async def fill(volume: Volume) -> list[FileVersion]:
    """Files with all of these values, one or two each, and with none."""

    async def items() -> AsyncIterator[Item]:
        for number in range(max(len(OWNERS), len(COUNTS)) + 1):
            path = PATHS[number] if number < len(PATHS) else f"n/{number:03}"
            metadata: dict[str, Value] = {}
            if number < len(OWNERS):
                metadata["owner"] = OWNERS[number]
            if number < len(COUNTS):
                metadata["n"] = COUNTS[number]
            yield Item(path, b"x" * (number % 7), metadata=metadata, modified=NOON if number % 3 else None)

    assert all([outcome.ok async for outcome in volume.put_many(items())])
    return [file async for file in volume.list(recursive=True)]  # type: ignore[misc]


async def test_a_query_finds_what_the_naive_model_says(volume: Volume) -> None:
    files = await fill(volume)
    loop = asyncio.get_running_loop()

    async def found(spec: Spec) -> list[str]:
        return [file.path async for file in volume.query(built(spec))]

    @settings(
        max_examples=2000 if NIGHTLY else 100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(specs)
    @example(("compare", "meta.n", "=", 2**53 + 1))
    @example(("compare", "meta.n", "<=", -(2**63)))
    @example(("not", ("startswith", "path", "a~")))
    @example(("in", "meta.n", [1, True, 5.0, "1", NOON]))
    @example(("exists", "meta.n"))
    @example(("not", ("exists", "meta.owner")))
    @example(("contains", "meta.n", "\0"))
    @example(("compare", "digest", "!=", ""))
    def check(spec: Spec) -> None:
        expected = [file.path for file in files if holds(spec, file)]
        assert asyncio.run_coroutine_threadsafe(found(spec), loop).result(timeout=60) == expected

    await asyncio.to_thread(check)


@pytest.mark.parametrize("turned", [False, True])
async def test_conditions_that_look_alike_are_not_taken_for_each_other(volume: Volume, turned: bool) -> None:
    """What a service is told of a condition is kept, and 1 equals True."""
    values: dict[str, Value] = {"true": True, "whole": 1, "floating": 1.0, "text": "1"}
    for path, value in values.items():
        await volume.put(path, b"", metadata={"k": value})
    key, truth, numbers = F.meta["k"], ["true"], ["floating", "whole"]
    asked = [(key.isin([True]), truth), (key.isin([1]), numbers), (key.isin([1.0]), numbers)]
    asked += [(key.isin([True, 2]), truth), (key.isin([1, 2]), numbers), (key == 1, numbers), (key == True, truth)]  # noqa: E712
    for where, paths in asked[:: -1 if turned else 1]:
        assert [file.path async for file in volume.query(where)] == paths
        assert [file.path async for file in volume.query(str(where))] == paths


INJECTED = [
    "x' or PartitionKey eq 'y", "x' or '1' eq '1", "' or 1=1 --", "x'' or ''x'' eq ''x", '"; drop table entities; --',
    "x') or (meta.owner exists", "' or size >= 0 or 'a' = '", "x' /*", "*/ or 1 --", "$.owner", "') IS NOT NULL OR ('1",
    "%", "x' and RowKey ge '", "datetime'2026-11-20'", "guid'0'", "5L", "true", "null", "it''s", "\\' or 1=1 --",
    "?", "\0'",
]  # fmt: skip


@pytest.mark.parametrize("word", ["compare", "startswith", "contains", "in"])
async def test_no_text_finds_anything_foreign(volume: Volume, word: str) -> None:
    foreign = await volume.put("foreign", b"x", metadata={"owner": "y"})
    mine = {text: await volume.put(f"mine/{n}", b"x", metadata={"owner": text}) for n, text in enumerate(INJECTED)}
    for text in INJECTED:
        for name in ("meta.owner", "content_type"):
            given: list[str | list[str]] = [[text]] if word == "in" else [text]
            spec: Spec = (word, name, *(["="] if word == "compare" else []), *given)
            expected = {file.path for file in (foreign, *mine.values()) if holds(spec, file)}
            for condition in (built(spec), parse_expression(written(spec)), parse_expression(str(built(spec)))):
                assert {file.path async for file in volume.query(condition)} == expected, spec
            assert foreign.path not in expected
