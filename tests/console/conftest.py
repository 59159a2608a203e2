"""A real server with one user of each role, and a real browser.

Both last as long as a module: Playwright keeps an event loop in this thread, which Trio's tests in other
modules should not meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest

from retain.api.identity import hash_password
from tests.kit.chromium import Watched, chromium, watched
from tests.kit.server import running
from tests.kit.site import PASSWORD, Site

_HASH = hash_password(PASSWORD)
CONFIG = "".join(
    f'[[users]]\nname = "{name}"\npassword = \'{_HASH}\'\nroles = ["{role}"]\n'
    for name, role in (("ann.keller", "Administrator"), ("otto.weiss", "Auditor"), ("uwe.lang", "Agent"))
)
CONFIG = "[log]\nrequests = true\n" + CONFIG
CONFIG += '[[tenants]]\nname = "harbour"\ncontainers = ["recordings", "gim-export", "voicemail"]\n'

Open = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server, with a tenant `harbour`."""
    with running(tmp_path_factory.mktemp("console"), CONFIG) as server:
        yield Site(server)
        assert "error of ours" not in server.log()
        assert "sig=" not in server.log()


@pytest.fixture
def page(browser: Any, site: Site) -> Open:
    """Opens a page, for `with page(width=390, color_scheme="dark") as seen:`."""
    return partial(watched, browser, site.server.url)
