"""The page of a cluster's nodes, in a browser."""

from __future__ import annotations

from typing import Any

import pytest

from retain.engine.nodes.members import members
from retain.journal.shared.interface import NodeReport
from tests.console.test_large_data import fits
from tests.kit.chromium import watched
from tests.kit.console import BY_ROLE, PASSWORD
from tests.kit.node_console import served

PAGE = "/console/nodes"
REGION = "europe-west-frankfurt-hall-3-rack-17"
OTHERS = tuple(
    NodeReport(
        name=f"node-of-{REGION}-{number}",
        url=f"https://node-{number}.{REGION}.storage.production.internal.a-company-with-a-long-name.example:8443",
        release="0.1.0" if number % 3 else "0.1.0.dev20261129+gdeadbeefcafe",
        durable=12_345_678 - 1_000_003 * number,
        overwritten=11_345_678 - 1_000_003 * number,
        age=(0.5, 0.9, 700.0, 90_000.0, 4_000_000.0)[number % 5],
    )
    for number in range(7)
)


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


def test_nine_nodes_with_long_names_and_addresses_fit_every_window(
    browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "retain.api.nodes.actions.members",
        lambda head, nodes, later: members(head, (*nodes, *OTHERS), later),
    )
    with served() as node, watched(browser, node.url) as seen:
        seen.sign_in(BY_ROLE["Administrator"], PASSWORD, PAGE)
        assert seen.page.get_by_role("row").count() == 10
        assert fits(seen, "nodes") == []
        assert seen.findings() == []
