"""Runs attacks one after the other, an innocent client beside each, and measures what the server spends."""

from __future__ import annotations

import http.client
import os
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Self

from tests.hostile.attacks import AREAS, ATTACKS, DONE, LARGE, RECEIVERS
from tests.kit.certificates import certified
from tests.kit.server import ROOT, Server, running

CONFIG = """
[server]
tls_certificate = "{certificate}"
tls_key = "{key}"

[storage]
segment_bytes = 1048576

[identity]
anonymous = true

[settings]
global_create_roles = []
max_watchers_per_user = 1000

[[users]]
name = "operator"
password = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""

WEBHOOK = """
[[webhooks]]
name = "{name}"
url = "http://127.0.0.1:{port}/{name}"
secret = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
events = ["area.deleted"]
allow_private = true
"""

ATTACKER = (sys.executable, "-m", "tests.hostile.attacks")

PATIENCE_S = 20.0
"""So much longer an attack lasts whose work is not done yet: on a busy machine a password takes seconds."""
PAUSE_S = 0.02
"""Between two requests of the innocent client."""


@dataclass
class Figures:
    """What was seen over some seconds: the innocent client's times, and the server's use of the machine."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    resident: int = 0
    descriptors: int = 0
    threads: int = 0

    def add(self, more: Figures) -> None:
        """Add what was seen later."""
        self.seconds += more.seconds
        self.failures += more.failures
        self.resident = max(self.resident, more.resident)
        self.descriptors = max(self.descriptors, more.descriptors)
        self.threads = max(self.threads, more.threads)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the innocent client's times, milliseconds."""
        if len(self.seconds) < 2:
            return float("inf")
        return statistics.quantiles(self.seconds, n=100)[98] * 1000


@dataclass
class Outcome:
    """One attack."""

    name: str
    before: Figures
    during: Figures
    after: Figures
    answers: Counter[str]

    @property
    def done(self) -> int:
        """How often the server did the work of the attack."""
        return _done(self.name, self.answers)


@contextmanager
def target(folder: Path, *, webhooks: bool = True) -> Iterator[Server]:
    """A server with TLS and default limits, and a file of 200 KB in it.

    With `webhooks`, six are configured: each change costs the server some work for each of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = certified(folder)
    config = CONFIG.format(certificate=certificate, key=key)
    if webhooks:
        port = receiver().getsockname()[1]
        config += "".join(WEBHOOK.format(name=path[1:], port=port) for path in RECEIVERS)
    with running(folder / "server", config) as server:
        with Innocent(server.port) as innocent:
            innocent.put_large()
        yield server


@cache
def receiver() -> socket.socket:
    """The socket on which the webhooks of an attack listen."""
    return socket.create_server(("127.0.0.1", 0))


class Innocent:
    """A client that reads and writes a little, one request at a time, on a connection it keeps."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._connection: http.client.HTTPSConnection | None = None
        self._turn = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def put_large(self) -> None:
        """Put the file there that attackers download."""
        body = (
            b"--b\r\nContent-Disposition: form-data; name=File; filename=f\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + os.urandom(200_000) + b"\r\n--b--\r\n"
        )
        headers = {"gms_user": "u", "Content-Type": "multipart/form-data; boundary=b"}
        status = self.ask("POST", "/genesys/1/storage/custom/large/86400", body, headers)
        assert status == 200, status
        status = self.ask("GET", LARGE.decode(), b"", {"gms_user": "u"})
        assert status == 200, status

    def request(self, figures: Figures) -> None:
        """One request, a read or a durable write."""
        self._turn += 1
        start = time.perf_counter()
        try:
            if self._turn % 2:
                status = self.ask("GET", f"{AREAS.decode()}missing", b"", {})
                expected = 404
            else:
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                status = self.ask("POST", f"{AREAS.decode()}60", b"a=" + b"x" * 20_000, form)
                expected = 200
        except (OSError, http.client.HTTPException) as error:
            self.close()
            figures.failures.append(type(error).__name__)
        else:
            if status != expected:
                figures.failures.append(str(status))
        figures.seconds.append(time.perf_counter() - start)

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=30, context=self._context
            )
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def watch(server: Server, innocent: Innocent, seconds: float) -> Figures:
    """The innocent client at work for so long; the server's most of each resource."""
    figures = Figures()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        innocent.request(figures)
        look(server, figures)
        time.sleep(PAUSE_S)
    return figures


