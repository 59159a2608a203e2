"""Servers on one PostgreSQL, requests at all of them, and faults; then: was any answer wrong, anything lost?

`python -m tests.cluster --minutes 10 --seed 7 --nodes 3`. Faults, one after the other, at random: a node is
killed, paused for up to three leases, or cut off from PostgreSQL; PostgreSQL itself is killed and started
again. The histories of the keys are checked for linearizability, the folders compared byte by byte, and each
journal verified. Exit code 1 and the reason if something is wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.kit import postgres
from tests.kit.linear import why_not
from tests.kit.relay import Relay
from tests.kit.server import Server
from tests.test_nodes import Site, Writer, create, ended, eventually, folder_of, is_ready

LEASE_S = 1.0
KEYS = 3


class Campaign:
    """Nodes, their ways to PostgreSQL, and what is done to them.

    Args:
        root: An empty folder.
        server: PostgreSQL.
        names: Of the nodes.
        seed: Of the faults.

    """

    def __init__(self, root: Path, server: postgres.Server, names: list[str], seed: int) -> None:
        self._random = Random(seed)
        self._postgres = server
        self._relays = {name: Relay(str(server.folder / ".s.PGSQL.5432")) for name in names}
        self._sites = {
            name: Site(root, f"postgresql://retain@127.0.0.1:{relay.port}/retain?sslmode=disable")
            for name, relay in self._relays.items()
        }
        for site in self._sites.values():
            site.links = next(iter(self._sites.values())).links
        self.nodes: dict[str, Server] = {}
        self.done: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()

    def begin(self) -> None:
        """Begin the cluster, and start all nodes."""
        first, site = next(iter(self._sites.items()))
        done = site.run(first, "node", "init")
        assert done.returncode == 0, done.stderr
        for name in self._sites:
            self._start(name)

    def fault(self) -> None:
        """Do something to one of them, and return when all are back."""
        name = self._random.choice(list(self.nodes))
        kind = self._random.choice(["kill", "pause", "cut", "stop", "postgres"])
        seconds = self._random.uniform(0.05, 3 * LEASE_S)
        self.done[kind] += 1
        match kind:
            case "kill":
                self.nodes[name].kill()
            case "stop":
                self.nodes[name].stop()
            case "pause":
                process = self.nodes[name].process
                process.send_signal(signal.SIGSTOP)
                time.sleep(seconds)
                process.send_signal(signal.SIGCONT)
            case "cut":
                self._relays[name].cut()
                time.sleep(seconds)
                self._relays[name].mend()
            case _:
                self._postgres.kill()
                time.sleep(min(seconds, LEASE_S / 2))
                self._postgres.start()
        self._all_back()

    def _all_back(self) -> None:
        deadline = time.monotonic() + 120
        while not all(is_ready(node) for node in self.nodes.values()):
            assert time.monotonic() < deadline, "the nodes do not come back:\n" + self._logs()
            for name, node in self.nodes.items():
                if (code := node.process.poll()) is not None:
                    self.codes[code] += 1
                    ended(node)
                    self._start(name)
            time.sleep(0.05)

    def _start(self, name: str) -> None:
        """Start a node as a supervisor does: again, while PostgreSQL is not there."""
        for _ in range(60):
            try:
                self.nodes[name] = self._sites[name].start(name)
            except AssertionError:
                time.sleep(0.5)
            else:
                return
        raise AssertionError(f"node {name} does not start:\n{self._logs()}")

    def _logs(self) -> str:
        return "\n".join(node.log()[-2000:] for node in self.nodes.values())


def wrong(campaign: Campaign, writers: list[Writer]) -> list[str]:
    """Stop everything; return what is wrong."""
    found = []
    for writer in writers:
        writer.stopped.set()
        writer.join(60)
        if (why := why_not(writer.history, "0")) is not None:
            found.append(f"a history is not linearizable: {why}")
    nodes = list(campaign.nodes.values())
    records = [verification(RealDisk(node.data)).journal for node in nodes]
    eventually(lambda: len({verification(RealDisk(node.data)).journal.seq for node in nodes}) == 1)
    for node in nodes:
        if code := node.stop():
            found.append(f"a node ended with {code}:\n{node.log()[-4000:]}")
    records = [verification(RealDisk(node.data)).journal for node in nodes]
    found += [str(finding) for one in records for finding in one.findings]
    if len({one.root for one in records}) != 1:
        found.append(f"the journals differ: {[one.seq for one in records]}")
    if any(folder_of(node) != folder_of(nodes[0]) for node in nodes):
        found.append("the folders differ")
    for node in nodes:
        ended(node)
    return found


class AtAny(Writer):
    """A writer at the nodes as they are at each moment."""

    def __init__(self, campaign: Campaign, name: str) -> None:
        super().__init__((), name)
        self._campaign = campaign
        self.silence = 0.0

    def run(self) -> None:
        number, last = 0, time.monotonic()
        while not self.stopped.is_set():
            for server in list(self._campaign.nodes.values()):
                number += 1
                before = self.acknowledged_count
                self._write(server, f"{number}")
                self._read(server)
                if self.acknowledged_count > before:
                    self.silence = max(self.silence, time.monotonic() - last)
                    last = time.monotonic()

    @property
    def acknowledged_count(self) -> int:
        return self.acknowledged()


def main() -> int:
    """Run a campaign; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retain-cluster-") as folder, postgres.running() as servers:
        secret = Path(folder) / "secret"
        secret.write_bytes(os.urandom(32).hex().encode())
        secret.chmod(0o600)
        names = [f"n{number}" for number in range(1, given.nodes + 1)]
        campaign = Campaign(Path(folder), servers.server(), names, given.seed)
        campaign.begin()
        for node in campaign.nodes.values():
            eventually(lambda node=node: is_ready(node))  # type: ignore[misc]
        first = next(iter(campaign.nodes.values()))
        writers = [AtAny(campaign, create(first, k="0")) for _ in range(KEYS)]
        for writer in writers:
            writer.start()
        end = time.monotonic() + given.minutes * 60
        while time.monotonic() < end:
            campaign.fault()
            time.sleep(0.3)
        found = wrong(campaign, writers)
    operations = [one for writer in writers for one in writer.history]
    print(f"faults: {dict(campaign.done)}; exit codes seen: {dict(campaign.codes)}")
    print(
        f"writes acknowledged: {sum(writer.acknowledged() for writer in writers)}; refused or unknown: "
        f"{sum(one.end == float('inf') for one in operations)}; "
        f"reads: {sum(not one.wrote for one in operations)}; "
        f"longest silence of a key's writer: {max(writer.silence for writer in writers):.1f} s"
    )
    for one in found:
        print(f"WRONG: {one}", file=sys.stderr)
    print("wrong" if found else "nothing lost, all histories linearizable, folders alike")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
