"""Several machines, all on this one: reads of one to three nodes, writes, the silence of a failover.

The nodes, PostgreSQL with its synchronous standby, and the load share all processors. Reads therefore
grow with the nodes only while there are idle processors; the processor time of a read shows what a node
with a machine of its own can answer. What the barrier costs is the difference between a write of one node
and of three.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from retain.bench.load import Load
from retain.bench.load import measure as ask
from retain.bench.load.requests import Client, request
from retain.bench.metrics import Measurement
from retain.bench.peers import servers
from retain.bench.peers.cluster import Node, cluster, postgres
from retain.bench.result import ResultRow, RunResult
from retain.bench.scenario import Case, RunSettings, Scenario, in_rounds

FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
BODY: Final = urlencode({"Key1": "x" * 1024}).encode()
STORAGE: Final = "/genesys/1/storage"
PREPARED: Final = 500
NODES: Final = ("n1", "n2", "n3")
CONFIGURATION: Final = '[log]\nlevel = "error"\n'
CLIENT_TIMEOUT_S: Final = 30.0
BEFORE_S: Final = 0.5
"""Seconds of undisturbed writes before a node is ended."""
AFTER_S: Final = 2.0
"""Seconds of writes after the first one that succeeds again."""
LIMIT_S: Final = 60.0

ALONE, ONE, LEADER, FOLLOWER = "one machine", "1 node", "3 nodes, leader", "3 nodes, follower"


def measure(settings: RunSettings, result: RunResult) -> None:
    """Measure reads and writes with all nodes running, then end nodes one after another."""
    with tempfile.TemporaryDirectory(prefix="retain-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL's user reaches its own folders
        configuration = folder / "retain.toml"
        configuration.write_text(CONFIGURATION)
        alone = stack.enter_context(servers.retain(folder / "alone", configuration))
        single, several = (
            _nodes(folder / part, names, stack) for part, names in (("1", NODES[:1]), ("3", NODES))
        )
        _steady(settings, result, alone, single[0], several)
        for _ in range(settings.rounds):
            _silences(settings, result, several)
    result.ratio(
        "p50 of a write: 1 node / one machine", *_rows(result, "write, 1 client", ALONE, ONE), "p50_ms"
    )
    result.ratio("p50 of a write: 3 nodes / 1 node", *_rows(result, "write, 1 client", ONE, LEADER), "p50_ms")
    for many in (2, 3):
        rows = (result.row("read", f"{many} nodes"), result.row("read", ONE))
        result.ratio(f"reads: {many} nodes / 1 node", *rows)
    barrier = [
        after - before
        for after, before in zip(*(_p50(result, server) for server in (LEADER, ONE)), strict=True)
    ]
    result.notes.append(
        "The barrier, p50 of a write at the leader of 3 nodes less that of 1 node: "
        + ", ".join(f"{one:.2f}" for one in barrier)
        + " ms in the rounds"
    )
    result.notes.append(
        "All nodes, both PostgreSQL servers and the load share this machine's processors. "
        "A lease is 5 s, a grant 2 s"
    )


def _rows(result: RunResult, case: str, base: str, of: str) -> tuple[ResultRow, ResultRow]:
    return result.row(case, of), result.row(case, base)


def _p50(result: RunResult, server: str) -> list[float]:
    return result.row("write, 1 client", server).figures["p50_ms"]


def _nodes(folder: Path, names: Sequence[str], stack: ExitStack) -> list[Node]:
    folder.mkdir(mode=0o711)
    log = stack.enter_context(postgres(folder))
    return stack.enter_context(cluster(folder, log, names, CONFIGURATION))


def _steady(
    settings: RunSettings, result: RunResult, alone: tuple[int, int], single: Node, several: Sequence[Node]
) -> None:
    cases: dict[tuple[str, str], Case] = {}
    places = {
        ALONE: alone,
        ONE: (single.port, single.pid),
        LEADER: (several[0].port, several[0].pid),
        FOLLOWER: (several[1].port, several[1].pid),
    }
    for server, at in places.items():
        for many in (1, settings.connections):
            clients = f"{many} client" + ("s" if many > 1 else "")
            create = [request("POST", f"{STORAGE}/3600", BODY, FORM)]
            cases[f"write, {clients}", server] = partial(ask, _load(settings, at, create, many))
    gets = {port: _prepare(settings, port) for port in (alone[0], single.port, several[0].port)}
    cases["read", ALONE] = partial(ask, _load(settings, alone, gets[alone[0]]))
    for many in range(1, len(several) + 1):
        loads = [
            _load(
                settings, (node.port, node.pid), gets[several[0].port], max(1, settings.connections // many)
            )
            for node in several[:many]
        ]
        server = ONE if many == 1 else f"{many} nodes"
        cases["read", server] = partial(together, loads)
    in_rounds(settings, result, cases)


def _prepare(settings: RunSettings, port: int) -> list[bytes]:
    with Client(port) as client:
        made = [
            client.send("POST", f"{STORAGE}/36000", BODY, FORM) for _ in range(settings.scaled(PREPARED, 10))
        ]
    return [request("GET", f"{STORAGE}/{json.loads(one)['id']}") for one in made]


def _load(
    settings: RunSettings, at: tuple[int, int], requests: list[bytes], connections: int | None = None
) -> Load:
    return Load(
        at[0],
        requests,
        200,
        settings.connections if connections is None else connections,
        settings.seconds,
        pid=at[1],
        seed=settings.seed,
    )


def together(loads: Sequence[Load]) -> Measurement:
    """Run loads at the same time: rates are added, the other figures are those of the slowest node."""
    with ThreadPoolExecutor(len(loads)) as pool:
        found = list(pool.map(ask, loads))
    figures = {name: max(one.figures[name] for one in found) for name in found[0].figures}
    figures["per_second"] = sum(one.figures["per_second"] for one in found)
    return Measurement(figures)


class _Writer(threading.Thread):
    """Writes at several nodes in turn; the longest time between two acknowledged writes is the silence."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[float] = []
        self._ports, self._stopped = ports, threading.Event()

    def run(self) -> None:
        at = 0
        while not self._stopped.is_set():
            connection = http.client.HTTPConnection(
                "127.0.0.1", self._ports[at % len(self._ports)], timeout=CLIENT_TIMEOUT_S
            )
            try:
                while not self._stopped.is_set():
                    connection.request("POST", f"{STORAGE}/3600", BODY, FORM)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        break
                    self.acknowledged.append(time.monotonic())
            except (OSError, http.client.HTTPException):
                pass  # this node has ended: the next one is asked
            finally:
                connection.close()
            at += 1
            time.sleep(0.01)

    def silence(self, end: Callable[[], None]) -> float:
        """Call `end`, and return the longest silence in seconds around it.

        Raises:
            RuntimeError: No write succeeds any more.

        """
        self.start()
        time.sleep(BEFORE_S)
        begin = time.monotonic()
        end()
        while not self.acknowledged or self.acknowledged[-1] < begin + AFTER_S:
            if time.monotonic() > begin + LIMIT_S:
                raise RuntimeError("no node takes writes any more")
            time.sleep(0.02)
        self._stopped.set()
        self.join()
        moments = [one for one in self.acknowledged if one >= begin - BEFORE_S]
        return max(after - before for before, after in pairwise(moments))


def _silences(settings: RunSettings, result: RunResult, nodes: Sequence[Node]) -> None:
    """End the leader twice and a follower once, each while a client writes at the others."""
    for case, leads, killed in (
        ("leader killed", True, True),
        ("leader stopped", True, False),
        ("follower killed", False, True),
    ):
        node = next(one for one in nodes if _leads(one) == leads)
        others = [one.port for one in nodes if one is not node]
        seconds = _Writer(others).silence(node.kill if killed else node.stop)
        result.add(case, Measurement({"silence_s": seconds}), f"{len(nodes)} nodes")
        node.start()


def _leads(node: Node) -> bool:
    with Client(node.port) as client:
        return b"\nretain_node_leads 1" in client.send("GET", "/metrics")


SCENARIO = Scenario(
    "cluster", "Several machines: reads of 1, 2 and 3 nodes, writes, the barrier, failover silence.", measure
)
