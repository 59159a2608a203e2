"""What a form of many files costs: each of them as much as any other."""

from __future__ import annotations

from collections.abc import Callable

from retain.engine.areas.events import AreaCreated, FileStored
from retain.engine.areas.state import AreasState
from retain.engine.core.body import Inline
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Cause, Stamp
from tests.kit.work import assert_linear

FACTS = {"resource": bytes(16), "actor": "anonymous", "cause": Cause.REQUEST, "name": "area", "user": None}


def storing(size: int, *, replayed: bool) -> Callable[[], None]:
    """An area with one text, and then a file under each of `size` keys, each with a deadline of its own."""
    state = AreasState(SharedState())
    state.created(AreaCreated(until=5, base=0, keys=("k",), values=("v",), **FACTS), Stamp(1, 0, 0))
    body = Inline(b"x", bytes(16))
    events = [
        FileStored(until=5 + n, key=f"f{n}", filename="a", media_type="text/plain", body=body, **FACTS)
        for n in range(size)
    ]

    def run() -> None:
        for seq, event in enumerate(events, 2):
            state.stored(event, Stamp(seq, 0, 7 if replayed else -1))
        for seq in range(2, size + 2):
            state.place(seq, 7)

    return run


def test_each_of_many_files_costs_the_same_when_it_is_stored() -> None:
    assert_linear(lambda size: storing(size, replayed=False), 200)


def test_each_of_many_files_costs_the_same_at_a_start() -> None:
    assert_linear(lambda size: storing(size, replayed=True), 200)
