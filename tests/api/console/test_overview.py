"""The overview: figures of the moment, for those who may see them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from retain.api.admin.backups import FILE, Backups
from retain.api.console.figures.charts import HEIGHT, bars, nice
from retain.api.console.figures.traffic import Traffic
from retain.api.web.metrics import Counters
from retain.engine.areas import CreateArea
from retain.engine.core.time import SECOND
from retain.engine.testing import ManualClock
from tests.kit.console import Console, console


async def keep_area(server: Console, ttl: int = 3600) -> None:
    """Make an area that holds one key."""
    fresh = server.engine.entropy(16)
    name = f"{fresh.hex()[:8]}-0000-4000-8000-{'0' * 12}"
    await server.engine.submit(CreateArea(actor="a", name=name, resource=fresh, values={"k": "v"}, ttl=ttl))


async def test_it_shows_what_is_held_and_falls_due() -> None:
    async with console() as server:
        for _ in range(3):
            await keep_area(server)
        await keep_area(server, ttl=20 * 86_400)
        page = await (await server.signed_in()).get("/console")
        assert "4\u00a0areas" in page.text
        areas = page.text.partition('aria-labelledby="c2t"')[2]
        assert re.findall(r"<dt>(\d+ \w+)</dt><dd>(\d+)</dd>", areas)[:3] == [
            ("24 hours", "3"),
            ("7 days", "3"),
            ("30 days", "4"),
        ]
        assert "mytenant/<wbr>recordings" in page.text
        assert "Writing" in page.text


async def test_the_chart_and_its_table_say_the_same() -> None:
    async with console() as server:
        await keep_area(server)
        text = (await (await server.signed_in()).get("/console")).text
        rows = re.findall(r'<td class="r">([\d,]+)</td><td class="r">([\d,]+)</td></tr>', text)
        assert len(rows) == 30
        assert rows[0] == ("0", "1")
        assert all(row == ("0", "0") for row in rows[1:])
        assert text.count('<rect class="barr"') == 1


async def test_an_auditor_sees_it_and_others_do_not() -> None:
    async with console() as server:
        assert "Stored now" in (await (await server.signed_in("Auditor")).get("/console")).text
        own = (await (await server.signed_in("User")).get("/console")).text
        assert "Stored now" not in own
        assert "mytenant" not in own


async def test_a_backup_is_seen_and_remembered(tmp_path: Path) -> None:
    async with console() as server:
        browser = await server.signed_in()
        assert "None yet" in (await browser.get("/console")).text
        await server.administration.backups.create(actor="cli", folder=str(tmp_path / "backup"))
        assert "None yet" not in (await browser.get("/console")).text
        later = Backups(server.engine)
        later.load()
        assert later.last == server.administration.backups.last
        assert later.last is not None


async def test_a_late_backup_is_a_note_with_the_line_that_makes_one(tmp_path: Path) -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await server.administration.backups.create(actor="cli", folder=str(tmp_path / "backup"))
        browser = await server.signed_in()
        assert "The last backup is" not in (await browser.get("/console")).text
        last = server.administration.backups.last
        assert last is not None
        server.administration.backups.last = replace(last, time=last.time - 27 * 3600 * SECOND)
        text = (await browser.get("/console")).text
        assert "The last backup is 27\u00a0h old" in text
        assert "backup create" in text.partition('id="bk-late"')[2][:200]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"time": "x", "seq": 1}', b"\xff"])
async def test_a_note_of_a_backup_that_says_nothing_is_none(content: bytes) -> None:
    async with console() as server:
        server.engine.disk.write_atomic(FILE, content)
        later = Backups(server.engine)
        later.load()
        assert later.last is None


async def test_traffic_is_told_for_the_last_minutes(mock_clock: trio.testing.MockClock) -> None:
    counters = Counters()
    traffic = Traffic(counters)
    for _ in range(90):
        counters.request("areas", "GET", 200, 0.002)
    for _ in range(10):
        counters.request("areas", "GET", 404, 0.02)
    mock_clock.jump(100)
    found = traffic.rates()
    assert found.seconds == 100
    (row,) = found.rows
    assert (row.name, row.per_second, row.refused) == ("areas", 1.0, 0.1)
    assert (row.median, row.slowest) == (0.0025, 0.025)
    mock_clock.jump(1000)
    assert traffic.rates().rows[0].per_second == 0
    assert traffic.rates().rows[0].median is None


@pytest.mark.parametrize(("most", "top"), [(1, 1), (7, 8), (10, 10), (11, 20), (3000, 3000), (3001, 4000)])
def test_the_top_of_a_chart_is_a_round_number(most: int, top: int) -> None:
    assert nice(most) == top


def test_a_bar_is_as_high_as_its_share_and_never_invisible() -> None:
    top, drawn = bars([0, 1, 500, 1000], 0, 1)
    assert top == 1000
    assert [bar.height for bar in drawn] == [0, 1.0, HEIGHT / 2, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in drawn[2:])
