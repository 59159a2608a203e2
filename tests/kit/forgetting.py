"""All three interfaces over one engine, filled with recognisable bytes, and a search for what is left."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import msgpack

from retain.api.areas import areas_interface
from retain.api.blobs.interface import BlobInterface
from retain.api.config.load import Config, SettingsConfig
from retain.api.settings.interface import Settings
from retain.engine import Engine, Options
from retain.engine.audit.verify import verification
from retain.engine.testing import SteppedClock
from retain.journal import RealDisk
from retain.journal.format.whitening import Whitening
from retain.journal.segments.files import list_segments, read_opener
from tests.kit import areas as areas_kit
from tests.kit import settings as settings_kit
from tests.kit.blob_client import KEYS, BlobClient

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

    def whitened(self, wanted: Iterable[bytes]) -> set[bytes]:
        """What stands for these bytes in the journal: at each place another whitening, in each copy the same.

        Of a text that is repeated, what stands for the first of thirty-two.
        """
        found: set[bytes] = set()
        disk = RealDisk(self.folder)
        for segment in list_segments(disk):
            with disk.open(segment.file) as file:
                identity = read_opener(file, segment).identity
                data = file.pread(0, file.size())
            plain = Whitening(identity, segment.number).apply(data, 0)
            for one in wanted:
                places = [match.start() for match in re.finditer(re.escape(one), plain)]
                found |= {data[at : at + len(one)] for at in places[:: 1 if len(places) < 32 else 32]}
        return found

    def sound(self) -> None:
        report = verification(self.engine.disk)
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
