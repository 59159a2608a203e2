"""The writer's own thread: results and errors come back, also where the system has no eventfd."""

from __future__ import annotations

import os
import threading

import pytest
import trio
import trio.testing

from retain.engine.core.shortages import Shortages
from retain.engine.writing.own_thread import OwnThread


@pytest.fixture(params=["eventfd", "threads of Trio"])
def thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OwnThread:
    if request.param != "eventfd":
        monkeypatch.delattr(os, "eventfd")
    return OwnThread("test-own-thread", Shortages())


async def test_results_and_errors_come_back(thread: OwnThread) -> None:
    def fails() -> None:
        raise ValueError("reason")

    thread.start()
    try:
        for number in range(100):
            assert await thread.run(lambda number=number: number + 1) == number + 1
        with pytest.raises(ValueError, match="reason"):
            await thread.run(fails)
        assert await thread.run(threading.current_thread) is not threading.current_thread()
    finally:
        thread.stop()


async def test_others_run_while_it_works_and_cancellation_waits_for_it(thread: OwnThread) -> None:
    thread.start()
    release = threading.Event()
    done = []

    async def work() -> None:
        done.append(await thread.run(lambda: release.wait(60)))

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            release.set()
        assert done == [True]
    finally:
        thread.stop()


async def test_a_stopped_thread_ends() -> None:
    own = OwnThread("test-thread-that-ends", Shortages())
    own.start()
    running = await own.run(threading.current_thread)
    own.stop()
    await trio.to_thread.run_sync(running.join, 60)
    assert not running.is_alive()
