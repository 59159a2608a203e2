"""A mixed fuzz of all interfaces over HTTP/1.1 and HTTP/2 against a real server.

``python -m tests.hostile.fuzz --minutes 10 [--seed N]``, or ``make fuzz MINUTES=10``. No answer may be a
5xx but 501, 503 and 507, every route must be reached, and the server must not grow.
"""

from __future__ import annotations

import argparse
import http.client
import random
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
DOCUMENTED = frozenset((501, 503, 507))
AREAS = "/genesys/1/storage"
SETTINGS = "/mobileservices/Storage/v1/runtime/application"

#: Method and path; words in braces are drawn.
ROUTES: tuple[tuple[str, str], ...] = (
    ("POST", AREAS + "/{ttl}"),
    ("POST", AREAS + "/custom/{name}/{ttl}"),
    ("POST", AREAS + "/{area}/{ttl}"),
    ("GET", AREAS + "/{area}"),
    ("GET", AREAS + "/{area}/{key}"),
    ("GET", AREAS + "/binary/{area}/{key}"),
    ("DELETE", AREAS + "/{area}"),
    ("DELETE", AREAS + "/{area}/{key}"),
    *(
        (method, SETTINGS + "/app/" + level)
        for level in ("global", "global/{key}", "currentuser", "currentuser/{key}/{key}", "device/d/{key}")
        for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
    ),
    ("GET", "/fuzzed/?comp=list&{token}"),
    ("GET", "/fuzzed/?restype=service&comp=properties&{token}"),
    ("PUT", "/fuzzed/?restype=service&comp=properties&{token}"),
    ("GET", "/fuzzed/?comp=blobs&where={where}&{token}"),
    ("PUT", "/fuzzed/{container}?restype=container&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&comp=list&prefix={name}&{token}"),
    ("PUT", "/fuzzed/{container}?restype=container&comp=metadata&{token}"),
    ("GET", "/fuzzed/{container}?restype=container&comp=acl&{token}"),
    ("PUT", "/fuzzed/{container}?comp=lease&restype=container&{token}"),
    ("DELETE", "/fuzzed/{container}?restype=container&{token}"),
    ("POST", "/fuzzed/{container}?restype=container&comp=batch&{token}"),
    *(
        (method, "/fuzzed/recordings/{blob}?{token}")
        for method in ("PUT", "GET", "HEAD", "DELETE", "OPTIONS")
    ),
    *(
        ("PUT", f"/fuzzed/recordings/{{blob}}?comp={comp}&{{token}}")
        for comp in ("metadata", "properties", "tags", "lease", "blocklist", "snapshot", "copy", "tier")
    ),
    ("PUT", "/fuzzed/recordings/{blob}?comp=block&blockid={block}&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=blocklist&blocklisttype=all&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=tags&{token}"),
    ("GET", "/fuzzed/recordings/{blob}?comp=metadata&{token}"),
    ("GET", "/"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/console/"),
    ("POST", "/console/api/tokens"),
    ("GET", "/{name}/{name}"),
)
HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gms_user", ("u", "", "ü")),
    ("if-match", ("*", '"0x1"', "x", "")),
    ("if-none-match", ("*", '"0x1"', 'W/"a", "b"')),
    ("if-modified-since", ("Sun, 06 Nov 1994 08:49:37 GMT", "yesterday")),
    ("range", ("bytes=0-9", "bytes=-5", "bytes=9-0", "bytes=0-1,3-4", "lines=1-2")),
    ("x-ms-blob-type", ("BlockBlob", "PageBlob", "")),
    ("x-ms-version", ("2019-12-12", "2026-10-06", "1999-01-01", "x")),
    ("x-ms-meta-a", ("1", "é")),
    ("x-ms-tags", ("a=1&b=2", "=", "a=1&a=2")),
    ("x-ms-lease-action", ("acquire", "break", "renew", "release", "x")),
    ("x-ms-lease-duration", ("15", "-1", "0")),
    ("x-ms-copy-source", ("https://localhost/fuzzed/recordings/a", "x")),
    ("content-md5", ("AAAAAAAAAAAAAAAAAAAAAA==", "x")),
    ("origin", ("https://example.org", "null")),
    ("accept-encoding", ("gzip", "*")),
    ("authorization", ("Basic eDp5", "Basic =", "Bearer a.b.c", "SharedKey fuzzed:AAAA")),
    ("x-requested-with", ("x" * 900,)),
    ("expect", ("200-ok",)),
)
KINDS = (
    "application/json",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/mixed; boundary=b",
    "application/xml",
    "text/plain;charset=utf-16",
    "",
)
PIECES = (
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n\r\n",
    b'Content-Disposition: form-data; name="k"; filename="f"\r\n',
    b'Content-Disposition: form-data; name="k"\r\n\r\nv\r\n',
    b"a=1&b=%41%zz&",
    b'{"a":{"b":[1,2,{"c":null}]}}',
    b'[{"op":"move","from":"/a","path":"/b"},{"op":"test","path":"/a","value":1e400}]',
    b'[{"op":"add","path":"/b","value":1}]',
    b"\xff\xfe\0",
    b"[" * 50,
    b'<?xml version="1.0"?><BlockList><Latest>QQ==</Latest></BlockList>',
    b"<Tags><TagSet/></Tags>",
    b'{"a":1}',
    b"<StorageServiceProperties/>",
    b"x" * 3000,
)


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
    print(f"{seen.requests:,} requests, {seen.unanswered:,} without an answer, {faults} faults in the log")
    print("statuses:", ", ".join(f"{status}: {count:,}" for status, count in sorted(seen.statuses.items())))
    reached = sum(1 for route in ROUTES if seen.routes[route])
    done = sum(1 for route in ROUTES if seen.done[route])
    print(f"routes: {reached} of {len(ROUTES)} reached, {done} with success; never with success:")
    for method, path in ROUTES:
        if not seen.done[method, path]:
            print(f"  {method} {path}")
    if seen.resident:
        middle = seen.resident[len(seen.resident) // 2]
        print(f"resident: {middle >> 20} MiB half way, {seen.resident[-1] >> 20} MiB at the end")
    for line in seen.wrong[:50]:
        print(line)
    raise SystemExit(bool(seen.wrong or faults))


if __name__ == "__main__":
    main()
