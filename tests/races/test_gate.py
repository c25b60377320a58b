"""Schedules: all of them, or some that are spread over all, and none twice; or one of each that differ in effect."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.touch import NOTHING, TABLE, Touch, blob, blobs_under
from tests.races.gate import Gate, Schedule, Step, all_schedules, interleave, some_schedules
from tests.races.reduction import reduced_schedules

KEYS = ("a", "a/1", "b")

Program = Sequence[tuple[str, str]]
"""What an actor does: "read" or "write" one key, or "list" those of a prefix."""


def walked(schedules: Iterator[Schedule], steps: tuple[int, int]) -> list[tuple[int, ...]]:
    """The choices of schedules of two actors that make so many steps each."""
    found = []
    for schedule in schedules:
        left = list(steps)
        while waiting := [Step(actor, NOTHING) for actor in (0, 1) if left[actor]]:
            left[waiting[schedule.choose(waiting)].actor] -= 1
        found.append(tuple(schedule.choices))
    return found


def test_two_actors_of_three_steps_have_twenty_schedules() -> None:
    assert len(set(walked(all_schedules(), (3, 3)))) == 20


@given(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.integers(1, 40))
def test_some_schedules_are_different_ones_of_all(steps: tuple[int, int], n: int) -> None:
    found, everything = walked(some_schedules(n), steps), walked(all_schedules(), steps)
    assert len(set(found)) == len(found) <= min(n, len(everything))
    assert set(found) <= set(everything)


@given(st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_some_schedules_are_all_where_they_are_few(steps: tuple[int, int]) -> None:
    assert set(walked(some_schedules(1000), steps)) == set(walked(all_schedules(), steps))


def test_some_schedules_begin_with_both_actors() -> None:
    assert {choices[0] for choices in walked(some_schedules(8), (8, 8))} == {0, 1}


# --- The reduction ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Play:
    """Actors that go through their programs. What one writes depends on all that it has read, and so does its end."""

    programs: Sequence[Program]
    store: dict[str, Any] = field(default_factory=dict)
    seen: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    at: dict[int, int] = field(default_factory=dict)

    def steps(self) -> list[Step]:
        return [
            Step(actor, touch_of(*program[self.at.get(actor, 0)]))
            for actor, program in enumerate(self.programs)
            if self.at.get(actor, 0) < len(program)
        ]

    def go(self, actor: int) -> None:
        at = self.at.get(actor, 0)
        verb, key = self.programs[actor][at]
        seen = self.seen.setdefault(actor, ())
        if verb == "write":
            self.store[key] = (actor, at, seen)
        else:
            found = tuple(sorted((name, value) for name, value in self.store.items() if matches(verb, key, name)))
            self.seen[actor] = (*seen, found)
        gives_up = verb == "read" and self.seen[actor][-1] and self.seen[actor][-1][0][1][0] != actor
        self.at[actor] = len(self.programs[actor]) if gives_up and at % 2 else at + 1


def matches(verb: str, key: str, name: str) -> bool:
    return name.startswith(key) if verb == "list" else name == key


def touch_of(verb: str, key: str) -> Touch:
    return blobs_under(key) if verb == "list" else blob(key, write=verb == "write")


def ends(schedules: Iterator[Schedule], programs: Sequence[Program]) -> list[str]:
    """What was there at the end of each schedule, and what each actor had seen."""
    found = []
    for schedule in schedules:
        play = Play(programs)
        while steps := play.steps():
            play.go(steps[schedule.choose(steps)].actor)
        found.append(f"{sorted(play.store.items())} {sorted(play.seen.items())} {sorted(play.at.items())}")
    return found


def programs(actors: int, steps: int) -> st.SearchStrategy[list[Program]]:
    verb, key = st.sampled_from(["read", "write", "list"]), st.sampled_from(KEYS)
    program: st.SearchStrategy[Program] = st.lists(st.tuples(verb, key), min_size=1, max_size=steps)
    return st.lists(program, min_size=actors, max_size=actors)


@given(st.one_of(programs(2, 4), programs(3, 2)))
def test_reduced_schedules_have_every_effect_that_all_have(given_programs: list[Program]) -> None:
    reduced, everything = ends(reduced_schedules(), given_programs), ends(all_schedules(), given_programs)
    assert set(reduced) == set(everything)
    assert len(reduced) <= len(everything)


def test_of_those_who_share_nothing_one_schedule_stands_for_all() -> None:
    apart = [[("write", "a")] * 4, [("write", "b")] * 4]
    assert len(ends(all_schedules(), apart)) == 70
    assert len(ends(reduced_schedules(), apart)) == 1


def test_readers_are_not_told_apart() -> None:
    assert len(ends(reduced_schedules(), [[("read", "a"), ("list", "")] * 2] * 2)) == 1


def test_two_writers_of_one_key_have_all_their_orders() -> None:
    assert len(ends(reduced_schedules(), [[("write", "a")] * 3] * 2)) == 20


def test_what_conflicts() -> None:
    write, read = blob("a/1", write=True), blob("a/1")
    assert write.conflicts(write)
    assert write.conflicts(read)
    assert read.conflicts(write)
    assert not read.conflicts(read)
    assert write.conflicts(blobs_under("a/"))
    assert not write.conflicts(blobs_under("b"))
    assert not write.conflicts(blob("a", write=True))
    assert not write.conflicts(TABLE)
    assert not NOTHING.conflicts(write)


async def test_requests_of_one_actor_at_the_same_time_go_one_by_one() -> None:
    went: list[str] = []

    async def request(name: str) -> None:
        went.append(name)

    async def two_at_once(gate: Gate) -> None:
        gate.shut = True
        await asyncio.gather(*(gate.send(each, lambda each=each: request(each), TABLE) for each in ("a1", "a2")))  # type: ignore[misc]

    async def one(gate: Gate) -> None:
        gate.shut = True
        await gate.send("b", lambda: request("b"), TABLE)

    orders = set()
    for schedule in reduced_schedules():
        went.clear()
        await interleave(schedule, [two_at_once, one])
        orders.add(tuple(went))
    assert orders == {("a1", "a2", "b"), ("a1", "b", "a2"), ("b", "a1", "a2")}
