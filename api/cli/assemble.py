"""Assemble a server from engine, administration, application and sockets, and run it.

`retain serve` imports this module after its quick checks: the imports are most of the cost of a start.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import click
import trio

from retain.api.admin.actions import Administration
from retain.api.admin.clock import first_notice, notice, watch_clock
from retain.api.admin.command_line import FIRST_USER, command_line
from retain.api.admin.control import serve_control
from retain.api.areas import areas_interface
from retain.api.blobs.interface import blobs_interface
from retain.api.blobs.request.authentication import KeysOf
from retain.api.cli.failures import failures_of
from retain.api.cli.gauges import Space, show_gauges
from retain.api.cli.main import FAILED, WRONG, Stopped
from retain.api.cli.progress import record_progress
from retain.api.config.credentials import is_credential
from retain.api.config.engine import engine_options
from retain.api.config.load import Config, ConfigError
from retain.api.config.wildcards import listens_everywhere, openable
from retain.api.console import READ_UNDER
from retain.api.console.figures.traffic import Traffic
from retain.api.http.message import Mounted
from retain.api.identity import Identity, ThrottleOptions, areas_identity_options, identity_options
from retain.api.identity.throttle import LoginThrottle, Throttle
from retain.api.nodes.actions import NodeActions, show_node
from retain.api.nodes.answering import answering
from retain.api.server import collector
from retain.api.server.app import App, create_app
from retain.api.server.serve import CannotListen, serve, stop_on_signal, tls_context
from retain.api.server.systemd import BadSocket, Supervisor, passed_sockets
from retain.api.settings import settings_interface
from retain.api.web.metrics import Counters
from retain.api.web.readiness import readiness, watch_readiness
from retain.api.web.traces import missing
from retain.engine import Engine, EngineAccess, Options, open_engine
from retain.engine.audit.timeline import Trail
from retain.engine.core.clock import is_synchronized
from retain.engine.nodes.node import NodeEngine
from retain.journal import RealDisk
from retain.journal.check.verify import segment_files

if TYPE_CHECKING:
    from quart import Blueprint

LOG = logging.getLogger("retain.server")
TELL_RECORDS: Final = 100_000
"""Records between two progress reports to the supervisor."""


def run(config: Config) -> None:
    """Serve until a signal stops the server. Raises `Stopped` if the server cannot start or continue."""
    collector.settle()  # imported modules stay for good
    with failures_of(config.storage.data):
        check_tls(config)
        check_identity(config)
        check_traces(config)
        try:
            passed = passed_sockets(os.environ, os.getpid())
        except BadSocket as error:
            raise Stopped(f"the supervisor's sockets cannot be used: {error}", WRONG) from None
        trio.run(_run, config, Supervisor(os.environ, os.getpid()), passed)


async def _run(config: Config, supervisor: Supervisor, passed: Sequence[socket.socket]) -> None:
    """Open the engine, serve until a signal arrives, close the engine.

    Raises `JournalError`, `EngineError`, `CannotListen`, or `OSError` (the data folder).
    """
    stop = trio.Event()
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        await nursery.start(_signals, stop)
        nursery.start_soon(supervisor.show_life)
        nursery.start_soon(_tell_stop, stop, supervisor)
        with ExitStack() as showing:
            options = _options(config, supervisor, showing)
            async with _opened(config, options) as engine:
                showing.close()
                await _serve(config, engine, supervisor, passed, stop, began)
        LOG.info("stopped", extra={"facts": {"seconds": round(trio.current_time() - began, 3)}})
        nursery.cancel_scope.cancel()


async def _serve(
    config: Config,
    engine: Engine,
    supervisor: Supervisor,
    passed: Sequence[socket.socket],
    stop: trio.Event,
    began: float,
) -> None:
    """Serve on an open engine until `stop`; `began` is the time of the start on Trio's clock."""
    undated = "" if engine.state.seq else first_notice(engine.wall(), is_synchronized())
    administration = await Administration.open(engine, config, serving=True)
    if isinstance(engine, NodeEngine):
        administration.include(NodeActions(engine).actions())
    space = Space(engine)
    throttles = login_throttles(config)
    app = assembled(engine, config, administration, space, throttles)
    collector.settle()

    async def announce(urls: Sequence[str]) -> None:
        administration.listens(urls[0])
        notices = [*engine.notices, *filter(None, (notice(engine.statistics()), undated))]
        try:
            show(app, urls, notices, administration.users.known)
        except Stopped as stopped:
            LOG.warning("the first screen was not shown", extra={"facts": {"error": stopped.message}})
        seconds = trio.current_time() - began
        LOG.info("started", extra={"facts": _facts_of_start(app, urls, seconds)})
        if undated:
            LOG.warning("a new data folder has an unconfirmed clock", extra={"facts": {"why": undated}})
        supervisor.notify("READY=1", f"STATUS={readiness(engine.statistics())[1]}")

    async with trio.open_nursery() as control:
        folder = Path(config.storage.data)
        if isinstance(engine, NodeEngine):
            show_node(app.counters, engine)
        await control.start(serve_control, engine.disk, folder, administration.actions())
        control.start_soon(watch_clock, engine)
        control.start_soon(space.watch)
        control.start_soon(watch_readiness, engine.statistics, lambda why: supervisor.notify(f"STATUS={why}"))
        control.start_soon(administration.checkpoints.warm)
        if isinstance(engine, NodeEngine):
            from retain.api.nodes.join import join  # only with a cluster

            join(engine, administration)
        else:
            control.start_soon(administration.notifier.run)
            if administration.checkpoints.wanted:
                control.start_soon(administration.checkpoints.run)
        try:
            if config.server.workers > 1:
                from retain.api.cli.with_workers import serve_with_workers  # only with workers

                serving = partial(serve_with_workers, app, engine, administration, throttles)
            else:
                serving = partial(serve, app)
            await serving(stop=stop, announce=announce, passed=passed)
        except CannotListen as error:
            hint = "; choose another with --bind HOST:PORT (make serve BIND=HOST:PORT), or port 0"
            raise Stopped(f"{error}{'' if passed else hint}", FAILED) from None
        control.cancel_scope.cancel()


