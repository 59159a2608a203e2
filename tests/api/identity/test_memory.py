"""What is remembered of verified credentials: for how long, how many, and nothing that could be guessed."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from trio.testing import MockClock

from retain.api.identity import Caller, Method
from retain.api.identity import memory as module
from retain.api.identity.memory import Memory

ANN = Caller("ann", frozenset({"R"}), Method.BASIC)


async def test_a_caller_is_remembered_up_to_the_end_of_the_time_and_not_at_it(mock_clock: MockClock) -> None:
    memory = Memory(60.0, bytes)
    memory.remember(b"whole", ANN)
    memory.remember(b"shorter", ANN, 10.0)
    memory.remember(b"longer", ANN, 61.0)
    for passed, known in (
        (9.0, {b"whole", b"shorter", b"longer"}),
        (1.0, {b"whole", b"longer"}),
        (50.0, set()),
    ):
        mock_clock.jump(passed)
        assert {name for name in (b"whole", b"shorter", b"longer") if memory.recall(name) == ANN} == known
    assert len(memory._entries) == 0, "what has ended is gone"


async def test_nothing_is_remembered_for_no_time(mock_clock: MockClock) -> None:
    for memory, seconds in (
        (Memory(60.0, bytes), 0.0),
        (Memory(60.0, bytes), -1.0),
        (Memory(0.0, bytes), 5.0),
    ):
        memory.remember(b"a", ANN, seconds)
        assert memory.recall(b"a") is None
        assert len(memory._entries) == 0


async def test_the_least_recently_used_goes_first(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 2)
    memory = Memory(60.0, bytes)
    memory.remember(b"a", ANN)
    memory.remember(b"b", ANN)
    assert memory.recall(b"a") == ANN
    memory.remember(b"c", ANN)
    assert [memory.recall(name) for name in (b"a", b"b", b"c")] == [ANN, None, ANN]


def test_what_is_kept_is_a_hash_under_a_key_of_32_bytes() -> None:
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return b"k" * size

    digest = Memory(60.0, entropy).digest(b"secret")
    assert asked == [32]
    assert digest == hmac.digest(b"k" * 32, b"secret", hashlib.sha256)
