"""What an HTTP/2 connection received is handled in slices of bounded work, and sent in turns."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing
from priority.priority import DeadlockError, MissingStreamError

from retain.api.server.frames import BYTES_OF_WORK, HEADERS_WORK, PREFACE_BYTES, WORK, Slices
from retain.api.server.http2 import CLOSED_AT_ONCE
from retain.api.server.outflow import StreamTurns
from retain.api.server.turns import STEPS, Turns
from tests.api.server.test_http1 import on_nothing
from tests.api.server.test_turns import passes_of
from tests.kit.work import Run, assert_linear

DATA, HEADERS, PING = 0, 1, 6


def frame(kind: int, length: int) -> bytes:
    return length.to_bytes(3, "big") + bytes((kind, 0, 0, 0, 0, 1)) + b"x" * length


def begun() -> Slices:
    slices = Slices()
    assert list(slices.cut(b"p" * PREFACE_BYTES)) == [b"p" * PREFACE_BYTES]
    return slices


def test_many_frames_are_cut_after_a_few() -> None:
    pings = frame(PING, 8) * (3 * WORK + 1)
    assert list(begun().cut(pings)) == [frame(PING, 8) * WORK] * 3 + [frame(PING, 8)]


def test_heads_count_more() -> None:
    head = frame(HEADERS, 20)
    assert list(begun().cut(head * 5)) == [head * (WORK // HEADERS_WORK), head]


def test_a_few_frames_of_a_body_stay_together_however_long_they_are() -> None:
    body = frame(DATA, 16384) * WORK
    assert list(begun().cut(body)) == [body]


def test_long_heads_are_alone() -> None:
    head = frame(HEADERS, BYTES_OF_WORK * WORK)
    assert list(begun().cut(head * 3)) == [head] * 3


def test_nothing_is_one_slice() -> None:
    assert list(begun().cut(b"")) == [b""]


def test_however_the_bytes_arrive_nothing_is_lost_and_frames_are_counted() -> None:
    chance = random.Random(7)
    kinds = [(PING, 8), (DATA, 0), (DATA, 300), (HEADERS, 40), (HEADERS, 700)]
    for _ in range(200):
        sent = b"p" * PREFACE_BYTES + b"".join(frame(*chance.choice(kinds)) for _ in range(30))
        slices, received, at = Slices(), [], 0
        while at < len(sent):
            size = chance.randint(1, 60)
            pieces = list(slices.cut(sent[at : at + size]))
            assert b"".join(pieces) == sent[at : at + size]
            received += pieces
            at += size
        assert b"".join(received) == sent
        assert slices._left == 0
        assert slices._head == b""


def test_bytes_that_are_no_frames_are_cut_all_the_same() -> None:
    garbage = random.Random(3).randbytes(65536)
    assert b"".join(begun().cut(garbage)) == garbage


def test_streams_are_sent_in_turns() -> None:
    turns = StreamTurns()
    for stream_id in (1, 3, 5):
        turns.insert_stream(stream_id)
    assert [next(turns) for _ in range(6)] == [1, 3, 5, 1, 3, 5]
    turns.block(3)
    turns.block(3)
    assert [next(turns) for _ in range(4)] == [1, 5, 1, 5]
    turns.unblock(3)
    turns.unblock(3)
    assert [next(turns) for _ in range(3)] == [1, 5, 3]
    turns.block(1)
    for stream_id in (1, 3, 5):
        turns.remove_stream(stream_id)
        turns.block(stream_id)  # no harm, and not known again
    with pytest.raises(DeadlockError):
        next(turns)
    with pytest.raises(MissingStreamError):
        turns.unblock(1)


def test_blocked_streams_cost_nothing() -> None:
    """Hypercorn's tree takes each of them out of a heap and puts it back, whenever one is sent."""

    def sending(streams: int) -> Run:
        turns = StreamTurns()
        for stream_id in range(1, streams + 1):
            turns.insert_stream(stream_id)
            turns.block(stream_id)

        def send() -> None:
            for stream_id in range(streams, 0, -1):
                turns.unblock(stream_id)
                assert next(turns) == stream_id
                turns.block(stream_id)

        return send

    assert_linear(sending, 200)


@pytest.mark.usefixtures("mock_clock")
async def test_the_streams_of_a_connection_that_ended_are_closed_in_turns() -> None:
    """Ends of connections with a hundred requests each must not make everybody wait for all of them."""
    closed: list[object] = []

    class Stream:
        async def handle(self, event: object) -> None:
            closed.append(event)

    count = 20 * STEPS * CLOSED_AT_ONCE
    protocol = on_nothing()
    protocol.streams = {number: Stream() for number in range(count)}  # type: ignore[misc]
    turns = protocol._guard.turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.run)
        nursery.start_soon(protocol._close_all)
        with passes_of(closed) as passes:
            while len(closed) < count:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert max(passes.steps) <= (STEPS + 1) * CLOSED_AT_ONCE
    assert not protocol.streams