def _opened(config: Config, options: Options) -> AbstractAsyncContextManager[Engine]:
    if config.cluster.log is None:
        return open_engine(config.storage.data, options=options)
    from retain.api.cli.with_nodes import opened_node  # only with a cluster

    return opened_node(config, options)


def _options(config: Config, supervisor: Supervisor, showing: ExitStack) -> Options:
    """Return the engine's options.

    Until `showing` ends, a terminal and the supervisor see the replay's progress.
    """
    update = showing.enter_context(record_progress("Replaying the journal", _expected(config.storage.data)))

    def replayed(seq: int) -> None:
        update(seq)
        if seq % TELL_RECORDS == 0:
            supervisor.notify(f"STATUS=replaying the journal: {seq:,} records")

    return replace(engine_options(config), on_replayed=replayed)


def _expected(data: str) -> int | None:
    """Return how many records the journal has at least; None if it has one segment, or if there is none."""
    try:
        segments = segment_files(RealDisk(data, create=False))
    except OSError:
        return None  # opening the journal reports the reason
    return segments[-1].first if len(segments) > 1 else None


async def _tell_stop(stop: trio.Event, supervisor: Supervisor) -> None:
    await stop.wait()
    supervisor.notify("STOPPING=1", "STATUS=finishing the requests in flight, writing a snapshot")


def _facts_of_start(app: App, urls: Sequence[str], seconds: float) -> dict[str, object]:
    """Return the facts of the log event for a start."""
    return {
        "version": metadata.version("retain"),
        "addresses": list(urls),
        "data": str(Path(app.config.storage.data).resolve()),
        "records": app.engine.statistics().durable,
        "seconds": round(seconds, 3),
    }


def assembled(
    engine: Engine,
    config: Config,
    administration: Administration,
    space: Space | None = None,
    throttles: Mapping[str, Throttle] | None = None,
) -> App:
    """Return the application with its interfaces and pages.

    Args:
        engine: The open data folder.
        config: The whole configuration.
        administration: Its actions.
        space: Shown among the metrics.
        throttles: As `login_throttles` returns them, where logins elsewhere count, too.

    """
    throttles = throttles or login_throttles(config)
    identity = Identity(
        identity_options(config),
        now=engine.now,
        entropy=engine.entropy,
        users=administration.users.known,
        throttle=throttles["settings"],
    )
    trail = administration.checkpoints.trail
    counters = Counters()
    pages = [
        partial(_token_pages, administration, identity, config),
        partial(_console, engine, config, administration, identity, Traffic(counters)),
    ]
    show_gauges(counters, engine, administration, config, space or Space(engine))
    mounted = interfaces(engine, config, administration.tenants.keys_of, identity, throttles["areas"], trail)
    app = create_app(
        engine,
        config,
        answering(engine, mounted) if isinstance(engine, NodeEngine) else mounted,
        pages=pages,
        counters=counters,
        read_under=READ_UNDER,
    )
    administration.doctor.seen = app.seen.shown
    return app


def login_throttles(config: Config) -> dict[str, Throttle]:
    """Return what slows failed logins: of the areas interface, and of settings and console."""
    areas = areas_identity_options(config)
    return {
        "areas": Throttle(areas.throttle if areas is not None else ThrottleOptions()),
        "settings": Throttle(identity_options(config).throttle),
    }


