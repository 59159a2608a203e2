"""Whether a request costs more processor time than at an earlier commit, on this machine, without a baseline.

Both versions run at once, on the same core, and answer the same requests in short turns. What disturbs the
machine disturbs both, and adds to the width of the interval. A growth counts only if the whole interval is
beyond what is allowed, and if a second campaign with new processes and in the other order says the same.
"""

from __future__ import annotations

import math
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from retain.bench import blob_data as blobs
from retain.bench.ceiling import ALLOWED, requests_of
from retain.bench.compare import VersionComparison
from retain.bench.metrics import cpu_seconds
from retain.bench.peers import servers
from retain.bench.scenario import processors
from retain.bench.scenarios import settings_http

COUNT: Final = 100
"""Blobs and areas of each server."""
TURN: Final = 40
"""Requests of one kind in a turn: some milliseconds of the server's processor time."""
ROUNDS: Final = 40
LEAST_ROUNDS: Final = 20
SECONDS: Final = 20.0
"""A campaign ends after these seconds, if it has had `LEAST_ROUNDS`."""
DOUBT: Final = 0.01
"""How often, at most, an interval misses the median."""
MARK: Final = "Costs more:"
"""A line of a commit's message that begins with this says why a growth is intended."""


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return (median, low, high) of ratios: the 99 % confidence interval of the median.

    From the order of the ratios alone, whatever their distribution: a turn that something disturbed counts as
    one, however long it took.
    """
    ordered, count = sorted(ratios), len(ratios)
    beyond, chance = -1, 0.0
    while (chance := chance + 2 * math.comb(count, beyond + 1) / 2**count) <= DOUBT:
        beyond += 1
    if beyond < 0:
        return statistics.median(ordered), 0.0, math.inf
    return statistics.median(ordered), ordered[beyond], ordered[-1 - beyond]


def grown(found: Sequence[VersionComparison]) -> list[VersionComparison]:
    """Return the kinds of requests whose cost has certainly grown by more than `ALLOWED`."""
    return [one for one in found if one.low > ALLOWED]


def compared(base: Path, head: Path) -> tuple[list[VersionComparison], list[VersionComparison]]:
    """Return what each kind of request costs at two checkouts, and which costs have grown twice in a row.

    Raises:
        RuntimeError: A server did not start, or refused a request.
        OSError: A connection was broken.

    """
    found = campaign(base, head)
    suspected = grown(found)
    if not suspected:
        return found, []
    again = {one.case: one for one in grown(campaign(base, head, head_first=True))}
    return found, [one for one in suspected if one.case in again]


def campaign(base: Path, head: Path, *, head_first: bool = False) -> list[VersionComparison]:
    """Measure both versions once, with processes of their own."""
    core = processors()[0]
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        sides: dict[str, _Side] = {}
        versions = {"base": base, "head": head}
        for side in ("head", "base") if head_first else ("base", "head"):
            folder = Path(name) / side
            folder.mkdir()
            configuration = settings_http.configuration(folder)
            with configuration.open("a") as file:
                file.write(blobs.CONFIGURATION)
            port, pid = stack.enter_context(
                servers.retain(folder / "data", configuration, core, checkout=versions[side])
            )
            sides[side] = _Side(port, pid, requests_of(port, COUNT))
        costs = _measured(sides)
    found = []
    for kind, (before, after) in costs.items():
        ratios = [new / old for old, new in zip(before, after, strict=True)]
        figures = statistics.median(before), statistics.median(after)
        found.append(VersionComparison("growth", kind, "cpu_us", *figures, *interval(ratios)))
    return found


class _Side(NamedTuple):
    """One version's server, and its requests by kind."""

    port: int
    pid: int
    requests: Mapping[str, Sequence[bytes]]


def _measured(sides: Mapping[str, _Side]) -> dict[str, tuple[list[float], list[float]]]:
    """Return µs of processor time a request, by kind: of the base and of the head, one each a round."""
    costs: dict[str, tuple[list[float], list[float]]] = {kind: ([], []) for kind in sides["head"].requests}
    begin = time.perf_counter()
    for turn in range(ROUNDS):
        if turn >= LEAST_ROUNDS and time.perf_counter() - begin > SECONDS:
            break
        for kind, (before, after) in costs.items():
            for side in ("base", "head") if turn % 2 == 0 else ("head", "base"):
                (before if side == "base" else after).append(_turn(sides[side], kind, turn))
    return costs


def _turn(side: _Side, kind: str, turn: int) -> float:
    """Return µs of processor time a request, after a first one that opens the connection."""
    requests = side.requests[kind]
    with socket.create_connection(("127.0.0.1", side.port), timeout=60) as connection:
        _exchange(connection, requests[-1])
        spent = cpu_seconds(side.pid)
        for number in range(TURN):
            _exchange(connection, requests[(turn * TURN + number) % len(requests)])
        return (cpu_seconds(side.pid) - spent) * 1e6 / TURN


def _exchange(connection: socket.socket, raw: bytes) -> None:
    """Send a request and read its answer.

    Raises:
        RuntimeError: It is not a success.

    """
    connection.sendall(raw)
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    head = data[:end].lower()
    if not head.startswith((b"http/1.1 200", b"http/1.1 201", b"http/1.1 204")):
        raise RuntimeError(f"answered {data[:300]!r}")
    _, _, length = head.partition(b"\r\ncontent-length:")
    missing = end + 4 + int(length.split(b"\r\n", 1)[0] or 0) - len(data)
    while missing > 0:
        missing -= len(_more(connection))


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


def reasons(base: str, repository: Path) -> list[str]:
    """Return the reasons that the commits after `base` give for higher costs (`MARK`)."""
    command = ["git", "-C", str(repository), "log", "--format=%B", f"{base}..HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.startswith(MARK)]
