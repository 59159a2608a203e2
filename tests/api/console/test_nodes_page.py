"""The console's page of the nodes of a cluster, over a shared log in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from retain.api.console.routes import NODE_ROUTES, ROUTES
from retain.api.identity.roles import Role
from retain.api.nodes.actions import NodeActions
from retain.engine.core.time import SECOND
from retain.engine.nodes.node import NodeEngine
from tests.kit.console import Answer, Browser, Console, console
from tests.kit.node_console import opened
from tests.kit.nodes import Site, begun, run_idle, until
from tests.kit.server import ROOT

PAGE = "/console/nodes"
SPARE_S = 30
"""Seconds by which a look lies ahead, so that the clock does not make it old."""


pytestmark = pytest.mark.trio(run=run_idle)


@asynccontextmanager
async def served(site: Site, name: str = "a", *, takes_part: bool = True) -> AsyncIterator[Console]:
    """The pages of one node."""
    async with opened(site, name, takes_part=takes_part) as (engine, administration, app):
        yield Console(engine, administration, await app.pages())


def node(server: Console) -> NodeEngine:
    assert isinstance(server.engine, NodeEngine)
    return server.engine


async def once(browser: Browser, *words: str, seconds: float = 60.0) -> Answer:
    """The page, once it has these words: nodes report from time to time."""
    with trio.fail_after(seconds):
        while True:
            answer = await browser.get(PAGE)
            assert answer.status == 200, answer.text
            if all(word in text_of(answer) for word in words):
                return answer
            await trio.sleep(0.05)


def text_of(answer: Answer) -> str:
    text = answer.text.partition("<main")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text).replace("&nbsp;", " ").replace("\xa0", " "))


def rows_of(answer: Answer) -> dict[str, list[str]]:
    """The cells of the table by node, as a wide screen shows them."""
    found = {}
    for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", answer.text, re.DOTALL):
        row = re.sub(r'<span class="sub only-phone">.*?</span>|<span class="sr">.*?</span>', "", row)
        link = re.search(r'<span class="sub"><code>(.*?)</code></span>', row)
        assert link is not None
        row = row.replace(link[0], "")
        cells = [
            re.sub(r"<[^>]+>", "", cell).strip()
            for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)
        ]
        found[cells[0]] = [*cells[1:], link[1]]
    return found


async def test_the_page_shows_who_leads_and_how_far_each_node_is() -> None:
    site = begun()
    site.releases["b"] = "2"
    async with served(site) as server, site.node("b") as follower:
        await until(lambda: follower.role == "follower" and follower.durable == server.engine.durable)
        answer = await once(await server.signed_in(), "2 of 2", "different releases: 1, 2")
        record = f"{server.engine.durable:,}"
        while [row[1] for row in rows_of(answer).values()] != [record] * 2:  # as of their next reports
            answer = await once(await server.signed_in(), f"Copied to {record} ")
        rows = rows_of(answer)
        assert rows["a"] == ["leads", record, "0", rows["a"][3], "now", "1", "a"]
        assert rows["b"] == ["follows", record, "0", rows["b"][3], "now", "2", "b"]
        assert "epoch 1" in text_of(answer)
        assert "does not answer" not in text_of(answer)
        assert 'aria-current="page">' in answer.text


async def test_a_follower_has_the_page_too() -> None:
    site = begun()
    async with served(site) as leader, served(site, "b") as server:
        answer = await once(await server.signed_in(), "2 of 2", "as node b sees them")
        assert rows_of(answer)["a"][0] == "leads"
        assert "follows since" in text_of(answer)
        assert node(leader).role == "leader"


async def test_a_node_that_stopped_is_away_and_can_be_forgotten_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = begun()
    async with served(site) as server:
        async with site.node("b<") as follower:
            await until(lambda: follower.role == "follower")
            await once(await server.signed_in(), "2 of 2")
        browser = await server.signed_in()
        reports = node(server).reports
        before = reports.look
        monkeypatch.setattr("retain.engine.nodes.reports.REPORT_S", 1e6)
        await until(lambda: reports.look is not before)  # the last one
        look = reports.look
        assert look is not None
        for age, forgotten in ((15, False), (90, True)):
            nodes = tuple(
                one._replace(age=age + SPARE_S if one.name == "b<" else one.age) for one in look.nodes
            )
            ahead = node(server).elapsed() + SPARE_S * SECOND
            reports.look = look._replace(nodes=nodes, elapsed=ahead)
            answer = await browser.get(PAGE)
            assert "b&lt; is away" in text_of(answer)
            assert rows_of(answer)["b&lt;"][0] == "away"
            assert "1 of 2" in text_of(answer)
            assert ("retain node forget b&lt;" in answer.text) is forgotten


async def test_a_silent_shared_log_is_said_and_what_was_seen_stays() -> None:
    site = begun()
    async with served(site) as server:
        browser = await server.signed_in()
        await once(browser, "1 of 1")
        site.server.down = True
        answer = await once(browser, "The shared log does not answer", "shows what this node saw last")
        assert list(rows_of(answer)) == ["a"]
        site.server.down = False
        await until(lambda: node(server).reports.answered)


async def test_without_any_answer_the_page_is_empty_and_says_so() -> None:
    """As if the shared log had been silent since the start; this node answers nobody, but signs in."""
    site = begun()
    async with served(site, takes_part=False) as server:
        browser = await server.signed_in()
        site.server.down = True
        reports = node(server).reports
        await until(lambda: not reports.answered)
        reports.look = None
        answer = await browser.get(PAGE)
        assert answer.status == 200
        assert "No report was seen yet" in answer.text
        assert "The shared log does not answer" in answer.text
        assert "a, answers no requests" in text_of(answer)


async def test_who_leads_is_judged_as_of_the_look_however_short_the_lease_is() -> None:
    site = begun()
    async with served(site) as server:
        await until(lambda: node(server).reports.look is not None)
        look = node(server).reports.look
        assert look is not None
        for remaining, age, leader in ((1.0, 3, "a"), (0.0, 0, ""), (-1.0, 0, "")):
            head = look.head._replace(leader="a", remaining=remaining)
            at = node(server).elapsed() - age * SECOND
            node(server).reports.look = look._replace(head=head, elapsed=at)
            found = await NodeActions(node(server)).list_nodes(actor="x")
            assert (found["leader"], found["silent"]) == (leader, False)


async def test_a_look_that_is_old_counts_as_silence() -> None:
    site = begun()
    async with served(site) as server:
        await until(lambda: node(server).reports.look is not None)
        look = node(server).reports.look
        assert look is not None
        node(server).reports.look = look._replace(elapsed=look.elapsed - 11 * SECOND)
        found = await NodeActions(node(server)).list_nodes(actor="x")
        assert (found["silent"], found["nodes"][0]["role"], found["leader"]) == (True, "away", "")


async def test_only_administrators_see_it_and_only_on_a_node() -> None:
    async with served(begun()) as server:
        for role in Role:
            browser = await server.signed_in(role)
            answer = await browser.get(PAGE)
            assert answer.status == (200 if role is Role.ADMINISTRATOR else 403)
            assert (f'href="{PAGE}"' in answer.text) is (role is Role.ADMINISTRATOR)
        stranger = await server.browser().get(PAGE)
        assert (stranger.status, "/console/sign-in" in (stranger.location or "")) == (303, True)
    async with console() as alone:
        answer = await (await alone.signed_in()).get(PAGE)
        assert answer.status == 404
        assert f'href="{PAGE}"' not in answer.text


async def test_the_page_is_documented() -> None:
    text = (ROOT / "docs" / "console.md").read_text()
    assert {route.path for route in NODE_ROUTES}.isdisjoint(route.path for route in ROUTES)
    assert all(f"`{route.path}`" in text for route in NODE_ROUTES)
