"""Which versions a rule lets go: verdicts on rows as they come are what a look at whole histories gives."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.entities import FileVersion, VersionRow
from catalog.errors import InvalidError
from catalog.retention import Judge, Retention, check_retention
from catalog.times import from_microseconds, microseconds

NOW_US = 1_000
KINDS = st.sampled_from(["put", "delete", "metadata", "move", "adopt"])


def a_row(path: str, version: int, kind: Any, created_us: int, state: str) -> VersionRow:
    blob = "" if kind == "delete" else f"{path}{version}"
    created = from_microseconds(created_us)
    file = FileVersion("v", path, version, kind, "op", 1, "", None, "", {}, created, None, "", None, "", blob, "", None)
    return VersionRow(file, "1", "run" if state else "", state == "purged")


@st.composite
def histories(draw: st.DrawFn) -> list[list[VersionRow]]:
    """Of a few paths, oldest first; the current version is live, or a delete."""
    found = []
    for path in "ab":
        created, rows = 0, []
        for version in range(1, draw(st.integers(0, 6)) + 1):
            created += draw(st.integers(1, 400))
            rows.append(
                a_row(path, version, draw(KINDS), created, draw(st.sampled_from(["", "", "purging", "purged"])))
            )
        found.append([*rows[:-1], a_row(path, len(rows), rows[-1].file.kind, created, "")] if rows else [])
    return found


def expected(history: Sequence[VersionRow], rule: Retention) -> set[int]:
    """The versions that go, by the definition."""
    goes = set()
    for at, row in enumerate(history[:-1]):
        if row.file.kind == "delete" or row.purged:
            continue
        newer = sum(each.file.kind != "delete" for each in history[at + 1 :])
        age_us = NOW_US - microseconds(history[at + 1].file.created)
        surplus = rule.keep_versions is None or newer >= rule.keep_versions
        old = rule.older_than is None or age_us >= rule.older_than // timedelta(microseconds=1)
        if row.purging or (surplus and old):
            goes.add(row.file.version)
    return goes


@given(
    histories(),
    st.one_of(st.none(), st.integers(0, 5)),
    st.one_of(st.none(), st.integers(0, 1_200).map(lambda us: timedelta(microseconds=us))),
)
def test_verdicts_are_what_the_definition_says(
    paths: list[list[VersionRow]], keep: int | None, older: timedelta | None
) -> None:
    rule = Retention(keep, older)
    judge = Judge(rule, NOW_US)
    for history in paths:
        verdicts = [judge.judge(row) for row in reversed(history)]
        assert {each.row.file.version for each in verdicts if each.goes} == expected(history, rule)
        assert all(each.newest == len(history) for each in verdicts)


def test_age_is_that_of_the_replacement() -> None:
    """Written long ago, and in use until just now."""
    history = [a_row("a", 1, "put", 1, ""), a_row("a", 2, "put", 990, "")]
    judge = Judge(Retention(None, timedelta(microseconds=500)), NOW_US)
    assert [judge.judge(row).goes for row in reversed(history)] == [False, False]


@pytest.mark.parametrize("older_than", [timedelta.max, timedelta(days=10**6)])
def test_nothing_is_older_than_time(older_than: timedelta) -> None:
    judge = Judge(check_retention(None, older_than), NOW_US)
    assert not any(judge.judge(a_row("a", version, "put", version, "")).goes for version in (2, 1))


def test_a_rule_that_keeps_nothing_is_none() -> None:
    with pytest.raises(InvalidError):
        check_retention(None, None)
