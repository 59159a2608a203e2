"""The console of one node of a cluster in memory: as an application, or served from a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import trio

from retain.api.admin.actions import Administration
from retain.api.cli.assemble import assembled
from retain.api.config.load import Config, ServerConfig
from retain.api.nodes.actions import NodeActions
from retain.api.nodes.join import join
from retain.api.server.app import App
from retain.api.server.serve import serve
from retain.engine.nodes.node import NodeEngine
from tests.kit.console import USERS
from tests.kit.nodes import Site, begun, until

CONFIG = Config(users=USERS, server=ServerConfig(bind="127.0.0.1:0"))
START_S = 60.0


@asynccontextmanager
async def opened(
    site: Site, name: str = "a", *, takes_part: bool = True
) -> AsyncIterator[tuple[NodeEngine, Administration, App]]:
    """A node with its application; it leads or follows already, unless it takes no part."""
    async with site.node(name, takes_part=False) as engine:
        await engine.load_files()
        administration = await Administration.open(engine, CONFIG)
        administration.include(NodeActions(engine).actions())
        app = assembled(engine, CONFIG, administration)
        if takes_part:
            join(engine, administration)
            await until(lambda: engine.role != "waiting")
        yield engine, administration, app


@dataclass
class Served:
    """Node `a`, which leads, on a real socket, with node `b` that follows.

    Attributes:
        site: Their cluster.
        url: Of node `a`.
        engine: Node `a`.
        failure: What ended the thread.
    """

    site: Site | None = None
    url: str = ""
    engine: NodeEngine | None = None
    failure: BaseException | None = None
    _stop: trio.Event = field(default_factory=trio.Event)
    _ready: threading.Event = field(default_factory=threading.Event)
    _token: trio.lowlevel.TrioToken | None = None

    def run(self) -> None:
        """Serve until stopped; the work of the thread."""
        try:
            trio.run(self._run)
        except BaseException as error:
            self.failure = error
        finally:
            self._ready.set()

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._ready.wait(START_S)
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Let it end."""
        assert self._token is not None
        self._token.run_sync_soon(self._stop.set)

    async def _run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        site = self.site = begun()
        async with opened(site) as (engine, _, app), site.node("b") as follower:
            await until(lambda: follower.role == "follower")
            await until(lambda: engine.reports.look is not None and len(engine.reports.look.nodes) == 2)
            self.engine = engine

            async def announce(urls: Sequence[str]) -> None:
                self.url = urls[0]
                self._ready.set()

            await serve(app, stop=self._stop, announce=announce)
            site.server.down = False


@contextmanager
def served() -> Iterator[Served]:
    """The node, for tests whose own thread is Playwright's."""
    node = Served()
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        node.wait()
        yield node
    finally:
        if node.failure is None:
            node.stop()
        thread.join(START_S)
    if node.failure is not None:
        raise node.failure
