"""Every page of the console with a million blobs and a million areas: the time until each is answered.

The requests go one after the other over one kept connection, as a browser's do; the time is from the first
byte sent to the last one received. For the audit log as CSV it ends with the first one received. At the end
the overview is asked for while the whole journal is verified.
"""

from __future__ import annotations

import http.client
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import trio

from retain import engine
from retain.api.identity import hash_password
from retain.bench import blob_data as blobs
from retain.bench.peers import servers
from retain.bench.result import RunResult
from retain.bench.scenario import RunSettings, Scenario
from retain.bench.scenarios.expiry import durations
from retain.bench.workloads import areas
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.container_commands import EnsureContainers
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.command import Command
from retain.engine.settings import Asker, EncodedValue, Level, Place, PutValue, SettingsPolicy

COUNT: Final = 1_000_000
"""Blobs, and as many areas."""
ASKED: Final = 20
WRITERS: Final = 512
PASSWORD = "a password for measuring"
HEADERS = ContentHeaders(content_type="audio/wav")
AT = f"/console/containers/{blobs.ACCOUNT}/{blobs.CONTAINER}"
FOLDER = 1000
"""Blobs of a folder."""


def measure(settings: RunSettings, result: RunResult) -> None:
    """Fill a data folder through the engine, then ask a server for each page."""
    count = settings.scaled(COUNT, 2000)
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name:
        folder = Path(name)
        written = trio.run(_fill, folder / "retain", count)
        result.notes.append(
            f"{2 * count:,} entries written durably in {written:,.0f} s; {ASKED} requests a page"
        )
        configuration = blobs.configuration(folder)
        with configuration.open("a") as file:
            file.write("[[users]]\nname = 'ann'\nroles = ['Administrator']\n")
            file.write(f"password = '{hash_password(PASSWORD)}'\n")
        with servers.retain(folder / "retain", configuration, checkout=settings.checkout) as (port, _):
            client = ConsoleClient(port)
            client.sign_in()
            for label, path in _pages(client, count):
                result.add(label, durations([client.ask(path)[0] for _ in range(ASKED)]))
            began = [client.first_byte("/console/audit/csv") for _ in range(ASKED)]
            result.add("audit, CSV of all records, first byte", durations(began))
            client.ask("/console/audit/verify", {"csrf_token": client.token("/console/audit")})
            times = [client.ask("/console")[0] for _ in range(ASKED)]
            result.add("overview, the journal being verified", durations(times))
            client.ask("/console/audit/stop", {"csrf_token": client.token("/console/audit")})


