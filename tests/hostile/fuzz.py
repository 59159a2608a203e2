"""A mixed fuzz of all interfaces over HTTP/1.1 and HTTP/2 against a real server.

``python -m tests.hostile.fuzz --minutes 10 [--seed N]``, or ``make fuzz MINUTES=10``. No answer may be a
5xx but 501, 503 and 507, every route must be reached, and the server must not grow.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import socket
import ssl
import tempfile
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from retain.api.blobs.sas.issue import issue_account_sas
from retain.api.identity.passwords import hash_password
from tests.hostile.campaign import Figures, look
from tests.hostile.requests import AREAS, BODIES, HEADERS, KINDS, MEANT, PIECES, ROUTES, SETTINGS
from tests.kit.certificates import certified
from tests.kit.hostile import NAMES
from tests.kit.server import Server, running

CONFIG = """
[server]
tls_certificate = "{certificate}"
tls_key = "{key}"

[storage]
segment_bytes = 1048576

[identity]
anonymous = true

[operations]
metrics_from = ["127.0.0.0/8"]

[[tenants]]
name = "fuzzed"
key = "dGhlIGtleSBvZiB0aGUgZnV6emVkIHRlbmFudA=="
containers = ["recordings"]

[[users]]
name = "operator"
password = "{password}"
"""
KEY = b"the key of the fuzzed tenant"
OPERATOR = "Basic " + b64encode(b"operator:secret").decode()
SENSIBLE = 0.4
"""So many of the requests are as a client makes them."""
DOCUMENTED = frozenset((501, 503, 507))


@dataclass
class Seen:
    """What the fuzz met."""

    requests: int = 0
    unanswered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    routes: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def grown(self) -> int:
        """Bytes that the server grew by from half way to the end."""
        return self.resident[-1] - self.resident[len(self.resident) // 2] if self.resident else 0

    def note(self, route: tuple[str, str], target: str, status: int) -> None:
        """One answer; 0 is none."""
        self.requests += 1
        self.statuses[status] += 1
        self.routes[route] += 1
        self.done[route] += 200 <= status < 300
        self.unanswered += not status
        if status >= 500 and status not in DOCUMENTED:
            self.wrong.append(f"{status}: {route[0]} {target}")


@dataclass(frozen=True)
class Drawn:
    """One request."""

    route: tuple[str, str]
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Fuzz:
    """Draws requests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._token = issue_account_sas(
            KEY, account="fuzzed", permissions="rwdlacupft", expiry=4_000_000_000 * 10**9
        )

    def draw(self) -> Drawn:
        """The next request: most of it sensible, some of it not."""
        rng = self._random
        route = rng.choice(ROUTES)
        if rng.random() < SENSIBLE:
            return self._sensible(route)
        words = {
            "ttl": lambda: rng.choice(("60", "1", "0", "-1", "9" * 30, "x")),
            "name": lambda: rng.choice(NAMES),
            "area": lambda: rng.choice(("a", "b", rng.choice(NAMES))),
            "key": lambda: rng.choice(("a", "b", "k", rng.choice(NAMES))),
            "container": lambda: rng.choice(("recordings", "other", "x-y", "$root", rng.choice(NAMES))),
            "blob": lambda: rng.choice(("a", "b/c", rng.choice(NAMES))),
            "block": lambda: rng.choice(("QQ%3D%3D", "QUE%3D", "x")),
            "where": lambda: rng.choice(("a%3D%271%27", "x", "%27", "@container%3D%27a%27")),
            "token": lambda: self._token if rng.random() < 0.95 else self._token[:-3],
        }
        target = route[1]
        while "{" in target:
            before, _, rest = target.partition("{")
            word, _, after = rest.partition("}")
            target = before + words[word]() + after
        if route[0] == "POST" and route[1] == AREAS + "/custom/{name}/{ttl}" and rng.random() < 0.5:
            target = AREAS + "/custom/a/60"
        headers = [(name, rng.choice(values)) for name, values in HEADERS if rng.random() < 0.06]
        if route[1].startswith("/fuzzed/recordings") and rng.random() < 0.8:
            headers = [pair for pair in headers if pair[0] != "x-ms-blob-type"]
            headers.append(("x-ms-blob-type", "BlockBlob"))
        if rng.random() < 0.7:
            headers = [pair for pair in headers if pair[0] not in ("authorization", "expect")]
        if route[1].startswith(SETTINGS) and rng.random() < 0.9:
            headers = [pair for pair in headers if pair[0] != "authorization"]
            headers.append(("authorization", OPERATOR))
        body = b""
        if route[0] in ("POST", "PUT", "PATCH"):
            body = b"".join(rng.choices(PIECES, k=rng.choice((0, 1, 1, 1, 2, 5, 40))))
            headers.append(("content-type", rng.choice(KINDS)))
            headers.append(("content-length", str(len(body))))
        return Drawn(route, target, headers, body)

    def _sensible(self, route: tuple[str, str]) -> Drawn:
        """A request as a client makes it, so that there is something for the others to meet."""
        rng = self._random
        words = {
            "ttl": "60",
            "name": "a",
            "area": "a",
            "key": rng.choice(("a", "k")),
            "container": rng.choice(("recordings", "other")),
            "blob": rng.choice(("a", "b/c")),
            "block": "QQ%3D%3D",
            "where": "a%3D%271%27",
            "token": self._token,
        }
        target = re.sub(r"\{(\w+)\}", lambda found: words[found[1]], route[1])
        headers = [("x-ms-version", "2021-12-02")]
        kind, body = "", b""
        if target.startswith(AREAS):
            headers.append(("gms_user", "u"))
            kind, body = "application/x-www-form-urlencoded", b"k=v&a=1"
        elif target.startswith(SETTINGS):
            headers.append(("authorization", OPERATOR))
            kind, body = (
                "application/json",
                rng.choice((b'{"a":{"a":1,"k":2}}', b'{"k":{"a":[1,2]}}', b'{"a":1}')),
            )
        elif target.startswith("/fuzzed/"):
            kind, body = _sensible_body(target)
            headers += [pair for word, pair in MEANT if word in target]
            if route == ("PUT", "/fuzzed/recordings/{blob}?{token}"):
                headers.append(("x-ms-blob-type", "BlockBlob"))
        if route[0] not in ("POST", "PUT", "PATCH"):
            return Drawn(route, target, headers, b"")
        headers += [("content-type", kind), ("content-length", str(len(body)))]
        return Drawn(route, target, headers, body)


