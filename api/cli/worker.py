"""A worker process: it follows the engine of the process that started it, and serves the interfaces.

Started by `api/workers/supervisor.py` as `python -m retain.api.cli.worker NAME BOARD LOCK SOCKET…`: the name
of the socket where that process listens, in hexadecimal digits, and inherited descriptors.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import trio

from retain import journal
from retain.api.admin.tenants import Tenants
from retain.api.admin.users import Users
from retain.api.cli.assemble import interfaces
from retain.api.config.engine import engine_options
from retain.api.config.load import Config
from retain.api.console import READ_UNDER
from retain.api.identity import Identity, identity_options
from retain.api.server import collector
from retain.api.server.app import App, create_app
from retain.api.server.serve import serve
from retain.api.web import logs
from retain.api.web.metrics import Counters
from retain.api.workers.messages import Ask, Listening, Ready, Stop, Welcome, WorkerReport, codec
from retain.api.workers.pages import Pages
from retain.api.workers.registries import Registries, SharedThrottle
from retain.api.workers.supervisor import resident_bytes
from retain.engine import EngineClosed, Unavailable
from retain.engine.following.board import Board
from retain.engine.following.follower import Follower, load_follower
from retain.engine.following.link import Link
from retain.engine.following.messages import Hello
from retain.engine.writing.bodies import CHUNK_DOWNLOADS
from retain.journal.uncollected import uncollected

LOG = logging.getLogger("retain.workers")

LAST_WORDS_S: Final = 1.0
"""Seconds in which requests may still be answered after the leader process has ended."""
ENDED: Final = 75
"""EX_TEMPFAIL: this worker cannot continue, another may."""


class Process:
    """One worker.

    Args:
        board: The page that the deciding process publishes.
        listeners: The listening sockets.

    """

    def __init__(self, board: Board, listeners: Sequence[socket.socket]) -> None:
        self._board = board
        self._listeners = listeners
        self._stop = trio.Event()
        self._lost = False
        self._app: App | None = None
        self._follower: Follower | None = None

    async def run(self, address: bytes) -> int:
        """Serve until asked to stop; return the exit code."""
        kinds = codec()
        link = Link(await trio.open_unix_socket(address), kinds)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._talk, link)
            try:
                welcome = await link.ask(Hello(os.getpid(), kinds.digest))
            except Unavailable as refused:
                sys.stderr.write(f"Error: {refused}\n")
            else:
                assert isinstance(welcome, Welcome)
                await self._answer(link, welcome, nursery)
            nursery.cancel_scope.cancel()
        return ENDED if self._lost else 0

    async def _talk(self, link: Link) -> None:
        try:
            await link.run(self._handle)
        finally:
            self._lost = not self._stop.is_set()
            self._stop.set()

    async def _handle(self, message: Any) -> Any:
        if isinstance(message, Stop):
            self._stop.set()
            return None
        if isinstance(message, Ask):
            return self._report()
        if self._follower is None:
            return None
        answer = await self._follower.receive(message)
        if self._follower.failure:
            LOG.error(
                "this worker cannot follow the journal", extra={"facts": {"why": self._follower.failure}}
            )
            self._lost = True
            self._stop.set()
        return answer

    async def _answer(self, link: Link, welcome: Welcome, nursery: trio.Nursery) -> None:
        config: Config = pickle.loads(welcome.config)  # noqa: S301 - from the process that started this one
        logs.configure(config.log)
        disk = journal.RealDisk(config.storage.data, create=False)
        with uncollected():
            loaded = await trio.to_thread.run_sync(load_follower, disk, self._board.durable)
        follower = self._follower = Follower(
            disk,
            loaded,
            self._board,
            link,
            options=engine_options(config),
            bodies=max(2, CHUNK_DOWNLOADS // welcome.processes),
        )
        registries = Registries(
            self._board,
            Tenants(disk, config.tenants, follower.entropy),
            Users(disk, identity_options(config).users, follower.submit, follower.entropy),
        )
        await trio.to_thread.run_sync(registries.look)
        throttles = {name: SharedThrottle(link, name) for name in ("areas", "settings")}
        for throttle in throttles.values():
            nursery.start_soon(throttle.run)
        identity = Identity(
            identity_options(config),
            now=follower.now,
            entropy=follower.entropy,
            users=registries.users,
            throttle=throttles["settings"],
        )
        shared = divided(config, welcome.processes)
        app = self._app = create_app(
            follower,
            shared,
            interfaces(follower, shared, registries.keys_of, identity, throttles["areas"]),
            counters=Counters(),
            elsewhere=Pages(welcome.pages),
            processes=welcome.processes,
            read_under=READ_UNDER,
        )
        collector.settle()
        # From this answer on, erasures wait for this process; it has not answered any request yet.
        await link.ask(Ready())
        follower.catch_up(self._board.durable)

        async def announce(urls: Sequence[str]) -> None:
            await link.ask(Listening(tuple(urls)))

        nursery.start_soon(self._end_soon_if_lost, nursery.cancel_scope)
        await serve(app, stop=self._stop, announce=announce, passed=self._listeners)
        follower.close()

    async def _end_soon_if_lost(self, everything: trio.CancelScope) -> None:
        """Give requests under way a moment to report that their outcome is unknown."""
        await self._stop.wait()
        if self._lost:
            await trio.sleep(LAST_WORDS_S)
            everything.cancel()

    def _report(self) -> WorkerReport:
        app, follower = self._app, self._follower
        assert app is not None
        assert follower is not None
        return WorkerReport(
            resident_bytes(), app.connections(), follower.state.seq, app.counters.tallies(), app.seen.shown()
        )


def divided(config: Config, processes: int) -> Config:
    """Return the configuration of one worker: the server's limits are divided among the workers."""

    def part(number: int) -> int:
        return -(-number // processes)

    server, settings = config.server, config.settings
    return replace(
        config,
        server=replace(
            server,
            max_connections=part(server.max_connections),
            connections_per_peer=part(server.connections_per_peer),
        ),
        settings=replace(
            settings,
            max_watchers=part(settings.max_watchers),
            max_watchers_per_user=part(settings.max_watchers_per_user),
        ),
    )


def main(arguments: Sequence[str]) -> int:
    """Run a worker with these arguments; return its exit code."""
    os.umask(0o077)
    # Both signals reach every process of a service or a terminal; a worker stops when asked to, or with the
    # process that started it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    address, board, _lock, *descriptors = arguments
    listeners = [socket.socket(fileno=int(one)) for one in descriptors]
    process = Process(Board(int(board)), listeners)
    try:
        return trio.run(process.run, bytes.fromhex(address))
    except* (EngineClosed, journal.JournalError, OSError) as error:
        LOG.error("a worker ended", exc_info=error)
    return ENDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
