"""The arithmetic of the report: medians, ratios in the right direction, goals, and what was not measured."""

import json

import pytest

from scripts.bench_measure import Cost, Rounds, Spread, cpu_us, in_turn, joined, mib_rate, rate
from scripts.bench_report import Goal, Row, as_json, markdown, missed, number

SLOW, FAST = Spread((30.0, 10.0, 20.0)), Spread((5.0, 4.0))


def test_a_spread_has_a_median_and_both_ends() -> None:
    assert (SLOW.median, SLOW.least, SLOW.most) == (20.0, 10.0, 30.0)
    assert FAST.median == 4.5


def test_costs_are_for_each_item() -> None:
    cost = Cost(items=2 << 20, wall_s=4.0, cpu_s=1.048576)
    assert cost.cpu_us == 0.5
    assert cost.rate == 1 << 19
    assert mib_rate(cost) == 0.5


async def test_works_take_turns_and_the_warm_round_does_not_count() -> None:
    order = list[str]()

    async def one() -> float:
        order.append("one")
        return 1

    async def two() -> float:
        order.append("two")
        return 2

    found = await in_turn(2, {"one": one, "two": two}, warm=True)
    assert order == ["two", "one", "one", "two", "two", "one"]
    assert [cost.items for cost in found.costs["two"]] == [2, 2]
    assert len(joined([found, found])["one", rate].values) == 4


@pytest.mark.parametrize(
    ("goal", "found", "met"),
    [
        (Goal("≤", 20), 20.0, True),
        (Goal("≤", 19), 20.0, False),
        (Goal("≥", 21), 20.0, False),
        (Goal("≤", 0.25, "ours / peer"), 0.2, True),
        (Goal("≥", 5, "peer / ours"), 5.0, True),
        (Goal("≥", 6, "peer / ours"), 5.0, False),
    ],
)
def test_a_goal_is_of_a_value_or_of_a_ratio(goal: Goal, found: float, met: bool) -> None:
    row = Row("P1", "x", "µs", SLOW, "other", Spread((100.0,)), (goal,))
    assert goal.found(row) == pytest.approx(found)
    assert goal.met(row) is met
    assert row.result == ("met" if met else "missed")


def test_headroom_is_above_one_exactly_where_a_goal_is_exceeded() -> None:
    row = Row("P1", "x", "µs", SLOW)
    assert Goal("≤", 40).headroom(row) == 2
    assert Goal("≥", 40).headroom(row) == 0.5


def test_better_by_is_in_the_direction_that_is_better() -> None:
    assert Row("P1", "cost", "µs", SLOW, "other", Spread((40.0,))).ratio == 2
    assert Row("P2", "speed", "/s", SLOW, "other", Spread((40.0,)), better="more").ratio == 0.5


def test_one_goal_that_is_missed_is_enough_and_one_without_a_peer_is_said() -> None:
    ratio = Goal("≥", 2, "peer / ours", "× less")
    absent = Row("P1", "x", "µs", SLOW, "other", None, (Goal("≤", 30), ratio), note="other is not installed")
    assert absent.result == "not measured"
    assert "other is not installed" in absent.cells()[-1]
    both = Row("P1", "x", "µs", SLOW, "other", None, (Goal("≤", 1), ratio))
    assert missed([absent, both]) == [both]
    assert Row("P9", "x", "").result == "not measured"
    assert Row("P3", "x", "µs", SLOW).result == ""


def test_the_report_is_json_and_a_table() -> None:
    row = Row("P1", "writes", "µs", SLOW, "other", FAST, (Goal("≤", 10), Goal("≥", 20, "peer / ours", "× less")))
    report = json.loads(json.dumps(as_json([row], {"cpu": "any"}, [{"files": 1000}])))
    assert report["missed"] == ["P1 writes"]
    assert report["rows"][0]["ours"] == {"median": 20.0, "least": 10.0, "most": 30.0, "values": [30.0, 10.0, 20.0]}
    assert report["rows"][0]["peer"]["name"] == "other"
    line = "| P1 | writes | 20 µs (10–30) | other: 4.5 µs (4–5) | 0.225 × | ≤ 10 µs, ≥ 20 × less | missed |"
    assert line in markdown([row], "a machine")


def test_numbers_are_short() -> None:
    assert [number(each) for each in (0.01234, 1.5, 99.96, 100, 12345.6)] == ["0.0123", "1.5", "100", "100", "12,346"]


def test_rounds_are_found_by_name_and_measure() -> None:
    found = Rounds({"one": (Cost(1, 1, 2e-6), Cost(1, 1, 4e-6))})
    assert found["one", cpu_us].median == pytest.approx(3)
