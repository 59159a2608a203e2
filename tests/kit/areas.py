"""A client of the areas interface without a network: requests in, whole answers out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from retain.api.areas import areas_interface
from retain.api.config.load import AreasConfig, Config, ServerConfig
from retain.api.http.message import Mounted
from retain.engine import Engine, Options
from retain.engine.testing import SteppedClock
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import payload_files
from tests.kit.engines import LightOptions
from tests.kit.requests import content_of, make_request
from tests.kit.spread import opened

BOUNDARY = "----WebKitFormBoundaryPu8S1YopPtZq8Z54"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
STORAGE = "/genesys/1/storage"
FORM = "application/x-www-form-urlencoded"
URLENCODED = ("Content-Type", FORM)
QUIET = LightOptions(sweep_interval_s=3600.0)

Pairs = Iterable[tuple[str, str]]


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FilePart:
    """A part with a file name."""

    data: bytes
    filename: str = "file.bin"
    media_type: str | None = None
    headers: str = ""


def multipart(fields: Iterable[tuple[str, str | bytes | FilePart]], boundary: str = BOUNDARY) -> bytes:
    """A multipart form as a browser sends it."""
    body = b""
    for name, value in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if isinstance(value, FilePart):
            body += f'; filename="{value.filename}"'.encode()
            if value.media_type is not None:
                body += f"\r\nContent-Type: {value.media_type}".encode()
            body += value.headers.encode() + b"\r\n\r\n" + value.data
        else:
            body += b"\r\n\r\n" + (value.encode() if isinstance(value, str) else value)
        body += b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def multipart_type(boundary: str = BOUNDARY) -> tuple[str, str]:
    return ("Content-Type", f"multipart/form-data; boundary={boundary}")


class Client:
    """Talks to the interface over an engine on a memory disk."""

    def __init__(self, engine: Engine, interface: Mounted, clock: SteppedClock, disk: MemoryDisk) -> None:
        self.engine = engine
        self.interface = interface
        self.clock = clock
        self.disk = disk

    async def send(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", **more: Any
    ) -> Answer:
        response = await self.interface.handle(make_request(method, target, headers, body, **more))
        content = await content_of(response)
        assert response.length is None or method == "HEAD" or response.length == len(content)
        names = [name for name, _ in response.headers]
        assert len(set(names)) == len(names), "a header is there twice"
        return Answer(response.status, dict(response.headers), content)

    async def get(self, path: str, headers: Pairs = (), **more: Any) -> Answer:
        return await self.send("GET", STORAGE + path, headers, **more)

    async def delete(self, path: str, headers: Pairs = ()) -> Answer:
        return await self.send("DELETE", STORAGE + path, headers)

    async def post(
        self, path: str, fields: dict[str, str | FilePart] | None = None, headers: Pairs = ()
    ) -> Answer:
        """A form: multipart if it has a file, else urlencoded."""
        fields = fields or {}
        if any(isinstance(value, FilePart) for value in fields.values()):
            kind, body = multipart_type(), multipart(fields.items())
        else:
            pairs = (f"{quote(key)}={quote(str(value))}" for key, value in fields.items())
            kind, body = URLENCODED, "&".join(pairs).encode()
        return await self.send("POST", STORAGE + path, [kind, *headers], body)

    async def post_multipart(
        self, path: str, fields: Iterable[tuple[str, str | bytes | FilePart]], headers: Pairs = ()
    ) -> Answer:
        return await self.send("POST", STORAGE + path, [multipart_type(), *headers], multipart(fields))

    async def create(self, fields: dict[str, str | FilePart] | None = None, ttl: str | int = 3600) -> str:
        """A plain area; its id."""
        answer = await self.post(f"/{ttl}", fields)
        assert answer.status == 200, answer.text
        name: str = answer.json()["id"]
        return name

    def payload_files(self) -> list[str]:
        """Names of all payload files, finished or not."""
        return payload_files(self.disk)


@asynccontextmanager
async def areas_client(
    *, server: dict[str, Any] | None = None, options: Options = QUIET, **settings: Any
) -> AsyncIterator[Client]:
    """A client of an interface with these settings of the section `areas`; the engine is verified at the
    end."""
    config = replace(
        Config(), areas=replace(AreasConfig(), **settings), server=replace(ServerConfig(), **(server or {}))
    )
    clock, disk = SteppedClock(), MemoryDisk()
    async with opened(disk, clock, options) as (engine, served):
        interface = served.interface(lambda access: areas_interface(access, config))
        yield Client(engine, interface, clock, disk)


async def stored(client: Client, answer: Answer) -> dict[str, str]:
    """What the area has that an answer names."""
    assert answer.status == 200, answer.text
    found: dict[str, str] = (await client.get(f"/{answer.json()['id']}")).json()
    return found


async def post(client: Client, body: bytes, kind: str | None, *headers: tuple[str, str]) -> Answer:
    """Send a body as the form of a new area."""
    sent = [("Content-Type", kind)] if kind is not None else []
    return await client.send("POST", f"{STORAGE}/60", [*sent, *headers], body)


def part(head: str, data: bytes = b"v") -> bytes:
    """A multipart body of one part, with this head."""
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode("latin-1") + data + f"\r\n--{BOUNDARY}--\r\n".encode()
