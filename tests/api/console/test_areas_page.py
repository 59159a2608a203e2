"""The page of areas: order, paging, search, and what auditors must not see."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from retain.engine.areas.commands import AreasPolicy, CreateArea, NewFile
from retain.engine.core.body import Inline
from retain.engine.holds import HoldKind, SetHold
from tests.kit.console import Answer, Console, console

PAGE = "/console/areas"
EVIL = "<script>alert(1)</script>"


async def make(
    server: Console, name: str, ttl: int, *, user: str | None = None, **values: str | NewFile
) -> None:
    """Make an area as a client does."""
    await server.engine.submit(
        CreateArea(
            actor="client",
            name=name,
            user=user,
            resource=server.engine.entropy(16),
            values=values or {"k": "v"},
            ttl=ttl,
            policy=AreasPolicy(),
        )
    )


def labels(answer: Answer) -> list[str]:
    """What the list shows, in order."""
    rows = re.findall(r'<tr><th scope="row" class="name">(.*?)<span class="sub', answer.text)
    return [re.sub(r"<[^>]+>", "", row) for row in rows]


async def test_areas_are_listed_the_next_to_end_first_and_page_without_gap() -> None:
    async with console() as server:
        wanted = [f"area-{number:03}" for number in range(120)]
        for number, name in enumerate(wanted):
            await make(server, name, 100 + number // 7)
        browser = await server.signed_in()
        found: list[str] = []
        path: str | None = PAGE
        while path is not None:
            answer = await browser.get(path)
            found += labels(answer)
            following = re.search(r'rel="next" href="([^"]*)"', answer.text)
            path = following[1] if following else None
            back = re.search(r'rel="prev" href="([^"]*)"', answer.text)
            if back is not None:
                before = found[: -len(labels(answer))][-50:]
                assert labels(await browser.get(back[1])) == before
        assert found == wanted


@pytest.mark.parametrize("after", ["x", "-", "1-", f"{'9' * 40}-0", "1-2-3", EVIL, "٣-1"])
async def test_a_mistyped_page_is_the_first(after: str) -> None:
    async with console() as server:
        await make(server, "one", 60)
        browser = await server.signed_in()
        answer = await browser.get(f"{PAGE}?after={quote(after)}")
        assert (answer.status, labels(answer)) == (200, ["one"])
        assert EVIL not in answer.text


async def test_a_search_finds_by_id_by_customer_and_all_of_a_customer() -> None:
    async with console() as server:
        await make(server, "plain", 60)
        await make(server, "cart", 60, user="4711")
        await make(server, "letter", 60, user="4711")
        browser = await server.signed_in()
        for asked, wanted in (
            ("plain", ["plain"]),
            ("4711/cart", ["4711/cart"]),
            ("4711/", ["4711/cart", "4711/letter"]),
            ("4711/*", ["4711/cart", "4711/letter"]),
            ("nothing", []),
            ("4712/", []),
            ("\0" + "4711\0cart", []),
            (EVIL, []),
        ):
            answer = await browser.get(f"{PAGE}?q={quote(asked)}")
            assert (answer.status, labels(answer)) == (200, wanted), asked
            assert EVIL not in answer.text


async def test_auditors_see_neither_values_nor_ids_that_open_an_area() -> None:
    async with console() as server:
        await make(server, "secret-id", 60, pin="hush")
        await make(server, "cart", 60, user="4711")
        browser = await server.signed_in("Auditor")
        answer = await browser.get(PAGE)
        assert answer.status == 200
        assert "secret-id" not in answer.text
        assert "hush" not in answer.text
        assert {label.split()[0] for label in labels(answer)} == {"area", "4711/cart"}
        assert labels(await browser.get(f"{PAGE}?q=secret-id")) == [], "no way to guess ids"
        for part in ("/area?id=secret-id", "/area/file?id=secret-id&key=pin"):
            assert (await browser.get(f"{PAGE}{part}")).status == 403


async def test_an_area_shows_its_values_and_runs_nothing() -> None:
    async with console() as server:
        page = NewFile(
            filename=f"{EVIL}.html", media_type="text/html", body=Inline(EVIL.encode(), b"\0" * 16)
        )
        values: dict[str, str | NewFile] = {"text": EVIL, "long": "x" * 3000, "file": page}
        await make(server, "one", 60, **values)
        browser = await server.signed_in()
        answer = await browser.get(f"{PAGE}/area?id=one")
        assert (answer.status, EVIL in answer.text) == (200, False)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        assert "x" * 2001 not in answer.text
        for key, body in (("file", EVIL), ("long", "x" * 3000), ("text", EVIL)):
            saved = await browser.get(f"{PAGE}/area/file?id=one&key={key}")
            assert (saved.status, saved.text) == (200, body)
            assert saved.headers["Content-Type"] == "application/octet-stream"
            assert saved.headers["Content-Disposition"].startswith("attachment;")
            assert "sandbox" in saved.headers["Content-Security-Policy"]
        for path in ("/area?id=two", "/area", "/area/file?id=one&key=none", "/area?id=one&user=4711x%00"):
            assert (await browser.get(f"{PAGE}{path}")).status in (200, 404)
        assert (await browser.get(f"{PAGE}/area?id=two")).status == 404


async def test_an_area_under_a_hold_is_shown_although_nothing_of_it_ends() -> None:
    async with console() as server:
        await make(server, "cart", 60, user="4711")
        hold = SetHold(
            actor="cli",
            hold_id=server.engine.entropy(16),
            kind=HoldKind.AREA,
            names=("cart", "4711"),
            reason="case",
        )
        await server.engine.submit(hold)
        answer = await (await server.signed_in()).get(PAGE)
        assert "Under a legal hold" in answer.text
        assert labels(answer) == ["4711/cart"]


async def test_without_areas_the_page_says_how_to_make_one() -> None:
    async with console() as server:
        answer = await (await server.signed_in()).get(PAGE)
        assert "No area is stored now" in answer.text
        assert "/genesys/1/storage/3600" in answer.text
