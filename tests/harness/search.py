"""An explicit-state search: every state that can be reached, shortest way first."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import TypeVar

State = TypeVar("State", bound=Hashable)

STATES_MAX = 1_000_000


def explore(
    start: State,
    successors: Callable[[State], Iterator[tuple[str, State]]],
    violation: Callable[[State, State], str | None],
) -> tuple[int, list[str] | None]:
    """Visit all states; return how many there are, and the way to the first step that is wrong, with what is wrong."""
    came_from: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        for label, after in successors(state):
            if (wrong := violation(state, after)) is not None:
                return len(came_from), [*_way(state, came_from), label, wrong]
            step = (state, label)
            if came_from.setdefault(after, step) is step:  # one look at a state that takes long to hash
                assert len(came_from) < STATES_MAX
                queue.append(after)
    return len(came_from), None


def _way(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    labels: list[str] = []
    while before := came_from[state]:
        state, label = before
        labels.append(label)
    return labels[::-1]
