"""A real server with one user of each role, and a real browser.

The server lasts as long as the run, the browser as long as this folder's tests: Playwright keeps an event
loop in this thread, which Trio's tests elsewhere should not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from http.cookiejar import CookieJar
from pathlib import Path
from re import search
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from tests.kit.chromium import ZONE, Watched, chromium, watched
from tests.kit.passwords import cheap_hash
from tests.kit.server import running
from tests.kit.site import PASSWORD, Site

_HASH = cheap_hash(PASSWORD)
ADMINISTRATOR, AUDITOR, USER = "ann.keller", "otto.weiss", "uwe.lang"
CONFIG = "".join(
    f'[[users]]\nname = "{name}"\npassword = \'{_HASH}\'\nroles = ["{role}"]\n'
    for name, role in ((ADMINISTRATOR, "Administrator"), (AUDITOR, "Auditor"), (USER, "Agent"))
)
CONFIG = "[log]\nrequests = true\n" + CONFIG
CONFIG += '[[tenants]]\nname = "harbour"\ncontainers = ["recordings", "gim-export", "voicemail"]\n'

Open = Callable[..., AbstractContextManager[Watched]]


_running = ExitStack()
_browsers: list[Any] = []


@pytest.fixture
def browser() -> Any:
    """Chromium, the same for all tests of this folder."""
    if not _browsers:
        _browsers.append(_running.enter_context(chromium()))
    return _browsers[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """End Chromium after the last test of this folder, or before one of another folder."""
    try:
        return (yield)
    finally:
        if nextitem is None or not nextitem.path.is_relative_to(Path(__file__).parent):
            _browsers.clear()
            _running.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server, with a tenant `harbour`."""
    with running(tmp_path_factory.mktemp("console"), CONFIG) as server:
        yield Site(server)
        assert "unhandled exception" not in server.log()
        assert "sig=" not in server.log()


@cache
def signed_in(base: str, name: str) -> dict[str, Any]:
    """A session of that user, as a browser keeps it; the form itself is for the tests of signing in."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    with opener.open(f"{base}/console/sign-in", timeout=60) as answer:
        token = search(r'name="csrf_token" value="([^"]+)"', answer.read().decode())
    assert token is not None
    fields = {"csrf_token": token[1], "user": name, "password": PASSWORD, "zone": ZONE}
    with opener.open(f"{base}/console/sign-in", urlencode(fields).encode(), timeout=60) as answer:
        assert answer.url == f"{base}/console"
    facts = {"path": "/", "expires": -1, "httpOnly": True, "secure": False, "sameSite": "Strict"}
    kept = [{"name": one.name, "value": one.value, "domain": one.domain, **facts} for one in jar]
    return {"cookies": kept, "origins": []}


@pytest.fixture
def page(browser: Any, site: Site) -> Open:
    """Opens a page, for `with page(user=AUDITOR, width=390, color_scheme="dark") as seen:`."""

    def opened(user: str | None = None, **options: Any) -> AbstractContextManager[Watched]:
        if user is not None:
            options["storage_state"] = signed_in(site.server.url, user)
        return watched(browser, site.server.url, **options)

    return opened
