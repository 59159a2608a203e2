"""The deciding process's side of workers: start them, exchange messages, replace them."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from retain.api.config.load import Config
from retain.api.identity import TooManyAttempts
from retain.api.identity.throttle import Throttle
from retain.api.server.app import App
from retain.api.web.metrics import Tallies
from retain.api.workers.messages import (
    Ask,
    Listening,
    LoggedIn,
    Ready,
    Stop,
    Turn,
    Wait,
    Welcome,
    WorkerReport,
    codec,
)
from retain.api.workers.pages import make_page
from retain.engine import Engine, EngineError, Unavailable
from retain.engine.following.board import Board
from retain.engine.following.followers import Followers
from retain.engine.following.link import Link
from retain.engine.following.messages import Hello

LOG = logging.getLogger("retain.workers")

MODULE: Final = "retain.api.cli.worker"
"""The module that a worker process runs."""
REPORT_S: Final = 1.0
"""How long a worker may take for a report, in seconds."""
FRESH_S: Final = 0.02
"""How old reports may be for a page, in seconds."""
GRACE_S: Final = 5.0
"""Seconds that a worker gets beyond `stop_timeout`, or after its connection has ended, before it is killed.
"""
PAUSE_S: Final = 0.2
PAUSE_MOST_S: Final = 10.0
"""Longest pause before a worker is replaced; the pause doubles for each worker that did not live `LIVED_S`.
"""
LIVED_S: Final = 30.0
_CREDENTIALS: Final = struct.Struct("3i")


class WorkerFailed(Exception):
    """A worker ended before it answered anything, at the start of the server."""


@dataclass(eq=False)
class Worker:
    """One worker's process.

    Attributes:
        index: Its number, from 1.
        process: The process.
        since: When it was started, nanoseconds since the epoch.
        link: The connection to it, once it has loaded the state.
        report: Its last report.
        listening: Whether it accepts connections.

    """

    index: int
    process: trio.Process
    since: int
    link: Link | None = None
    report: WorkerReport | None = None
    listening: trio.Event = field(default_factory=trio.Event)


class Workers:
    """All workers of a server.

    Args:
        engine: The deciding engine.
        app: Renders the pages, and counts for all processes.
        listeners: The sockets on which workers accept connections.
        lock: The descriptor of the data folder's lock. Each worker holds it as well, so that no other server
            can open the folder while a worker may still answer.
        throttles: By interface, for the logins of all workers.

    Raises:
        OSError: The system has no shared memory for them.

    """

    def __init__(
        self,
        engine: Engine,
        app: App,
        listeners: Sequence[socket.socket],
        lock: int,
        throttles: Mapping[str, Throttle],
    ) -> None:
        self._engine = engine
        self._app = app
        self._config: Config = app.config
        self._listeners = list(listeners)
        self._lock = lock
        self._throttles = throttles
        self._codec = codec()
        self.board = Board.create()
        self._followers = Followers(engine, self.board)
        self._workers: dict[int, Worker] = {}
        self._gone = Tallies()
        self._asked = -REPORT_S
        self._stop = trio.Event()
        self._changed = trio.Event()
        self._address = self._pages = b""
        self.replaced = 0
        app.counters.elsewhere = self._tallies

    @property
    def connections(self) -> int:
        """Return how many connections were open when the workers last reported."""
        return sum(one.report.connections for one in self._workers.values() if one.report is not None)

    @property
    def listening(self) -> int:
        """Return how many workers accept connections."""
        return sum(one.listening.is_set() for one in self._workers.values())

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the workers until `stop` was called and all have ended. Started once all of them answer.

        Raises:
            WorkerFailed: One ended before.

        """
        count = self._config.server.workers
        with _unix_listener() as links, _unix_listener() as pages:
            self._address, self._pages = links.getsockname(), pages.getsockname()
            async with trio.open_nursery() as background:
                background.start_soon(self._accept, links, self._serve)
                background.start_soon(self._accept, pages, self._make_page)
                background.start_soon(self._followers.run)
                async with trio.open_nursery() as keeping:
                    for index in range(1, count + 1):
                        keeping.start_soon(self._keep, index)
                    while self.listening < count:
                        await self._changed.wait()
                    task_status.started()
                background.cancel_scope.cancel()
        self.board.close()

    async def stop(self) -> None:
        """Let the workers finish the requests under way and end; kill those that take too long."""
        self._stop.set()
        for worker in list(self._workers.values()):
            if worker.link is None:
                worker.process.kill()
                continue
            with trio.move_on_after(REPORT_S):  # one that reads nothing is killed below
                await worker.link.tell(Stop())
        with trio.move_on_after(self._config.server.stop_timeout + GRACE_S):
            for worker in list(self._workers.values()):
                await worker.process.wait()
        for worker in [one for one in self._workers.values() if one.process.returncode is None]:
            LOG.error("a worker did not stop and is killed", extra={"facts": {"worker": worker.index}})
            worker.process.kill()

    async def refresh(self, older_s: float = 0.0) -> None:
        """Ask the workers for reports if the last are older than this, in seconds."""
        now = trio.current_time()
        if now - self._asked < older_s:
            return
        self._asked = now
        async with trio.open_nursery() as nursery:
            for worker in list(self._workers.values()):
                nursery.start_soon(self._ask, worker)

    def shown(self) -> list[dict[str, Any]]:
        """Return the last report of each worker, for operators."""
        rows = []
        for worker in sorted(self._workers.values(), key=lambda one: one.index):
            report = worker.report
            rows.append(
                {
                    "worker": worker.index,
                    "process": worker.process.pid,
                    "listening": worker.listening.is_set(),
                    "memory_bytes": report.resident if report is not None else None,
                    "connections": report.connections if report is not None else None,
                    "behind": self._engine.durable - report.applied if report is not None else None,
                }
            )
        return rows

    def seen(self) -> list[dict[str, Any]]:
        """Return the samples of requests from all workers' reports."""
        reports = [one.report for one in self._workers.values() if one.report is not None]
        kinds = {(kind["trusted"], bool(kind["headers"])): kind for one in reports for kind in one.seen}
        return list(kinds.values())

    def _tallies(self) -> list[Tallies]:
        live = [one.report.tallies for one in self._workers.values() if one.report is not None]
        return [self._gone, *live]

    async def _ask(self, worker: Worker) -> None:
        if worker.link is None:
            return
        with trio.move_on_after(REPORT_S):
            try:
                report = await worker.link.ask(Ask(), shielded=False)
            except EngineError:
                return  # it is ending
            worker.report = report

    async def _keep(self, index: int) -> None:
        """Start a worker, and another one whenever it ends."""
        pause, first = PAUSE_S, True
        while not self._stop.is_set():
            began = trio.current_time()
            try:
                worker = await self._start(index)
            except OSError as error:
                if first:
                    raise
                LOG.error(
                    "no worker can be started", extra={"facts": {"worker": index, "errno": error.errno}}
                )
                await trio.sleep(PAUSE_MOST_S)
                continue
            try:
                await worker.process.wait()
            finally:
                with trio.CancelScope(shield=True):
                    worker.process.kill()
                    await worker.process.wait()
                self._forget(worker)
            code = worker.process.returncode
            if self._stop.is_set():
                return
            if first and not worker.listening.is_set():
                raise WorkerFailed(f"worker {index} ended with {code} before it answered; see its log")
            first = False
            self.replaced += 1
            LOG.error("a worker ended and is replaced", extra={"facts": {"worker": index, "code": code}})
            pause = PAUSE_S if trio.current_time() - began > LIVED_S else min(PAUSE_MOST_S, 2 * pause)
            await trio.sleep(pause)

    async def _start(self, index: int) -> Worker:
        descriptors = [self.board.descriptor, self._lock, *(one.fileno() for one in self._listeners)]
        # Workers must import the same modules as this process, whatever folder it was started in.
        command = [sys.executable, "-P", "-m", MODULE, self._address.hex(), *map(str, descriptors)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = await trio.lowlevel.open_process(
            command,
            pass_fds=descriptors,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        worker = self._workers[process.pid] = Worker(index, process, self._engine.wall())
        return worker

    def _forget(self, worker: Worker) -> None:
        del self._workers[worker.process.pid]
        if worker.link is not None:
            worker.link.close()
            self._followers.remove(worker.link)
        if worker.report is not None:
            self._gone.add(worker.report.tallies)

    async def _accept(
        self, listener: trio.socket.SocketType, serve: Callable[[trio.SocketStream, int], Any]
    ) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    accepted, _ = await listener.accept()
                except OSError as error:
                    LOG.warning("accept failed", extra={"facts": {"errno": error.errno}})
                    await trio.sleep(PAUSE_S)
                    continue
                nursery.start_soon(serve, trio.SocketStream(accepted), _process_of(accepted))

    async def _serve(self, stream: trio.SocketStream, process: int) -> None:
        """Exchange messages with one worker until either side ends."""
        worker = self._workers.get(process)
        if worker is None:  # not a child of this process
            await trio.aclose_forcefully(stream)
            return
        link = Link(stream, self._codec)

        async def handle(message: Any) -> Any:
            return await self._handle(worker, link, message)

        try:
            await link.run(handle)
        except* Exception as error:
            # Nothing that a worker sends may end the deciding process.
            LOG.error("a worker's connection failed", exc_info=error)
        if not self._stop.is_set():
            with trio.move_on_after(GRACE_S):
                await worker.process.wait()
            worker.process.kill()

    async def _handle(self, worker: Worker, link: Link, message: Any) -> Any:
        match message:
            case Hello():
                if message.digest != self._codec.digest:
                    raise Unavailable(
                        "another release was installed since this server started; restart the server",
                        reason="release",
                    )
                config = pickle.dumps(self._config)
                return Welcome(config, self._config.server.workers, self._pages)
            case Ready():
                worker.link = link
                self._followers.add(link, worker.process.kill)
                return True
            case Listening():
                worker.listening.set()
                changed, self._changed = self._changed, trio.Event()
                changed.set()
                return True
            case Turn(interface, address, name):
                try:
                    return Wait(self._throttles[interface].book(address, name), None)
                except TooManyAttempts as refusal:
                    return Wait(0.0, refusal.retry_after)
            case LoggedIn(interface, address, name):
                self._throttles[interface].succeeded(address, name)
                return None
        return await self._followers.handle(message)

    async def _make_page(self, stream: trio.SocketStream, process: int) -> None:
        if process not in self._workers:
            await trio.aclose_forcefully(stream)
            return
        await self.refresh(FRESH_S)
        try:
            await make_page(stream, await self._app.pages())
        except Exception as error:
            # As on a client's own connection: it ends, and the log has the reason.
            LOG.error("unhandled exception in a page", exc_info=error)


def _process_of(accepted: trio.socket.SocketType) -> int:
    """Return the number of the process at the other end (unix(7), SO_PEERCRED)."""
    found = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process: int = _CREDENTIALS.unpack(found)[0]
    return process


def _unix_listener() -> trio.socket.SocketType:
    """Return a listening Unix socket without a file: the system chooses its (abstract) name.

    Any user of this machine could connect; connections from other processes than the workers are closed.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("")
    listener.listen(128)
    return trio.socket.from_stdlib_socket(listener)


def resident_bytes() -> int:
    """Return how much memory this process occupies; 0 if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