def _pages(client: ConsoleClient, count: int) -> Iterator[tuple[str, str]]:
    """Yield each page with a word for it."""
    name = name_of(count // 2)
    where = quote("RecordingType='RARE'")
    since = quote("StoredTime >= '2022-01-14'")
    nothing = quote("RecordingType='NONE'")
    folder = quote(name.rpartition("/")[0] + "/")
    yield "overview", "/console"
    yield "SAS tokens", "/console/tokens"
    yield "containers", "/console/containers"
    yield "container, its folders", AT
    yield "container, the folders' last page", f"{AT}?after={quote(name_of(count - 1))}"
    yield "container, one folder", f"{AT}?prefix={folder}"
    yield "container, one folder, with a preview", f"{AT}?prefix={folder}&selected={quote(name)}"
    yield "container, names that begin with 8888/0", f"{AT}?prefix=8888/0"
    yield "container, a rare tag", f"{AT}?where={where}"
    yield "container, a tag that no blob has", f"{AT}?where={nothing}"
    yield "container, a range of StoredTime", f"{AT}?where={since}"
    yield "blob", f"{AT}/blob?name={quote(name)}"
    yield "blob, delete", f"{AT}/blob/delete?name={quote(name)}"
    yield "retention", f"{AT}/retention"
    yield "retention, what 1 day would end", f"{AT}/retention?keep=days&days=1"
    yield "empty or remove", f"{AT}/remove"
    yield "areas", "/console/areas"
    listed = client.ask("/console/areas")[1]
    after = re.search(r'href="(/console/areas\?after=[^"]+)"', listed)
    area = re.search(r'href="(/console/areas/area\?id=[^"]+)"', listed)
    assert after is not None
    assert area is not None
    yield "areas, the next page", after[1].replace("&amp;", "&")
    yield "area", area[1].replace("&amp;", "&")
    yield "areas of a customer", f"/console/areas?q={quote('customer/')}"
    yield "settings", "/console/settings"
    yield "settings, an application", "/console/settings?application=app&user=ann"
    yield "audit", "/console/audit"
    yield "audit, an actor who did nothing", "/console/audit?actor=user:nobody"
    yield "audit, one day of the past", "/console/audit?from=2001-01-01T00:00&to=2001-01-02T00:00"
    yield "audit, the oldest records", "/console/audit?after=0"
    number = re.search(r"/console/audit/resources/[0-9a-f]{32}", client.ask("/console/audit")[1])
    assert number is not None
    yield "audit, one resource", number[0]
    yield "audit, one resource's receipt", f"{number[0]}/receipt"
    yield "audit, CSV of one resource", f"/console/audit/csv?resource={number[0].rpartition('/')[2]}"
    yield "persons' rights", "/console/persons"


class ConsoleClient:
    """A browser without a window, on one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._cookies: dict[str, str] = {}

    def ask(self, path: str, form: dict[str, str] | None = None) -> tuple[float, str]:
        """Ask for a page, or send a form.

        Args:
            path: Its path.
            form: The fields to send.

        Returns:
            Seconds until all of the answer was there, and its text.

        Raises:
            RuntimeError: The page was not answered.
        """
        headers = self._headers()
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        begin = time.perf_counter()
        self._connection.request("GET" if form is None else "POST", path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode(errors="replace")
        passed = time.perf_counter() - begin
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status not in (200, 303) or (answer.status == 303 and form is None):
            raise RuntimeError(f"{path} was answered {answer.status}: {text[:200]}")
        return passed, text

    def first_byte(self, path: str) -> float:
        """Ask for a long file on a connection of its own, and leave after its first byte.

        Args:
            path: Its path.

        Returns:
            Seconds until the first byte of its content was there.

        Raises:
            RuntimeError: The file was not answered.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._connection.port, timeout=300)
        with closing(connection):
            connection.connect()
            begin = time.perf_counter()
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            first = answer.read(1)
            passed = time.perf_counter() - begin
        if answer.status != 200 or not first:
            raise RuntimeError(f"{path} was answered {answer.status}")
        return passed

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def token(self, path: str) -> str:
        """Return the token of a page's forms."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.ask(path)[1])
        if found is None:
            raise RuntimeError(f"{path} has no form")
        return found[1]

    def sign_in(self) -> None:
        """Sign in."""
        fields = {
            "csrf_token": self.token("/console/sign-in"),
            "user": "ann",
            "password": PASSWORD,
            "zone": "UTC",
        }
        self.ask("/console/sign-in", fields)


def name_of(number: int) -> str:
    """Return a blob's name: a thousand in each folder."""
    return f"8888/{number // FOLDER:06}/call-{number:09}.wav"


def _commands(store: engine.Engine, count: int) -> Iterator[Command[Any]]:
    body = engine.Inline(b"RIFF a recording of a short call", bytes(16))
    asker = Asker("ann", admin=True)
    for place in (Place("app", Level.GLOBAL), Place("app", Level.USER, user="ann")):
        yield PutValue(
            actor="user:ann",
            asker=asker,
            place=place,
            path=(),
            resource=store.entropy(16),
            policy=SettingsPolicy(put_creates=True),
            body=EncodedValue.of({"ui": {"theme": "light"}}),
        )
    for number, area in enumerate(islice(areas(1, 16, keys=3), count)):
        yield area
        yield PutBlob(
            actor="bench",
            account=blobs.ACCOUNT,
            container=blobs.CONTAINER,
            name=name_of(number),
            resource=store.entropy(16),
            body=body,
            headers=HEADERS,
            md5=body.md5,
            tags=blobs.tag_pairs(number, count),
        )


async def _fill(folder: Path, count: int) -> float:
    """Fill the folder, close it cleanly, and return the seconds it took."""
    async with engine.open_engine(folder) as store:
        await store.submit(
            EnsureContainers(
                actor="bench", account=blobs.ACCOUNT, containers=((blobs.CONTAINER, store.entropy(16)),)
            )
        )
        commands = _commands(store, count)

        async def client() -> None:
            for command in commands:
                await store.submit(command)

        begin = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for _ in range(WRITERS):
                nursery.start_soon(client)
        return time.perf_counter() - begin


SCENARIO = Scenario(
    "console", "Every page of the console over a million blobs and a million areas.", measure, over_http=True
)
