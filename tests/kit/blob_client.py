"""A client of the Blob interface without a network: requests signed or with a token in, whole answers out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, fromstring

from retain.api.blobs.interface import BlobInterface
from retain.api.blobs.sas import shared_key
from retain.api.blobs.sas.fields import encode_signature, sign
from retain.api.blobs.sas.issue import issue_account_sas, issue_service_sas
from retain.api.blobs.wire.times import http_date
from retain.api.config.load import BlobsConfig, Config, ServerConfig
from retain.engine import Engine, Options
from retain.engine.blobs.container_commands import ConfigureRetention
from retain.engine.testing import EPOCH, SteppedClock
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import payload_files
from tests.kit.engines import LightOptions
from tests.kit.requests import content_of, make_request
from tests.kit.spread import opened

ACCOUNT = "tenant"
KEYS = {ACCOUNT: (b"new key", b"old key"), "second": (b"key of the second",)}
VERSION = "2026-10-06"
HOUR = 3600 * 10**9
QUIET = LightOptions(sweep_interval_s=3600.0)
HOST = "retain.test:8080"

Pairs = Iterable[tuple[str, str]]


def readable(name: str) -> str:
    """The URL of a blob of the recordings, with a token that reads it and its tags: a source for any copy."""
    token = issue_service_sas(
        KEYS[ACCOUNT][0],
        account=ACCOUNT,
        container="recordings",
        permissions="rt",
        expiry=EPOCH + 24 * HOUR,
    )
    return f"http://{HOST}/{ACCOUNT}/recordings/{name}?{token}"


@dataclass
class Answer:
    """A whole answer. Header names in lower case in `headers`, as sent in `names`."""

    status: int
    headers: dict[str, str]
    names: list[str]
    body: bytes

    @property
    def xml(self) -> Element:
        """The body, which must be XML and say so."""
        assert self.headers["content-type"] == "application/xml"
        return fromstring(self.body)

    @property
    def code(self) -> str | None:
        """The error code; header and body must agree."""
        code = self.headers.get("x-ms-error-code")
        if code is not None and self.body:
            assert self.xml.findtext("Code") == code
        return code

    def texts(self, path: str) -> list[str | None]:
        """The texts of the elements at a path."""
        return [element.text for element in self.xml.iterfind(path)]


def authorization(key: bytes, signed: shared_key.Signed, account: str, version: str) -> str:
    """Return the Authorization header of a request, signed with Shared Key."""
    text = shared_key.strings_to_sign(signed, account, version)[0]
    return f"SharedKey {account}:{encode_signature(sign(key, text))}"


class BlobClient:
    """Talks to the interface over an engine on a memory disk; by default with the account's key."""

    def __init__(
        self, engine: Engine, interface: BlobInterface, clock: SteppedClock, disk: MemoryDisk
    ) -> None:
        self.engine = engine
        self.interface = interface
        self.clock = clock
        self.disk = disk
        self.account = ACCOUNT

    async def raw(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", **more: Any
    ) -> Answer:
        """A request exactly as given."""
        response = await self.interface.handle(make_request(method, target, headers, body, **more))
        content = await content_of(response)
        if method == "HEAD" or response.status == 304:
            content = b""
        elif response.length is not None:
            assert response.length == len(content)
        names = [name.lower() for name, _ in response.headers]
        assert len(set(names)) == len(names), "a header is there twice"
        assert "x-ms-version" in names
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.headers},
            [name for name, _ in response.headers],
            content,
        )
        assert (answer.code is None) is (answer.status < 300)
        return answer

    async def send(
        self,
        method: str,
        path: str,
        headers: Pairs = (),
        body: bytes | None = None,
        *,
        sas: str | None = None,
        version: str | None = VERSION,
        **more: Any,
    ) -> Answer:
        """A request below the account; signed with its key, or with a token in the query."""
        target = f"/{self.account}{path}"
        sent = [("host", HOST), *headers]
        if body is not None or method in ("PUT", "POST"):
            sent.append(("content-length", str(len(body or b""))))
        if version is not None:
            sent.append(("x-ms-version", version))
        if sas is not None:
            target += f"{'&' if '?' in target else '?'}{sas}"
            return await self.raw(method, target, sent, body or b"", **more)
        sent.append(("x-ms-date", http_date(self.engine.wall())))
        raw_path, _, raw_query = target.partition("?")
        pairs = [(name.lower(), value) for name, value in sent]
        signed = shared_key.Signed(method, raw_path.encode(), raw_query.encode(), pairs)
        value = authorization(KEYS[self.account][0], signed, self.account, version or "")
        return await self.raw(method, target, [*sent, ("authorization", value)], body or b"", **more)

    async def create(self, container: str = "recordings") -> None:
        """A container."""
        answer = await self.send("PUT", f"/{container}?restype=container")
        assert answer.status == 201, answer.body

    async def put(
        self,
        name: str,
        body: bytes = b"content",
        headers: Pairs = (),
        *,
        container: str = "recordings",
        **more: Any,
    ) -> Answer:
        """Put Blob."""
        sent = [("x-ms-blob-type", "BlockBlob"), *headers]
        return await self.send("PUT", f"/{container}/{quote(name)}", sent, body, **more)

    async def get(
        self, name: str, headers: Pairs = (), *, container: str = "recordings", **more: Any
    ) -> Answer:
        """Get Blob."""
        return await self.send("GET", f"/{container}/{quote(name)}", headers, **more)

    async def head(
        self, name: str, headers: Pairs = (), *, container: str = "recordings", **more: Any
    ) -> Answer:
        """Get Blob Properties."""
        return await self.send("HEAD", f"/{container}/{quote(name)}", headers, **more)

    def service_sas(self, permissions: str | None, container: str = "recordings", **more: Any) -> str:
        """A token for a container or blob, good for an hour."""
        fields = {"expiry": self.engine.now() + HOUR, **more}
        return issue_service_sas(
            KEYS[self.account][0],
            account=self.account,
            container=container,
            permissions=permissions,
            **fields,
        )

    def account_sas(self, permissions: str, **more: Any) -> str:
        """A token for the account, good for an hour."""
        fields = {"expiry": self.engine.now() + HOUR, **more}
        return issue_account_sas(
            KEYS[self.account][0], account=self.account, permissions=permissions, **fields
        )

    def payload_files(self) -> list[str]:
        """Names of all payload files, finished or not."""
        return payload_files(self.disk)


@asynccontextmanager
async def blob_client(
    *,
    server: dict[str, Any] | None = None,
    options: Options = QUIET,
    disk: MemoryDisk | None = None,
    **settings: Any,
) -> AsyncIterator[BlobClient]:
    """A client of a interface with these settings of `blobs`; the engine is verified at the end."""
    config = replace(
        Config(), blobs=replace(BlobsConfig(), **settings), server=replace(ServerConfig(), **(server or {}))
    )
    clock, disk = SteppedClock(), disk if disk is not None else MemoryDisk()
    async with opened(disk, clock, options) as (engine, served):
        days = config.retention.recordings_days
        await engine.submit(ConfigureRetention(actor="test", days=days, resource=bytes(16)))
        interface = served.interface(lambda access: BlobInterface(access, config, KEYS.get))
        yield BlobClient(engine, interface, clock, disk)