def _sensible_body(target: str) -> tuple[str, bytes]:
    for word, body in BODIES:
        if word in target:
            return "application/xml", body
    return "text/plain", b"" if "restype=container" in target or "comp=" in target else b"content"


class Over1:
    """Requests over HTTP/1.1, on one connection while it lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, drawn: Drawn) -> int:
        """The status; 0 if the server closed without an answer."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=60, context=_context("http/1.1")
            )
        connection = self._connection
        try:
            connection.putrequest(drawn.route[0], drawn.target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("host", "localhost")
            for name, value in drawn.headers:
                connection.putheader(name, value.encode("latin-1"))
            connection.endheaders(drawn.body or None)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self._connection = None
            return 0
        if answer.will_close:
            self.close()
        return answer.status

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Over2:
    """Requests over HTTP/2, on one connection while it lasts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream: ssl.SSLSocket | None = None
        self._connection = h2.connection.H2Connection()

    def ask(self, drawn: Drawn) -> int:
        """The status; 0 if the server closed or reset the stream without one."""
        try:
            return self._ask(drawn)
        except (OSError, h2.exceptions.H2Error):
            self.close()
            return 0

    def _ask(self, drawn: Drawn) -> int:
        if self._stream is None:
            self._open()
        stream, connection = self._stream, self._connection
        assert stream is not None
        number = connection.get_next_available_stream_id()
        head = [
            (b":method", drawn.route[0].encode()),
            (b":path", drawn.target.encode("latin-1")),
            (b":scheme", b"https"),
            (b":authority", b"localhost"),
            *((name.encode(), value.encode("latin-1")) for name, value in drawn.headers),
        ]
        connection.send_headers(number, head, end_stream=not drawn.body)
        status, sent, ended = 0, 0, False
        while not ended:
            while sent < len(drawn.body):
                room = min(connection.local_flow_control_window(number), 16384, len(drawn.body) - sent)
                if room <= 0:
                    break
                connection.send_data(number, drawn.body[sent : sent + room], sent + room == len(drawn.body))
                sent += room
            stream.sendall(connection.data_to_send())
            data = stream.recv(65536)
            if not data:
                self.close()
                return status
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.close()
                    return status
                if getattr(event, "stream_id", None) != number:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                    ended = True
                    sent = len(drawn.body)
        stream.sendall(connection.data_to_send())
        return status

    def _open(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self._stream = _context("h2").wrap_socket(plain, server_hostname="localhost")
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding=None, validate_outbound_headers=False)
        )
        self._connection.initiate_connection()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _context(protocol: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


def run(server: Server, seed: int, *, seconds: float = 0.0, requests: int = 0) -> Seen:
    """Ask for so long, or so often."""
    fuzz, seen = Fuzz(seed), Seen()
    clients = (Over1(server.port), Over2(server.port))
    try:
        _ask(server, fuzz, seen, clients, time.monotonic() + seconds, requests)
    finally:
        for client in clients:
            client.close()
    return seen


def _ask(
    server: Server, fuzz: Fuzz, seen: Seen, clients: tuple[Over1, Over2], end: float, requests: int
) -> None:
    while seen.requests < requests or time.monotonic() < end:
        drawn = fuzz.draw()
        seen.note(drawn.route, drawn.target, clients[seen.requests % 2].ask(drawn))
        if seen.requests % 500 == 0:
            figures = Figures()
            look(server, figures)
            seen.resident.append(figures.resident)
        assert server.process.poll() is None, f"the server ended at {drawn}:\n{server.log()[-2000:]}"


def fuzzed(folder: Path) -> str:
    """The configuration of a server to fuzz."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = certified(folder)
    return CONFIG.format(certificate=certificate, key=key, password=hash_password("secret"))


GROWTH_BYTES = 64 << 20
"""Most that the server may grow by in the second half."""


def summary(seen: Seen, minutes: float, faults: int) -> str:
    """The figures as Markdown, for `docs/`."""
    reached = sum(1 for route in ROUTES if seen.routes[route])
    done = sum(1 for route in ROUTES if seen.done[route])
    kinds = Counter[str]()
    for status, count in seen.statuses.items():
        kinds[f"{status // 100}xx" if status else "none"] += count
    middle, end = (seen.resident[len(seen.resident) // 2], seen.resident[-1]) if seen.resident else (0, 0)
    cells = {
        "minutes": f"{minutes:g}",
        "requests": f"{seen.requests:,}",
        "routes reached, with success": f"{reached} of {len(ROUTES)}, {done}",
        "answers": ", ".join(f"{kind}: {count:,}" for kind, count in sorted(kinds.items())),
        "5xx beside 501, 503, 507": str(len(seen.wrong)),
        "faults in the log": str(faults),
        "MiB resident half way, at the end": f"{middle >> 20}, {end >> 20}",
    }
    head, line, row = (" | ".join(part) for part in (cells, ["---"] * len(cells), cells.values()))
    return f"| {head} |\n| {line} |\n| {row} |"


def main() -> None:
    """Run it and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(folder / "server", fuzzed(folder)) as server:
            seen = run(server, asked.seed, seconds=asked.minutes * 60)
            faults = server.log().count("unhandled exception")
    print(summary(seen, asked.minutes, faults))
    for method, path in ROUTES:
        if not seen.done[method, path]:
            print(f"never with success: {method} {path}")
    grown = seen.grown()
    for line in seen.wrong[:50]:
        print(line)
    if grown > GROWTH_BYTES:
        print(f"the server grew by {grown >> 20} MiB from half way to the end")
    raise SystemExit(bool(seen.wrong or faults or grown > GROWTH_BYTES))


if __name__ == "__main__":
    main()
