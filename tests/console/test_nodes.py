"""The page of a cluster's nodes, in a browser."""

from __future__ import annotations

from typing import Any

from tests.kit.chromium import watched
from tests.kit.console import BY_ROLE, PASSWORD
from tests.kit.node_console import served

PAGE = "/console/nodes"


def test_it_fits_and_says_when_the_shared_log_is_silent(browser: Any) -> None:
    with served() as node, watched(browser, node.url) as seen:
        seen.sign_in(BY_ROLE["Administrator"], PASSWORD, PAGE)
        seen.fits()
        assert seen.page.get_by_role("row").count() == 3
        assert node.site is not None
        node.site.server.down = True
        note = seen.page.get_by_role("heading", name="The shared log does not answer")
        while not note.count():
            seen.page.wait_for_timeout(100)
            seen.open(PAGE)
        assert seen.findings() == []
        assert seen.page.get_by_role("row").count() == 3, "what was seen last"
