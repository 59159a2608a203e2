"""The overview: figures of the moment, for those who may see them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import trio

from retain.api.admin.backups import FILE, Backups
from retain.api.config.interfaces import SettingsConfig
from retain.api.config.load import Config
from retain.api.console.figures.charts import HEIGHT, bars, nice
from retain.api.console.figures.traffic import Traffic
from retain.api.web.metrics import Counters
from retain.engine import EngineAccess, Statistics
from retain.engine.areas import CreateArea
from retain.engine.core.time import SECOND
from retain.engine.holds import HoldKind, SetHold
from retain.engine.settings import Asker, EncodedValue, Level, Place, PutValue, SettingsPolicy
from retain.engine.testing import ManualClock
from tests.kit.console import USERS, Console, console


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
        assert '<dd>1.1\u00a0TB</dd><dd class="why">free of 1.1\u00a0TB, 100\u00a0%</dd>' in page.text


async def test_the_chart_and_its_table_say_the_same() -> None:
    async with console() as server:
        await keep_area(server)
        text = (await (await server.signed_in()).get("/console")).text
        rows = re.findall(
            r'<td class="r">([\d,]+)</td><td class="r">([\d,]+)</td><td class="r">([\d,]+)</td></tr>', text
        )
        assert len(rows) == 30
        assert rows[0] == ("0", "1", "0")
        assert all(row == ("0", "0", "0") for row in rows[1:])
        assert text.count('<rect class="barr"') == 1


async def write_setting(server: Console, number: int, application: str = "desk") -> None:
    """Write an application's document whole."""
    await server.engine.submit(
        PutValue(
            actor="a",
            asker=Asker("ann", admin=True),
            place=Place(application, Level.GLOBAL),
            path=(),
            resource=server.engine.entropy(16),
            policy=SettingsPolicy(put_creates=True),
            body=EncodedValue.of({"sound": {"volume": number}}),
        )
    )


async def test_earlier_versions_of_settings_have_a_chart() -> None:
    clock = ManualClock()
    config = replace(Config(users=USERS), settings=SettingsConfig(history_days=10))
    async with console(config, clock=clock) as server:
        for number in range(3):
            await write_setting(server, number)
        text = (await (await server.signed_in()).get("/console")).text
        chart = text.partition('aria-labelledby="c3t"')[2].partition("</svg>")[0]
        assert re.findall(r'<rect class="barr".*?<title>.*: (.*?)</title>', chart) == [
            "2\u00a0earlier versions"
        ]
        assert "Earlier versions due on each of the next 30 days: 2 in all" in chart
        counts = re.findall(r"<dt>(\d+ \w+)</dt><dd>(\d+)</dd>", text.partition('aria-labelledby="c3t"')[2])
        assert counts == [("24 hours", "0"), ("7 days", "0"), ("30 days", "2")]
        rows = re.findall(3 * r'<td class="r">([\d,]+)</td>' + "</tr>", text)
        assert [row for row in rows if row != ("0", "0", "0")] == [("0", "0", "2")]


async def test_what_is_under_a_hold_is_counted_where_it_is() -> None:
    async with console() as server:
        await write_setting(server, 1)
        await write_setting(server, 1, application="other")
        targets = (
            (HoldKind.DOCUMENT, ("desk", Level.GLOBAL, "", "")),
            (HoldKind.CONTAINER, ("mytenant", "recordings")),
        )
        for kind, names in targets:
            number = server.engine.entropy(16)
            await server.engine.submit(
                SetHold(actor="a", hold_id=number, kind=kind, names=names, reason="case 1")
            )
        text = (await (await server.signed_in()).get("/console")).text
        head = text.partition('id="by-h"')[2]
        assert "Under hold" in head
        rows = dict(
            re.findall(r'<th scope="row" class="name">(.*?)</th>.*?(?:<td.*?</td>){2}<td.*?>(\d+)<', head)
        )
        seen = {re.sub(r"<[^>]+>", "", name): count for name, count in rows.items()}
        assert (seen["settings/desk"], seen["settings/other"]) == ("1", "0")
        assert text.count("1 under a hold") == 1


async def test_the_strip_has_both_lags_in_time_not_in_records() -> None:
    async with console() as server:
        text = (await (await server.signed_in()).get("/console")).text
        strip = text.partition('<dl class="strip">')[2].partition("</dl>")[0]
        assert re.search(r"Durability lag</dt><dd>0 <span class=\"unit\">ms</span>", strip)
        assert re.search(r"Erasure lag</dt><dd>0\u00a0s</dd><dd class=\"why\">bound 24\u00a0h; ", strip)


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
    assert found.durable is None
    (row,) = found.rows
    assert (row.name, row.per_second, row.refused) == ("areas", 1.0, 0.1)
    assert (row.median, row.slowest) == (0.0025, 0.025)
    mock_clock.jump(1000)
    assert traffic.rates().rows[0].per_second == 0
    assert traffic.rates().rows[0].median is None


async def test_durability_is_told_for_the_last_minutes(mock_clock: trio.testing.MockClock) -> None:
    counters = Counters()
    synced: list[Callable[[float], None]] = []

    class Engine:
        def on_sync(self, callback: Callable[[float], None]) -> None:
            synced.append(callback)

        def statistics(self) -> Statistics:
            return Statistics(0, 0, 0, 0, 0, full=False, failure="", payload_files=0)

    counters.watch(cast("EngineAccess", Engine()), lambda: 0)
    traffic = Traffic(counters)
    for number in range(100):
        synced[0](0.5 if number == 0 else 0.004)
    mock_clock.jump(100)
    assert traffic.rates().durable == 0.005
    mock_clock.jump(1000)
    assert traffic.rates().durable is None
    synced[0](60.0)
    assert traffic.rates().durable == math.inf


@pytest.mark.parametrize(("most", "top"), [(1, 1), (7, 8), (10, 10), (11, 20), (3000, 3000), (3001, 4000)])
def test_the_top_of_a_chart_is_a_round_number(most: int, top: int) -> None:
    assert nice(most) == top


def test_a_bar_is_as_high_as_its_share_and_never_invisible() -> None:
    top, drawn = bars([0, 1, 500, 1000], 0, 1)
    assert top == 1000
    assert [bar.height for bar in drawn] == [0, 1.0, HEIGHT / 2, HEIGHT]
    assert all(bar.y + bar.height == HEIGHT for bar in drawn[2:])
