"""A client of the settings interface without a network: requests in, whole answers out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote

from retain.api.config.load import SettingsConfig
from retain.api.http.message import Request, Response
from retain.api.identity import Identity, IdentityOptions, ProxyOptions
from retain.api.settings import Settings
from retain.engine import Engine
from retain.engine.testing import ManualClock
from retain.journal.testing.memory import MemoryDisk
from tests.kit.engines import LightOptions
from tests.kit.requests import content_of, make_request
from tests.kit.spread import opened

ROOT = "/mobileservices/Storage/v1/runtime/application"
QUIET = LightOptions(sweep_interval_s=3600.0)
PROXY = "127.0.0.1"

Pairs = Iterable[tuple[str, str]]


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def tag(self) -> str:
        return self.headers["ETag"]


@dataclass
class User:
    """Somebody who calls, by a trusted proxy's headers: no password has to be hashed."""

    name: str = "ann"
    roles: tuple[str, ...] = ()

    def headers(self) -> list[tuple[str, str]]:
        name = self.name.encode().decode("latin-1")
        return [("X-User", name), ("X-Roles", ",".join(self.roles))]


ANN, BOB = User("ann"), User("bob")
ADMIN = User("root", ("admin",))


@dataclass
class Client:
    """Talks to the interface over an engine on a memory disk."""

    engine: Engine
    settings: Settings
    disk: MemoryDisk
    user: User = field(default_factory=lambda: ANN)

    def request(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", *, user: User | None = None
    ) -> Request:
        who = self.user if user is None else user
        return make_request(method, target, [*who.headers(), *headers], body, peer=PROXY)

    async def send(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", *, user: User | None = None
    ) -> Answer:
        """The target is a raw one, as on the wire."""
        response = await self.settings.handle(self.request(method, target, headers, body, user=user))
        return await whole(response)

    async def call(
        self,
        method: str,
        tail: str = "",
        value: Any = ...,
        *,
        app: str = "app",
        user: User | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """The target is a tail below the application, and the body a value."""
        body = b"" if value is ... else json.dumps(value, ensure_ascii=False).encode()
        typed = any(name == "Content-Type" for name, _ in headers)
        kind = [] if value is ... or typed else [("Content-Type", "application/json")]
        target = f"{ROOT}/{quote(app, safe='')}{'/' if tail else ''}{tail}"
        return await self.send(method, target, [*kind, *headers], body, user=user)

    def digest(self) -> tuple[bytes, int]:
        """What a refused request must leave as it is: state and journal."""
        return self.engine.state.digest(), self.engine.state.seq


async def whole(response: Response) -> Answer:
    """An answer with all of its body."""
    return Answer(response.status, dict(response.headers), await content_of(response))


def path(*names: str) -> str:
    """Names as a tail of a URL."""
    return "/".join(quote(name, safe="") for name in names)


def identity(engine: Engine, **options: Any) -> Identity:
    proxy = ProxyOptions((ip_network(PROXY),), "X-User", "X-Roles")
    return Identity(IdentityOptions(proxy=proxy, **options), now=engine.now)


@asynccontextmanager
async def settings_client(disk: MemoryDisk | None = None, **config: Any) -> AsyncIterator[Client]:
    """A client on an engine that is verified in the end."""
    disk = disk if disk is not None else MemoryDisk()
    clock = ManualClock()
    async with opened(disk, clock, QUIET) as (engine, served):
        section, who = SettingsConfig(**config), identity(engine)
        yield Client(engine, served.interface(lambda access: Settings(access, section, who)), disk)
