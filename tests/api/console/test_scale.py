"""A page costs what it shows: four times as many entries make it run no more lines of code.

`retain bench run console` measures the same pages in time, with a million blobs and a million areas.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import trio

import retain
from retain.engine.testing import ManualClock
from tests.api.console.test_areas_page import make
from tests.api.console.test_containers_page import AT, at, put
from tests.kit.console import Browser, Console, console

OURS = str(Path(retain.__file__).parent)
FEW, MANY = 130, 520
PAGES = (
    "/console",
    "/console/tokens",
    "/console/containers",
    AT,
    at(prefix="0/"),
    at(prefix="0/00"),
    at(after="0/000020.wav", prefix="0/"),
    at(where="Kind = 'rare'"),
    at(where="Kind = 'none'"),
    at("/blob", name="0/000002.wav"),
    at("/retention"),
    at("/retention", keep="days", days="29"),
    at("/remove"),
    at("/holds"),
    "/console/areas",
    "/console/settings",
    "/console/persons",
)


async def fill(server: Console, count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            name = f"{number % 2}/{number:06}.wav"
            tags = {"Kind": "rare" if number % (count // 4) == 0 else "common"}
            nursery.start_soon(lambda name=name, tags=tags: put(server, name, tags=tags))
            nursery.start_soon(make, server, f"area-{number:06}", 3600 + number)


async def lines_of(browser: Browser, path: str) -> int:
    """How many lines of ours run in this thread until a page is answered."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if event == "call":
            return trace if frame.f_code.co_filename.startswith(OURS) else None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        answer = await browser.get(path)
    finally:
        sys.settrace(before)
    assert answer.status == 200, f"{path}: {answer.status}"
    return count


async def test_no_page_runs_more_lines_for_four_times_as_many_entries() -> None:
    counts: dict[int, dict[str, int]] = {}
    for number in (FEW, MANY):
        async with console(clock=ManualClock()) as server:
            await fill(server, number)
            browser = await server.signed_in()
            listed = (await browser.get("/console/areas")).text
            area = re.search(r'href="(/console/areas/area[^"]+)"', listed)
            assert area is not None
            counts[number] = {path: await lines_of(browser, path) for path in PAGES}
            counts[number]["area"] = await lines_of(browser, area[1].replace("&amp;", "&"))
    grown = {path: (few, counts[MANY][path]) for path, few in counts[FEW].items()}
    assert {path: pair for path, pair in grown.items() if pair[1] > pair[0] + (MANY - FEW) // 2} == {}
