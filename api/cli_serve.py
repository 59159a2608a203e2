"""``retain serve``: the composition root. Configuration, engine, application, server, the first screen."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click
import trio
from rich.console import Console
from rich.text import Text

import journal
from api import collector, logs
from api.administration import Administration
from api.app import App, create_app
from api.blobs.surface import BlobSurface
from api.cli import DAMAGED, FAILED, IN_USE, WRONG, Stopped, config_option, configuration_path
from api.config import Config, ConfigError, load
from api.console.token_routes import token_routes
from api.control import serve_control
from api.identity import Identity, identity_options
from api.serve import CannotListen, serve, stop_on_signal, tls_context
from engine import Engine, EngineError, Options, open_engine
from engine.wire import UnknownEvent

E = TypeVar("E", bound=BaseException)


@click.command(name="serve")
@config_option
@click.option("--bind", metavar="HOST:PORT", help="Listen here instead of server.bind; port 0: any free one.")
@click.option("--data", metavar="FOLDER", help="Store here instead of storage.data.")
def command(config_path: Path | None, bind: str | None, data: str | None) -> None:
    """Start the server; it runs until SIGTERM or Ctrl-C and then finishes the requests in flight.

    Without a configuration it listens on 127.0.0.1:8080 and stores in ./retain-data.
    """
    given = {"RETAIN_SERVER_BIND": bind, "RETAIN_STORAGE_DATA": data}
    environ = {**os.environ, **{name: value for name, value in given.items() if value is not None}}
    try:
        config = load(configuration_path(config_path), environ)
        check_tls(config)
    except ConfigError as error:
        raise Stopped(str(error), WRONG) from None
    logs.configure(config.log)
    os.umask(0o077)
    try:
        trio.run(run, config)
    except* journal.Locked as group:
        pid = _first(group).pid
        raise Stopped(f"{config.storage.data} is in use by process {pid or 'unknown'}", IN_USE) from None
    except* (journal.NoSpace, UnknownEvent) as group:
        raise Stopped(f"{config.storage.data}: {_first(group)}", FAILED) from None
    except* journal.JournalError as group:
        reason = _first(group)
        raise Stopped(f"{config.storage.data}: {reason}\nSee `retain journal --help`.", DAMAGED) from None
    except* CannotListen as group:
        raise Stopped(str(_first(group)), FAILED) from None
    except* OSError as group:
        failure = _first(group)
        told = f"the data folder {config.storage.data} cannot be used: {failure.strerror or failure}"
        raise Stopped(told, FAILED) from None
    except* ConfigError as group:
        raise Stopped(str(_first(group)), WRONG) from None
    except* EngineError as group:
        raise Stopped(f"{config.storage.data}: {_first(group).message}", FAILED) from None


async def run(config: Config) -> None:
    """Open the engine, serve until told to stop, close the engine.

    Raises journal.JournalError, EngineError, CannotListen, OSError (the data folder).
    """
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_signals, stop)
        async with open_engine(config.storage.data, options=engine_options(config)) as engine:
            administration = await Administration.open(engine, config)
            app = assembled(engine, config, administration)
            collector.settle()

            async def announce(urls: Sequence[str]) -> None:
                administration.listens_at = urls[0]
                show(app, urls, engine.notices)

            async with trio.open_nursery() as control:
                folder = Path(config.storage.data)
                await control.start(serve_control, engine.disk, folder, administration.acts())
                if administration.checkpoints.wanted:
                    control.start_soon(administration.checkpoints.run)
                await serve(app, stop=stop, announce=announce)
                control.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


def assembled(engine: Engine, config: Config, administration: Administration) -> App:
    """The application with the interfaces and routes that need the tenants."""
    surfaces = []
    if config.blobs.enabled:
        surfaces.append(BlobSurface(engine, config, administration.tenants.keys_of).mount())
    identity = Identity(identity_options(config), now=engine.now, entropy=engine.entropy)
    blueprints = [token_routes(administration, identity, config)]
    return create_app(engine, config, surfaces=surfaces, blueprints=blueprints)


async def _signals(stop: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    await stop_on_signal(stop, task_status=task_status)


def engine_options(config: Config) -> Options:
    """The engine's part of the configuration."""
    return replace(
        Options(),
        segment_bytes=config.storage.segment_bytes,
        inline_bytes=config.storage.inline_bytes,
        snapshot_records=config.storage.snapshot_records,
        sweep_interval_s=config.areas.sweep_interval,
        erase_within_hours=config.retention.erase_within_hours,
        audit_days=config.retention.audit_days,
        history_days=config.settings.history_days,
    )


def check_tls(config: Config) -> None:
    """The TLS key must be its owner's alone, and the certificate's. Raises ConfigError."""
    path = config.server.tls_key
    if path is None:
        return
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise ConfigError(path, "server.tls_key", error.strerror or "cannot be read") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(path, "server.tls_key", "group or others may use this file; chmod 600 it")
    try:
        tls_context(config.server)
    except ssl.SSLError as error:
        reason = f"is no certificate (PEM) for tls_key, or that key is encrypted ({error.reason or error})"
        raise ConfigError(str(config.server.tls_certificate), "server.tls_certificate", reason) from None
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ConfigError(str(config.server.tls_certificate), "server.tls_certificate", reason) from None


NO_USERS = (
    "Nobody can log in to settings yet: make a hash with `retain user hash`, and put it with a name\n"
    "into [[users]] of the configuration (`retain init` writes one)."
)


def can_log_in(config: Config) -> bool:
    """Whether the configuration knows any way to be somebody."""
    identity = config.identity
    ways = (identity.jwt_jwks, identity.jwt_secret, identity.proxy_user_header, identity.anonymous)
    return any(user.password for user in config.users) or any(ways)


def show(app: App, urls: Sequence[str], notices: Sequence[str]) -> None:
    """The first screen: where the server is, and a first curl line for each interface."""
    console = Console(highlight=False, soft_wrap=True)
    base = app.config.server.external_url or urls[0]
    for url in urls:
        console.print(Text.assemble("Retain listens on ", (url, "bold")))
    console.print(f"Data in {Path(app.config.storage.data).resolve()}", markup=False)
    for notice in notices:
        console.print(Text(f"Note: {notice}", style="yellow"))
    for surface in app.surfaces:
        if surface.example is not None:
            console.print(Text.assemble("\n", (f"{surface.name}:", "bold")))
            console.print(f"  {surface.example(base)}", markup=False)
    if "settings" in {surface.name for surface in app.surfaces} and not can_log_in(app.config):
        console.print(f"\n{NO_USERS}", markup=False)
    console.print(f"\nHealth: {base}/healthz  {base}/readyz  {base}/metrics   Stop: Ctrl-C", markup=False)
    console.file.flush()


def _first(group: BaseExceptionGroup[E]) -> E:
    """The first leaf of a group."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
