"""T18: recognisable bytes through all three interfaces fall due, and are then looked for in every file, in
every encoding: contents are gone after ``erase_within``, names after the audit period, and the rest stays.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import msgpack
import pytest
import trio

from retain.api.areas import areas_interface
from retain.api.blobs.interface import BlobInterface
from retain.api.config.load import Config, SettingsConfig
from retain.api.settings.interface import Settings
from retain.engine import Engine, Options, State, open_engine
from retain.engine.areas import queries as areas
from retain.engine.audit.verify import verification
from retain.engine.testing import SteppedClock, verify
from retain.journal import RealDisk, scan
from retain.journal.format.whitening import Whitening
from retain.journal.segments.files import list_segments, read_opener
from tests.kit import areas as areas_kit
from tests.kit import settings as settings_kit
from tests.kit.blob_client import KEYS, BlobClient
from tests.kit.crash import SCALE
from tests.kit.server import ROOT

OPTIONS = Options(sweep_interval_s=3600.0, inline_bytes=4096, history_days=5, audit_days=60)
ERASE_WITHIN_S = 24 * 3600
DAY_S = 24 * 3600

LARGE = 6000
"""More than inline bodies have: a payload file."""


class Site:
    """All three interfaces over one engine in a real folder."""

    def __init__(self, engine: Engine, folder: Path, clock: SteppedClock) -> None:
        disk = RealDisk(folder)
        self.engine = engine
        self.folder = folder
        self.clock = clock
        self.areas = areas_kit.Client(engine, areas_interface(engine, Config()), clock, disk)  # type: ignore[arg-type]
        self.settings = settings_kit.Client(
            engine,
            Settings(engine, SettingsConfig(), settings_kit.identity(engine)),
            disk,  # type: ignore[arg-type]
        )
        self.blobs = BlobClient(engine, BlobInterface(engine, Config(), KEYS.get), clock, disk)  # type: ignore[arg-type]

    async def fill(self, life: str) -> None:
        """Markers ``content-<life>-…`` and ``name-<life>-…`` everywhere a client can put any."""
        value, name = f"content-{life}", f"name-{life}"
        body = f"{value}-body-".encode()
        fields: dict[str, str | areas_kit.FilePart] = {
            f"{name}-key": f"{value}-text",
            "long": f"{value}-long-" * 1000,
            "small": areas_kit.FilePart(body + b"small", f"{name}-file"),
            "large": areas_kit.FilePart((body + b"large") * 300, f"{name}-large"),
        }
        answer = await self.areas.post(
            f"/custom/{name}-id/{3600 * 24 * 365}", fields, [("gms_user", f"{name}-user")]
        )
        assert answer.status == 200, answer.text
        answer = await self.areas.post(
            f"/custom/{name}-id/{3600 * 24 * 365}",
            {f"{name}-key": f"{value}-second"},
            [("gms_user", f"{name}-user")],
        )
        assert answer.status == 200, answer.text
        for text in (f'{value}-first \u00e9"', f"{value}-later"):
            method = "POST" if "first" in text else "PUT"
            told = await self.settings.call(
                method, "global", {f"{name}-conf": {"p": text}}, app=f"{name}-app"
            )
            assert told.status in (200, 201, 204), (told.status, told.body)
        if life == "dead":
            await self.blobs.create()
        for part, data in (("small", body + b"small"), ("large", (body + b"large") * 300)):
            headers = [
                ("x-ms-meta-note", f"{value}-meta"),
                ("x-ms-tags", f"t={name}-tag"),
                ("x-ms-blob-content-disposition", f"{name}-disposition"),
            ]
            assert (await self.blobs.put(f"{name}-{part}", data, headers)).status == 201
        block = quote(base64.b64encode(b"b1").decode())
        path = f"/recordings/{name}-blocks"
        assert (
            await self.blobs.send("PUT", f"{path}?comp=block&blockid={block}", body=body + b"block")
        ).status == 201
        listed = b"<BlockList><Latest>" + base64.b64encode(b"b1") + b"</Latest></BlockList>"
        assert (await self.blobs.send("PUT", f"{path}?comp=blocklist", body=listed)).status == 201

    async def end(self) -> None:
        """Everything of the dead ends, each in its way."""
        user = [("gms_user", "name-dead-user")]
        assert (await self.areas.delete("/custom/name-dead-id", user)).status in (200, 204)
        assert (await self.settings.call("DELETE", "global", app="name-dead-app")).status in (200, 204)
        for part in ("small", "large", "blocks"):
            assert (await self.blobs.send("DELETE", f"/recordings/name-dead-{part}")).status == 202

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.engine.sweep()
        await self.engine.erase_due()

    def found(self, marker: str) -> list[str]:
        """The files that hold the marker in any encoding; journal segments also without their whitening."""
        return [name for name, data in self.readable() if any(form in data for form in forms(marker))]

    def readable(self) -> Iterator[tuple[str, bytes]]:
        disk = RealDisk(self.folder)
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.folder)), path.read_bytes()
        for segment in list_segments(disk):
            with disk.open(segment.file) as file:
                identity = read_opener(file, segment).identity
                data = file.pread(0, file.size())
            yield f"{segment.file} in plain", Whitening(identity, segment.number).apply(data, 0)

    def sound(self) -> None:
        report = verification(RealDisk(self.folder))
        assert report.sound, report


def forms(marker: str) -> set[bytes]:
    """The marker as UTF-8, UTF-16, base64 at each alignment, percent-encoded, in JSON escapes, in msgpack."""
    plain = marker.encode()
    found = {plain, marker.encode("utf-16-le"), marker.encode("utf-16-be"), plain.hex().encode()}
    for ahead in range(3):
        encoded = base64.b64encode(bytes(ahead) + plain)
        found.add(encoded[4 if ahead else 0 : -4])
    found.add(quote(marker, safe="").encode())
    found.add("".join(f"%{byte:02X}" for byte in plain).encode())
    found.add("".join(f"\\u{ord(letter):04x}" for letter in marker).encode())
    found.add(json.dumps(marker)[1:-1].encode())
    found.add(msgpack.packb(marker)[1:])
    return found


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


def payload_keys(engine: Engine) -> dict[str, bytes]:
    """Name → key of the payload files that live state stands on."""
    found: dict[str, bytes] = {}
    for area in engine.state.areas.areas.values():
        for value in area[3]:
            key = getattr(getattr(value, "body", None), "key", None)
            if key is not None:
                found[value.body.name] = key  # type: ignore[union-attr]
    for container in engine.state.blobs.containers():
        for blob in container.blobs.values():
            if (key := getattr(blob.body, "key", None)) is not None:
                found[blob.body.name] = key  # type: ignore[union-attr]
    return found


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
