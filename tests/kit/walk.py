"""Counts the files and functions of Retain that one request passes through, on a real socket and disk.

`python -m tests.kit.walk` prints the numbers for a read and a write of each interface, on the short and
the long path; with `--calls` also every function.
"""

from __future__ import annotations

import json
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import trio
import trio.testing

import retain
from retain.api.areas import areas_interface
from retain.api.blobs.interface import blobs_interface
from retain.api.blobs.sas.issue import issue_account_sas
from retain.api.config.load import Config, ServerConfig, UserConfig
from retain.api.identity.passwords import hash_password
from retain.api.server.app import create_app
from retain.api.server.serve import serve
from retain.api.settings import settings_interface
from retain.engine import Engine, open_engine
from tests.kit.serving import Answer, Peer, connected

ACCOUNT = "tenant"
KEY = b"a key of the account"
BODY = b"abc"
USER, PASSWORD = "ann", "a password of ann"
LEVEL = "/mobileservices/Storage/v1/runtime/application/app/device/phone-1"
ROOMS = ("api", "engine", "journal")
LINES = "\r\n"


class Walk:
    """The called functions of Retain while it was watched, in the order of the first call."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        """How often each function was called, by (file, qualified name). A resumed task is no new call."""
        self._names: dict[CodeType, tuple[str, str] | None] = {}
        self._frames: set[FrameType] = set()

    @property
    def files(self) -> list[str]:
        """The files passed, in the order in which the request comes to them."""
        return list(dict.fromkeys(file for file, _ in self.calls))

    def rooms(self) -> Counter[str]:
        """The number of files passed in each room."""
        return Counter(file.rpartition("/")[0] for file in self.files)

    def common(self, others: Iterable[Walk]) -> Walk:
        """Return what is in every round: work in the background is in some of them only."""
        walk = Walk()
        walk.calls = Counter(self.calls)
        for other in others:
            walk.calls &= other.calls
        return walk

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count until left; in this thread only, so work of other threads is not counted."""
        before = sys.getprofile()
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(before)
            self._frames.clear()

    def _event(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or frame in self._frames:
            return
        code = frame.f_code
        if code not in self._names:
            self._names[code] = _place_of(code)
        if place := self._names[code]:
            self._frames.add(frame)  # kept, so that no later frame is taken for it
            self.calls[place] += 1


def _place_of(code: CodeType) -> tuple[str, str] | None:
    """Return the file below the package and the function's name; None if not Retain's, or not a `def`."""
    root = str(Path(retain.__file__).resolve().parents[1])
    path = str(Path(code.co_filename).resolve())
    name = path.removeprefix(f"{root}/").removeprefix("retain/")
    inline = code.co_name in ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<lambda>")
    is_ours = path.startswith(root) and name.partition("/")[0] in ROOMS and not inline
    return (name, code.co_qualname) if is_ours else None


@asynccontextmanager
async def served(folder: Path, *, short: bool) -> AsyncIterator[tuple[Engine, int]]:
    """Serve the three interfaces over `folder`; the engine and the port. `short` is `server.fast_http1`."""
    config = replace(
        Config(),
        server=ServerConfig(bind="127.0.0.1:0", fast_http1=short),
        users=(UserConfig(name=USER, password=hash_password(PASSWORD)),),
    )
    ready, stop = trio.Event(), trio.Event()
    ports: list[int] = []

    async def announce(urls: Any) -> None:
        ports.append(int(urls[0].rpartition(":")[2]))
        ready.set()

    async with open_engine(str(folder)) as engine, trio.open_nursery() as nursery:
        interfaces = [
            areas_interface(engine, config),
            settings_interface(engine, config),
            blobs_interface(engine, config, {ACCOUNT: (KEY,)}.get),
        ]
        app = create_app(engine, config, interfaces)

        async def run() -> None:
            await serve(app, stop=stop, announce=announce)

        nursery.start_soon(run)
        await ready.wait()
        yield engine, ports[0]
        stop.set()


def blob_request(engine: Engine, method: str, path: str, body: bytes = b"") -> bytes:
    """One request with a token in it, as a client sends it on a connection that it keeps."""
    token = issue_account_sas(
        KEY, account=ACCOUNT, permissions="rwc", expiry=engine.now() + 3600 * 10**9, version="2026-10-06"
    )
    query = "&" if "?" in path else "?"
    head = [
        f"{method} /{ACCOUNT}{path}{query}{token} HTTP/1.1",
        "Host: 127.0.0.1",
        "x-ms-version: 2026-10-06",
        *(["x-ms-blob-type: BlockBlob"] if body else []),
        *([f"Content-Length: {len(body)}"] if method == "PUT" else []),
        LINES,
    ]
    return LINES.join(head).encode() + body


def area_request(method: str, path: str, body: bytes = b"") -> bytes:
    """One request of a client of areas, which has no credentials; `body` is a form."""
    kind = "Content-Type: application/x-www-form-urlencoded"
    head = [
        f"{method} /genesys/1/storage/{path} HTTP/1.1",
        "Host: 127.0.0.1",
        *([kind, f"Content-Length: {len(body)}"] if body else []),
        LINES,
    ]
    return LINES.join(head).encode() + body


def settings_request(method: str, body: bytes = b"") -> bytes:
    """One request of a user about a level of settings of his or her own; `body` is JSON."""
    credentials = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    head = [
        f"{method} {LEVEL} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Basic {credentials}",
        *(["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []),
        LINES,
    ]
    return LINES.join(head).encode() + body


async def asked(peer: Peer, request: bytes, *statuses: int) -> Answer:
    """Send a request and check the answer's status."""
    await peer.send(request)
    answer = await peer.answer()
    assert answer.status in statuses, answer
    return answer


async def walks(folder: Path, *, short: bool) -> dict[str, Walk]:
    """Return the walks of a read and a write of each interface that the server has answered twice before."""
    async with served(folder, short=short) as (engine, port), connected(port) as peer:
        await asked(peer, blob_request(engine, "PUT", "/recordings?restype=container"), 201)
        await asked(peer, settings_request("POST", b'{"theme":"light"}'), 201)
        created = await asked(peer, area_request("POST", "3600", b"Key1=Value1"), 200)
        area = json.loads(created.body)["id"]
        requests = {
            "area GET": (area_request("GET", f"{area}/Key1"), 200),
            "area POST": (area_request("POST", "3600", b"Key1=Value1"), 200),
            "settings GET": (settings_request("GET"), 200),
            "settings PATCH": (settings_request("PATCH", b'{"theme":"dark"}'), 204),
            "blob GET": (blob_request(engine, "GET", "/recordings/one"), 200),
            "blob PUT": (blob_request(engine, "PUT", "/recordings/one", BODY), 201),
        }
        for _ in range(2):
            for request, status in reversed(requests.values()):
                await asked(peer, request, status)
        found = {}
        for name, (request, status) in requests.items():
            rounds = []
            for _ in range(9):
                await trio.testing.wait_all_tasks_blocked()
                walk = Walk()
                with walk.watching():
                    await asked(peer, request, status)
                    await trio.testing.wait_all_tasks_blocked()
                rounds.append(walk)
            found[name] = rounds[0].common(rounds[1:])
        return found


def main() -> None:
    """Print files and calls for each request, room by room, then every call."""
    for short in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            found = trio.run(lambda folder=folder, short=short: walks(Path(folder), short=short))
        for name, walk in found.items():
            path = "short path" if short else "long path"
            rooms = ", ".join(f"{room} {count}" for room, count in sorted(walk.rooms().items()))
            print(f"{name}, {path}: {len(walk.files)} files, {walk.calls.total()} calls ({rooms})")
            if "--calls" in sys.argv:
                for (file, function), count in walk.calls.items():
                    print(f"    {count:3} {file} {function}")


if __name__ == "__main__":
    main()