def look(server: Server, figures: Figures) -> None:
    """Take down what the server uses."""
    place = Path(f"/proc/{server.process.pid}")
    for line in (place / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            figures.resident = max(figures.resident, int(line.split()[1]) << 10)
        elif line.startswith("Threads:"):
            figures.threads = max(figures.threads, int(line.split()[1]))
    figures.descriptors = max(figures.descriptors, len(os.listdir(place / "fd")))


def attack(server: Server, name: str, *, scale: float, seconds: float, calm_s: float) -> Outcome:
    """One attack: `calm_s` seconds before, `seconds` of it, `calm_s` after ten seconds to recover at most."""
    with Innocent(server.port) as innocent:
        before = watch(server, innocent, calm_s)
        with tempfile.TemporaryFile() as notes:
            process = subprocess.Popen(
                [*ATTACKER, name, str(server.port), str(scale)],
                cwd=ROOT,
                stdout=notes,
                stderr=subprocess.DEVNULL,
                pass_fds=(receiver().fileno(),),
                env={**os.environ, "HOSTILE_RECEIVER": str(receiver().fileno())},
            )
            try:
                during = watch(server, innocent, seconds)
                end = time.monotonic() + PATIENCE_S
                while not _done(name, _noted(notes)) and time.monotonic() < end:
                    during.add(watch(server, innocent, 0.3))
                assert process.poll() is None, f"the attack {name} ended by itself"
            finally:
                process.kill()
                process.wait()
            answers = _noted(notes)
        time.sleep(min(10.0, seconds))
        after = watch(server, innocent, calm_s)
    return Outcome(name, before, during, after, answers)


def _noted(notes: IO[bytes]) -> Counter[str]:
    """What an attack has noted so far, in the file that it writes to."""
    written = os.pread(notes.fileno(), 1 << 24, 0)
    return Counter(written.decode().split("\n")[:-1])


def _done(name: str, answers: Counter[str]) -> int:
    return sum(answers[word] for word in DONE[name])


def raise_limit() -> None:
    """As many descriptors as the attackers need."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures as Markdown, for `docs/`; three of them are before, during and after the attack."""
    lines = [
        "| attack | done, refused | p99 (ms) | failed of the innocent | MiB | descriptors | threads |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        parts = (outcome.before, outcome.during, outcome.after)
        cells = [
            outcome.name.replace("_", " "),
            f"{outcome.done:,}, {outcome.answers.total() - outcome.done:,}",
            ", ".join(f"{part.p99_ms:.0f}" for part in parts),
            f"{len(outcome.during.failures)} of {len(outcome.during.seconds)}",
            ", ".join(str(part.resident >> 20) for part in parts),
            ", ".join(str(part.descriptors) for part in parts),
            ", ".join(str(part.threads) for part in parts),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


RESIDENT_BYTES = 512 << 20
"""Most resident memory during any attack."""
SPARE_DESCRIPTORS = 10
"""So many descriptors may be left over when an attack has been over for ten seconds."""


def broken(outcome: Outcome, p99_ms: float) -> list[str]:
    """What an attack did that none may do.

    Args:
        outcome: What was measured.
        p99_ms: Most that the innocent client may wait in 99 of 100 requests during the attack.
    """
    during, after = outcome.during, outcome.after
    found = [
        (not outcome.done, f"the server refused all of it: {dict(outcome.answers)}"),
        (bool(during.failures or after.failures), f"the innocent failed: {during.failures + after.failures}"),
        (during.p99_ms > p99_ms, f"the innocent waited {during.p99_ms:.0f} ms"),
        (during.resident > RESIDENT_BYTES, f"{during.resident >> 20} MiB resident"),
        (
            after.descriptors > outcome.before.descriptors + SPARE_DESCRIPTORS,
            f"{after.descriptors} descriptors left",
        ),
    ]
    return [f"{outcome.name.replace('_', ' ')}: {words}" for is_so, words in found if is_so]


def names(chosen: Sequence[str]) -> list[str]:
    """The attacks to run: all, or those named."""
    unknown = set(chosen) - set(ATTACKS)
    assert not unknown, f"unknown attacks: {', '.join(sorted(unknown))}; known: {', '.join(ATTACKS)}"
    return list(chosen) or list(ATTACKS)
