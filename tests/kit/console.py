"""The console over an engine in memory, and a browser without a window: cookies, forms, redirects by hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from quart_trio import QuartTrio

from retain.api.admin.actions import Administration
from retain.api.cli.assemble import assembled
from retain.api.config.load import Config, UserConfig
from retain.engine import Engine
from retain.engine.testing import ManualClock, open_memory_engine
from tests.kit.engines import LightOptions
from tests.kit.passwords import cheap_hash

PASSWORD = "right"
_HASH = cheap_hash(PASSWORD)
USERS = (
    UserConfig(name="ann", password=_HASH, roles=("Administrator",)),
    UserConfig(name="dora", password=_HASH, roles=("DataProtection",)),
    UserConfig(name="otto", password=_HASH, roles=("Auditor",)),
    UserConfig(name="uwe", password=_HASH, roles=("Role1",)),
)
BY_ROLE = {"Administrator": "ann", "DataProtection": "dora", "Auditor": "otto", "User": "uwe"}
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Answer:
    """An answer."""

    status: int
    headers: Any
    text: str

    @property
    def location(self) -> str | None:
        """Where it sends the browser."""
        found: str | None = self.headers.get("Location")
        return found

    @property
    def csrf(self) -> str:
        """The token of the page's first form."""
        found = _TOKEN.search(self.text)
        assert found is not None, self.text
        return found[1]


@dataclass
class Browser:
    """One browser with its cookies."""

    app: QuartTrio
    scope: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    async def get(self, path: str, **headers: str) -> Answer:
        """`GET`, following nothing."""
        return await self.ask("GET", path, headers=_named(headers))

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> Answer:
        """Any request."""
        answer = await self.client.open(
            path, method=method, headers=dict(headers or {}), scope_base=self.scope, **rest
        )
        return Answer(answer.status_code, answer.headers, await answer.get_data(as_text=True))

    async def send(
        self, path: str, fields: Mapping[str, Any], page: str | None = None, **headers: str
    ) -> Answer:
        """Send a form as the page `page` has it (`path` without), with that page's token."""
        token = (await self.get(page or path)).csrf
        return await self.ask("POST", path, _named(headers), form={"csrf_token": token, **fields})

    async def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> Answer:
        """Sign in with a user name and a password."""
        return await self.send("/console/sign-in", {"user": name, "password": password, **fields})

    def cookies(self) -> dict[str, Any]:
        """The cookies that it has now, by name."""
        return {cookie.name: cookie for cookie in self.client.cookie_jar or ()}


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Console:
    """A server of one test."""

    engine: Engine
    administration: Administration
    app: QuartTrio

    def browser(self, **scope: Any) -> Browser:
        """A browser that was never here."""
        return Browser(self.app, scope)

    async def signed_in(self, role: str = "Administrator", **fields: str) -> Browser:
        """A browser in which the user of that role is signed in."""
        browser = self.browser()
        answer = await browser.sign_in(BY_ROLE[role], **fields)
        assert answer.status == 303, answer.text
        return browser


@asynccontextmanager
async def console(
    config: Config | None = None, *, clock: ManualClock | None = None
) -> AsyncIterator[Console]:
    """The console of `config`, or of the users above, with a tenant."""
    config = config if config is not None else Config(users=USERS)
    async with open_memory_engine(options=LightOptions(), clock=clock) as engine:
        administration = await Administration.open(engine, config)
        await administration.add_tenant(actor="cli", name="mytenant")
        app = await assembled(engine, config, administration).pages()
        yield Console(engine, administration, app)