def interfaces(
    engine: EngineAccess,
    config: Config,
    keys_of: KeysOf,
    identity: Identity | None = None,
    areas_throttle: LoginThrottle | None = None,
    trail: Trail | None = None,
) -> list[Mounted]:
    """Return the interfaces that the configuration enables, in the order in which they are displayed.

    Args:
        engine: The open data folder.
        config: The whole configuration.
        keys_of: Returns the keys of a tenant's account, None if there is none.
        identity: Recognises callers; the pages' own if they share it.
        areas_throttle: Slows failed logins at the areas interface, where processes share one.
        trail: The places of the journal's records, which queries of this process share.

    """
    made = []
    if config.areas.enabled:
        made.append(areas_interface(engine, config, areas_throttle))
    if config.settings.enabled:
        made.append(settings_interface(engine, config, identity, trail))
    if config.blobs.enabled:
        made.append(blobs_interface(engine, config, keys_of))
    return made


def _token_pages(administration: Administration, identity: Identity, config: Config) -> Blueprint:
    from retain.api.console.token_routes import token_routes  # with Quart, see api.app

    return token_routes(administration, identity, config)


def _console(
    engine: Engine,
    config: Config,
    administration: Administration,
    identity: Identity,
    traffic: Traffic,
) -> Blueprint:
    from retain.api.console.open import open_console  # with Quart, see api.app

    return open_console(engine, config, administration, identity, traffic)


async def _signals(stop: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    await stop_on_signal(stop, task_status=task_status)


def check_tls(config: Config) -> None:
    """Raise `ConfigError` if the TLS key is not private or does not match the certificate."""
    path = config.server.tls_key
    if path is None:
        return
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise ConfigError(path, "server.tls_key", error.strerror or "cannot be read") from None
    others = stat.S_IRWXO if is_credential(path, os.environ) else stat.S_IRWXG | stat.S_IRWXO
    if mode & others:
        raise ConfigError(path, "server.tls_key", "group or others may use this file; chmod 600 it")
    try:
        tls_context(config.server)
    except ssl.SSLError as error:
        reason = f"is not a PEM certificate for tls_key, or that key is encrypted ({error.reason or error})"
        raise ConfigError(str(config.server.tls_certificate), "server.tls_certificate", reason) from None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(config.server.tls_certificate), "server.tls_certificate", reason) from None


def check_traces(config: Config) -> None:
    """Raise `ConfigError` if traces are configured and their packages are not installed."""
    if config.operations.traces_url is not None and missing():
        reason = "needs OpenTelemetry: pip install 'retain[otel]', or leave it out"
        raise ConfigError("configuration", "operations.traces_url", reason)


def check_identity(config: Config) -> None:
    """Raise `ConfigError` if users or key files are not usable. Keys of a URL are checked later."""
    try:
        bearer = identity_options(config).bearer
        areas_identity_options(config)
    except ValueError as error:
        raise ConfigError("configuration", "identity", str(error)) from None
    if bearer is None or bearer.jwks_file is None:
        return
    from retain.api.identity.keys import KeySetError, read_file, read_key_set  # see api.identity.identity

    try:
        read_key_set(read_file(bearer.jwks_file))
    except KeySetError as error:
        raise ConfigError(str(bearer.jwks_file), "identity.jwt_jwks", str(error)) from None


NO_USERS = "Nobody can log in to the console or to settings yet. Add a user, who can log in at once:"


def can_log_in(config: Config, users: Collection[str]) -> bool:
    """Return whether anyone can log in, as one of `users` or as the configuration allows."""
    identity = config.identity
    ways = (identity.jwt_jwks, identity.jwt_secret, identity.proxy_user_header, identity.anonymous)
    return bool(users) or any(ways)


def _listening(url: str) -> str:
    line = f"Retain listens on {click.style(url, bold=True)}"
    if not listens_everywhere(url):
        return line
    return f"{line} (all {'IPv6' if '[' in url else 'IPv4'} addresses of this machine)"


def show(app: App, urls: Sequence[str], notices: Sequence[str], users: Collection[str]) -> None:
    """Print the first screen: the server's addresses and a curl command for each interface."""
    external = app.config.server.external_url
    base = external or openable(urls[0])
    lines = [_listening(url) for url in urls]
    lines.append(f"Data in {Path(app.config.storage.data).resolve()}")
    lines += [click.style(f"Note: {notice}", fg="yellow") for notice in notices]
    if external is None and base != urls[0]:
        lines.append(f"On other machines, replace {urlsplit(base).hostname} with the name of this one.")
    for interface in app.interfaces:
        if interface.example is not None:
            lines += ["", click.style(f"{interface.name}:", bold=True), f"  {interface.example(base)}"]
    if "settings" in {interface.name for interface in app.interfaces} and not can_log_in(app.config, users):
        lines += ["", NO_USERS, f"  {command_line(FIRST_USER, app.config.storage.data)}"]
    lines += ["", f"Console: {base}/console"]
    lines += [f"Health: {base}/healthz  {base}/readyz  {base}/metrics   Stop: Ctrl-C"]
    click.echo("\n".join(lines))  # which flushes
