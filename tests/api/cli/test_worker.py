"""A worker process tells in one line why it was refused."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from retain.api.cli import worker
from retain.api.workers.messages import codec
from retain.engine import Unavailable
from retain.engine.following.link import Link
from retain.engine.following.messages import Hello


def test_a_worker_of_another_release_is_told_to_restart_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()

    async def connected(address: bytes) -> object:
        return ours

    async def refuse(message: object) -> object:
        assert isinstance(message, Hello)
        raise Unavailable("another release was installed since this server started", reason="release")

    async def run(process: worker.Process, address: bytes) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Link(theirs, codec()).run, refuse)
            try:
                return await run_alone(process, address)
            finally:
                nursery.cancel_scope.cancel()

    run_alone = worker.Process.run
    monkeypatch.setattr(trio, "open_unix_socket", connected)
    monkeypatch.setattr(worker.Process, "run", run)
    for harmless in ("os.umask", "signal.signal"):  # would change this process
        monkeypatch.setattr(f"{worker.__name__}.{harmless}", lambda *_: None)
    monkeypatch.setattr(worker, "Board", lambda number: None)
    assert worker.main(["00", "0", "0"]) == worker.ENDED
    assert capsys.readouterr().err == "Error: another release was installed since this server started\n"
