"""Nodes and their surroundings, and what the campaign does to them."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from random import Random

from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.cluster.database import Database
from tests.cluster.node import Surroundings
from tests.cluster.patroni import PatroniDatabase
from tests.kit.power import Disk
from tests.kit.relay import Relay
from tests.kit.server import Server
from tests.test_nodes import Site, ended, free_address, is_ready

LIMIT_S = 300.0
"""All nodes answer again after a fault within this time: leases end for no fault on a busy machine."""
ENDS = 10
"""Most attempts to stop all nodes between two rounds of erasing."""
SHIFTS_S = (0, 0.5, -0.5, 3, -3, 45, -45, 600, -600, 86400, -86400)
"""How far a wall clock is ahead. From a minute on, a node doubts a jump forward."""


class Stuck(Exception):
    """Not all nodes came back."""


class Campaign:
    """Three nodes or more on a database, with a way from each to each other and to each server.

    Args:
        root: An empty folder.
        database: PostgreSQL.
        names: Of the nodes.
        random: Chooses the faults.
        lease: Of the leader, in seconds.
        pause: The longest pause or cut, in seconds. After a lease the others have gone on without the node.
        on_disks: Whether each node's folder is a disk whose power can be cut.

    """

    def __init__(
        self,
        root: Path,
        database: Database | PatroniDatabase,
        names: Sequence[str],
        random: Random,
        *,
        lease: float,
        pause: float,
        on_disks: bool,
    ) -> None:
        self._random = random
        self._pause_s = pause
        self._database = database
        self._links = {name: free_address() for name in names}
        self._ways = {
            (one, other): Relay((host, int(port)))
            for one, other in permutations(names, 2)
            for host, port in [self._links[other].split(":")]
        }
        self._logs = {name: [Relay(server.address) for server in database.both] for name in names}
        self._site = Site(root, "", links=dict(self._links), lease=lease)
        self._surroundings: dict[str, Surroundings] = {}
        self._disks: dict[str, Disk] = {}
        for name in names:
            self._surround(name)
            (root / name).mkdir()
            if on_disks:
                self._disks[name] = Disk(root / name)
        self.nodes: dict[str, Server] = {}
        self.faults: Counter[str] = Counter()
        self.at_leader: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.kinds = self._possible_kinds(on_disks)

    def _surround(self, name: str) -> None:
        """Let every way of a node be one that can be cut, and its clock one that can be set."""
        hosts = ",".join(f"127.0.0.1:{relay.port}" for relay in self._logs[name])
        self._site.logs[name] = f"postgresql://retain@{hosts}/retain?sslmode=disable"
        self._surroundings[name] = Surroundings(self._site.root / f"{name}.surroundings")
        ways = {other: relay for (one, other), relay in self._ways.items() if one == name}
        self._surroundings[name].create(
            {self._links[other]: f"127.0.0.1:{relay.port}" for other, relay in ways.items()}
        )

    def _possible_kinds(self, on_disks: bool) -> dict[str, Callable[[str], None]]:
        """Return what can be done, to a node or to the database, by name."""
        kinds: dict[str, Callable[[str], None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "pause": self._pause,
            "clock": self._shift,
            "cut-off": self._cut_off,
            "no-database": self._cut_from_database,
            "no-leader": self._cut_from_leader,
            "both": self._fail_both,
        } | self._database.kinds(self._seconds)
        if on_disks:
            kinds |= {"power": self._cut_power, "power-all": self._cut_all_power}
        return kinds

    def begin(self) -> None:
        """Begin the cluster, and start all nodes."""
        first = next(iter(self._links))
        done = self._site.run(first, "node", "init")
        assert done.returncode == 0, done.stderr
        self._start_all(self._links)
        self._all_back()

    def fault(self, kind: str) -> None:
        """Do something to a node, often the leader, or to the database; return when all are back."""
        leader = self._database.leader()
        name = self._random.choice([leader, *self.nodes])
        leads = name == leader
        self.kinds[kind](name)
        self.faults[kind] += 1
        self.at_leader[kind] += leads
        self._all_back()

    def end(self) -> list[str]:
        """Stop all nodes where their journals end alike; return what is wrong."""
        wrong = self._stop_all()
        for _ in range(ENDS):
            if (
                wrong
                or len({verification(RealDisk(node.data)).journal.seq for node in self.nodes.values()}) == 1
            ):
                break
            self._start_all(self._links)  # the leader has erased something while the others had stopped
            self._all_back()
            wrong = self._stop_all()
        return wrong

    def _stop_all(self) -> list[str]:
        """Stop the leader last, so that no other one leads and writes."""
        leader = self._database.leader()
        wrong = []
        for name, node in sorted(self.nodes.items(), key=lambda one: one[0] == leader):
            if code := node.stop():
                wrong.append(f"node {name} ended with {code}:\n{node.log()[-4000:]}")
            ended(node)
        return wrong

    def keep(self) -> str:
        """Copy the folders of all nodes, to be looked at; return where they are."""
        kept = tempfile.mkdtemp(prefix="retain-wrong-")
        for name in self.nodes:
            subprocess.run(["cp", "-a", self._site.root / name, kept], check=True)
        return kept

    def close(self) -> None:
        """Remove what processes and disks are left."""
        for node in self.nodes.values():
            ended(node)
        for disk in self._disks.values():
            disk.close()

    # --- faults ------------------------------------------------------------------------------------------

    def _kill(self, name: str) -> None:
        self.nodes[name].kill()

    def _stop(self, name: str) -> None:
        self.nodes[name].stop()

    def _pause(self, name: str) -> None:
        process = self.nodes[name].process
        process.send_signal(signal.SIGSTOP)
        time.sleep(self._seconds())
        process.send_signal(signal.SIGCONT)

    def _shift(self, name: str) -> None:
        """Set the node's wall clock; it stays so until it is set again."""
        self._surroundings[name].shift(int(self._random.choice(SHIFTS_S) * 1e9))

    def _cut_off(self, name: str) -> None:
        """Cut a node off from the database and from all other nodes."""
        self._cut([*self._logs[name], *self._ways_of(name)])

    def _cut_from_database(self, name: str) -> None:
        """Cut a node off from the database; the other nodes it still reaches."""
        self._cut(self._logs[name])

    def _cut_from_leader(self, name: str) -> None:
        """Cut a node off from the leader, or the leader from all other nodes; all reach the database."""
        leader = self._database.leader()
        self._cut(self._ways_of(name) if name == leader else [self._ways[name, leader]])

    def _fail_both(self, name: str) -> None:
        """Kill the leader and the primary at once."""
        self.nodes[self._database.leader()].kill()
        self._database.fail_over()

    def _cut_power(self, name: str) -> None:
        """Cut the power of a node."""
        self.nodes[name].process.send_signal(signal.SIGSTOP)
        self._disks[name].cut_power()
        self.nodes[name].kill()
        self._disks[name].restore()

    def _cut_all_power(self, name: str) -> None:
        """Cut the power of every machine at once."""
        for node in self.nodes.values():
            node.process.send_signal(signal.SIGSTOP)
        assert isinstance(self._database, Database)
        self._database.cut_power(of_both=True)
        for one in self.nodes:
            self._cut_power(one)

    def _cut(self, relays: Sequence[Relay]) -> None:
        for relay in relays:
            relay.cut()
        time.sleep(self._seconds())
        for relay in relays:
            relay.mend()

    def _ways_of(self, name: str) -> list[Relay]:
        return [relay for ends, relay in self._ways.items() if name in ends]

    def _seconds(self) -> float:
        return self._random.uniform(0.05, self._pause_s)

    # --- what a supervisor does --------------------------------------------------------------------------

    def _all_back(self) -> None:
        """Start again what has ended, until all nodes are ready."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            codes = {name: node.process.poll() for name, node in self.nodes.items()}
            gone = [name for name, code in codes.items() if code is not None]
            self.codes.update(str(codes[name]) for name in gone)
            self._start_all(gone)
            if not gone and all(is_ready(node) for node in self.nodes.values()):
                return
            if time.monotonic() > deadline:
                raise Stuck("the nodes do not come back:\n" + self._logs_of_nodes())
            time.sleep(0.05)

    def _start_all(self, names: Collection[str]) -> None:
        """Start nodes at the same time."""
        with ThreadPoolExecutor(len(self._links)) as pool:
            list(pool.map(self._start, names))

    def _start(self, name: str) -> None:
        """Start a node as a supervisor does: again, while PostgreSQL is not there."""
        if name in self.nodes:
            ended(self.nodes[name])
        program = ("tests.cluster.node", str(self._surroundings[name].file))
        for _ in range(60):
            try:
                self.nodes[name] = self._site.start(name, program)
            except AssertionError:
                time.sleep(0.5)
            else:
                return
        raise Stuck(f"node {name} does not start:\n{self._logs_of_nodes()}")

    def _logs_of_nodes(self) -> str:
        return "\n".join(node.log()[-3000:] for node in self.nodes.values())
