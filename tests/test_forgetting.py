"""T18: recognisable bytes through all three interfaces fall due, and are then looked for in every file, in
every encoding: contents are gone after ``erase_within``, names after the audit period, and the rest stays.
"""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from retain.engine import State, open_engine
from retain.engine.areas import queries as areas
from retain.engine.audit.verify import verification
from retain.engine.testing import SteppedClock, verify
from retain.journal import RealDisk, scan
from tests.kit.crash import SCALE
from tests.kit.forgetting import DAY_S, ERASE_WITHIN_S, OPTIONS, Site, payload_keys
from tests.kit.server import ROOT


@asynccontextmanager
async def opened(folder: Path, clock: SteppedClock) -> AsyncIterator[Site]:
    async with open_engine(folder, clock=clock, options=OPTIONS) as engine:
        yield Site(engine, folder, clock)
        await verify(engine)


@pytest.mark.slow
async def test_what_ended_is_nowhere_and_what_lives_is_where_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    folder, clock = tmp_path / "data", SteppedClock()
    async with opened(folder, clock) as site:
        await site.fill("dead")
        await site.fill("alive")
        await site.engine.take_snapshot()
        for marker in ("content-dead", "name-dead", "content-alive", "name-alive"):
            assert site.found(marker), marker
        keys = payload_keys(site.engine)
        site.sound()
        await site.end()
        assert site.found("content-dead")
        await site.pass_time(ERASE_WITHIN_S)
        assert site.found("content-dead") == []
        assert site.found("name-dead"), "who did what is kept for the audit period"
        gone = keys.keys() - payload_keys(site.engine).keys()
        assert len(gone) == 3, "the area's long text and large file, the large blob"
        for name in gone:
            assert not any(keys[name] in data for _, data in site.readable())
            assert name not in {path.name for path in folder.rglob("*")}
        assert site.found("content-alive")
        site.sound()
        assert site.found("content-alive-text") == [], "an overwritten text goes"
        assert site.found("content-alive-first"), "an earlier version of settings is history"
        await site.pass_time(6 * DAY_S)
        assert site.found("content-alive-first") == []
        site.sound()
    async with opened(folder, clock) as site:
        assert site.found("content-dead") == []
        await site.pass_time(60 * DAY_S)
        assert site.found("name-dead") == []
        assert site.found("content-dead") == []
        site.sound()
        answer = await site.areas.get("/custom/name-alive-id", [("gms_user", "name-alive-user")])
        assert "content-alive-second" in answer.text
        told = await site.settings.call("GET", "global", app="name-alive-app")
        assert b"content-alive-later" in told.body
        assert site.found("content-alive-meta") == [], "recordings end after 30 days"
    for marker in ("content-dead", "name-dead"):
        assert marker not in caplog.text
    async with opened(folder, clock) as site:
        assert site.found("name-dead") == []
        site.sound()


@pytest.mark.slow
@pytest.mark.parametrize("campaign", range(SCALE))
async def test_a_killed_process_is_made_up_for(tmp_path: Path, campaign: int) -> None:
    folder = tmp_path / "data"
    kept: dict[str, str] = {}
    ended: set[str] = set()
    pick = random.Random(campaign)
    for _ in range(6):
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.kit.forgetful", str(folder)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout is not None
        told, wanted = b"", 3 + pick.randrange(60)
        while told.count(b"ended") < wanted:
            told += await process.stdout.receive_some()
        process.kill()
        while more := await process.stdout.receive_some():
            told += more
        await process.wait()
        for line in told.decode().splitlines(keepends=True):
            if line.endswith("\n"):
                what, name, text = line.split()
                if what == "kept":
                    kept[name] = text
                else:
                    ended.add(text)
    async with open_engine(folder) as engine:
        await engine.erase_due()
        await verify(engine)
        left = b"".join((record.content or b"") for record in scan(RealDisk(folder)))
        left += b"".join(path.read_bytes() for path in folder.glob("snapshot-*"))
        assert [text for text in ended if text.encode() in left] == []
        for name, text in kept.items():
            assert await engine.read(partial(short, name)) == text
    assert len(ended) > 20
    assert verification(RealDisk(folder)).sound


def short(name: str, state: State, now: int) -> object:
    return areas.value(state.areas, name, None, "short", now)
