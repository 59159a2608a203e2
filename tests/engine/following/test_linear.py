"""Whatever several followers and the leader are asked at the same time, one order explains all answers."""

from __future__ import annotations

import math
from itertools import count

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from retain.engine import NotFound
from retain.engine.areas import CreateArea, DeleteArea, UpdateArea, queries
from retain.engine.testing import SteppedClock, open_memory_engine
from tests.kit.engines import SmallOptions
from tests.kit.following import followed
from tests.kit.linear import Done, why_not

CALLERS = 3


@pytest.mark.parametrize(
    ("history", "linear"),
    [
        ([], True),
        ([Done(1, 2, True, "a"), Done(3, 4, False, "a")], True),
        ([Done(1, 2, True, "a"), Done(3, 4, False, None)], False),  # not seen
        ([Done(1, 5, True, "a"), Done(2, 3, False, None)], True),
        ([Done(1, 5, True, "a"), Done(2, 3, False, "a"), Done(4, 6, False, None)], False),  # taken back
        ([Done(1, 2, True, "a"), Done(3, 4, True, "b"), Done(5, 6, False, "a")], False),
        ([Done(1, 4, True, "a"), Done(2, 5, True, "b"), Done(6, 7, False, "a")], True),
        (
            [Done(1, 4, True, "a"), Done(2, 5, True, "b"), Done(6, 7, False, "a"), Done(8, 9, False, "b")],
            False,
        ),
        ([Done(1, math.inf, True, "a"), Done(5, 6, False, None)], True),
        ([Done(1, math.inf, True, "a"), Done(5, 6, False, "a"), Done(7, 8, False, None)], False),
        ([Done(1, 2, False, "a")], False),
        ([Done(1, 2, False, "a"), Done(3, 4, True, "a")], False),
    ],
)
def test_the_checker(history: list[Done], linear: bool) -> None:
    assert (why_not(history) is None) == linear


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, CALLERS - 1), st.sampled_from(["write", "read"])),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=8,
    )
)
def test_one_order_explains_what_followers_and_leader_answer(rounds: list[list[tuple[int, str]]]) -> None:
    """Each round's operations run at the same time, each at a follower or the leader."""
    trio.run(_explained, rounds)


async def _explained(rounds: list[list[tuple[int, str]]]) -> None:
    clock, steps, values = SteppedClock(), count(), count(1)
    history: list[Done] = []
    async with (
        open_memory_engine(clock=clock, options=SmallOptions()) as engine,
        followed(engine, clock) as group,
    ):
        callers = [engine, *[await group.follow() for _ in range(CALLERS - 1)]]

        async def read(caller: int) -> str | None:
            def look(state: object, now: int) -> dict[str, object]:
                return dict(queries.listing(state.areas, "r", None, now))  # type: ignore[attr-defined]

            try:
                return str((await callers[caller].read(look))["k"])
            except NotFound:
                return None

        async def do(caller: int, what: str) -> None:
            begin = next(steps)
            if what == "read":
                value = await read(caller)
                history.append(Done(begin, next(steps), False, value))
                return
            value = f"v{next(values)}"
            update = UpdateArea(
                actor="user:a", name="r", resource=value.encode().ljust(16, b"."), values={"k": value}, ttl=60
            )
            await callers[caller].submit(update)
            history.append(Done(begin, next(steps), True, value))

        await callers[0].submit(
            CreateArea(actor="user:a", name="r", resource=b"r" * 16, values={"k": "v0"}, ttl=60)
        )
        for operations in rounds:
            async with trio.open_nursery() as nursery:
                for caller, what in operations:
                    nursery.start_soon(do, caller, what)
        assert why_not(history, "v0") is None, (why_not(history, "v0"), history)
        await callers[1].submit(DeleteArea(actor="user:a", name="r"))
        assert [await read(caller) for caller in range(CALLERS)] == [None] * CALLERS
