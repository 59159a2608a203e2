"""Serve with several processes: this one decides, appends and renders the pages; workers answer the rest."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from retain.api.admin.actions import Administration
from retain.api.cli.main import FAILED, Stopped
from retain.api.identity.throttle import Throttle
from retain.api.server.app import App
from retain.api.server.serve import opened, taken_over, url_of
from retain.api.workers.supervisor import REPORT_S, WorkerFailed, Workers
from retain.engine import Engine
from retain.engine.following.board import is_supported
from retain.journal import RealDisk


async def serve_with_workers(
    app: App,
    engine: Engine,
    administration: Administration,
    throttles: Mapping[str, Throttle],
    *,
    stop: trio.Event,
    announce: Callable[[Sequence[str]], Awaitable[None]],
    passed: Sequence[socket.socket] = (),
) -> None:
    """Let workers listen and answer until `stop` is set, then finish the requests in flight.

    As `retain.api.server.serve.serve`.

    Raises:
        CannotListen: The address is taken, not this machine's, or not allowed.
        Stopped: Workers are not supported here, or one ended at the start.

    """
    server = app.config.server
    if not is_supported():
        raise Stopped("server.workers above 1 needs Linux on a 64-bit machine", FAILED)
    disk = engine.disk
    assert isinstance(disk, RealDisk)
    listeners = taken_over(server, passed) if passed else await opened(server)
    scheme = "http" if server.tls_certificate is None else "https"
    urls = [url_of(scheme, listener) for listener in listeners]
    sockets = [socket.socket(fileno=listener.socket.detach()) for listener in listeners]
    workers = Workers(engine, app, sockets, disk.lock_descriptor, throttles)
    administration.tenants.changed = administration.users.changed = workers.board.publish_registries
    administration.show_workers(workers.refresh, workers.shown, workers.seen)
    app.counters.watch(engine, lambda: workers.connections)
    app.counters.show("retain_workers", "Workers that accept connections.", lambda: float(workers.listening))
    app.counters.show(
        "retain_workers_replaced", "Workers that ended and were replaced.", lambda: float(workers.replaced)
    )
    app.counters.show(
        "retain_workers_memory_bytes",
        "Memory that all workers occupy.",
        lambda: float(sum(one["memory_bytes"] or 0 for one in workers.shown())),
    )
    try:
        async with trio.open_nursery() as nursery:
            await app.pages()
            await nursery.start(workers.run)
            await workers.refresh()
            nursery.start_soon(_keep_reports_fresh, workers)
            await announce(urls)
            await stop.wait()
            app.stopping.set()
            for one in sockets:
                one.close()
            await workers.stop()
            nursery.cancel_scope.cancel()
    except* WorkerFailed as failed:
        first: BaseException = failed
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise Stopped(str(first), FAILED) from None


async def _keep_reports_fresh(workers: Workers) -> None:
    """Ask for reports periodically: a worker that ends loses the counts it has not reported."""
    while True:
        await trio.sleep(REPORT_S)
        await workers.refresh()
