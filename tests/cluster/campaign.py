"""Nodes and their surroundings, and what the campaign does to them."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from random import Random

from tests.cluster.database import Database
from tests.cluster.node import Surroundings
from tests.kit.power import Disk
from tests.kit.relay import Relay
from tests.kit.server import Server
from tests.test_nodes import Site, ended, free_address, is_ready

LEASE_S = 1.0
"""As in the configuration of `tests.test_nodes`."""
PAUSE_S = 4 * LEASE_S
"""The longest pause or cut: the others have gone on without the node before it comes back."""
LIMIT_S = 120.0
"""All nodes answer again after a fault within this time."""
SHIFTS_S = (0, 0.5, -0.5, 3, -3, 45, -45, 600, -600, 86400, -86400)
"""How far a wall clock is ahead. From a minute on, a node doubts a jump forward."""


class Campaign:
    """Three nodes or more on a database, with a way from each to each other and to each server.

    Args:
        root: An empty folder.
        database: PostgreSQL.
        names: Of the nodes.
        random: Chooses the faults.
        on_disks: Whether each node's folder is a disk whose power can be cut.

    """

    def __init__(
        self, root: Path, database: Database, names: Sequence[str], random: Random, *, on_disks: bool
    ) -> None:
        self._random = random
        self._database = database
        self._links = {name: free_address() for name in names}
        self._ways = {
            (one, other): Relay((host, int(port)))
            for one, other in permutations(names, 2)
            for host, port in [self._links[other].split(":")]
        }
        self._logs = {
            name: [Relay(str(server.folder / ".s.PGSQL.5432")) for server in database.both] for name in names
        }
        self._site = Site(root, "", links=dict(self._links))
        self._surroundings: dict[str, Surroundings] = {}
        self._disks: dict[str, Disk] = {}
        for name in names:
            hosts = ",".join(f"127.0.0.1:{relay.port}" for relay in self._logs[name])
            self._site.logs[name] = f"postgresql://retain@{hosts}/retain?sslmode=disable"
            self._surroundings[name] = Surroundings(root / f"{name}.surroundings")
            self._surroundings[name].create(
                {
                    self._links[other]: f"127.0.0.1:{self._ways[name, other].port}"
                    for other in names
                    if other != name
                }
            )
            (root / name).mkdir()
            if on_disks:
                self._disks[name] = Disk(root / name)
        self.nodes: dict[str, Server] = {}
        self.faults: Counter[str] = Counter()
        self.at_leader: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.kinds: dict[str, Callable[[str], None]] = {
            "kill": self._kill,
            "stop": self._stop,
            "pause": self._pause,
            "clock": self._shift,
            "cut-off": self._cut_off,
            "no-database": self._cut_from_database,
            "no-leader": self._cut_from_leader,
            "postgres": lambda name: database.restart(),
            "standby": lambda name: database.lose_standby(),
            "failover": lambda name: database.fail_over(),
            "split": lambda name: database.split(self._seconds()),
            "both": self._fail_both,
        }
        if on_disks:
            self.kinds["power"] = self._cut_power
            self.kinds["power-postgres"] = lambda name: database.cut_power(of_both=False)
            self.kinds["power-all"] = lambda name: self._cut_all_power()

    def begin(self) -> None:
        """Begin the cluster, and start all nodes."""
        first = next(iter(self._links))
        done = self._site.run(first, "node", "init")
        assert done.returncode == 0, done.stderr
        for name in self._links:
            self._start(name)
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
        """Stop all nodes, the leader last, so that no other one leads and writes; return what is wrong."""
        leader = self._database.leader()
        wrong = []
        for name, node in sorted(self.nodes.items(), key=lambda one: one[0] == leader):
            if code := node.stop():
                wrong.append(f"node {name} ended with {code}:\n{node.log()[-4000:]}")
            ended(node)
        return wrong

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

    def _cut_all_power(self) -> None:
        """Cut the power of every machine at once."""
        for node in self.nodes.values():
            node.process.send_signal(signal.SIGSTOP)
        self._database.cut_power(of_both=True)
        for name in self.nodes:
            self._cut_power(name)

    def _cut(self, relays: Sequence[Relay]) -> None:
        for relay in relays:
            relay.cut()
        time.sleep(self._seconds())
        for relay in relays:
            relay.mend()

    def _ways_of(self, name: str) -> list[Relay]:
        return [relay for ends, relay in self._ways.items() if name in ends]

    def _seconds(self) -> float:
        return self._random.uniform(0.05, PAUSE_S)

    # --- what a supervisor does --------------------------------------------------------------------------

    def _all_back(self) -> None:
        deadline = time.monotonic() + LIMIT_S
        while {self._is_back(name) for name in self._links} != {True}:
            assert time.monotonic() < deadline, "the nodes do not come back:\n" + self._logs_of_nodes()
            time.sleep(0.05)

    def _is_back(self, name: str) -> bool:
        """Whether a node is ready; one that has ended is started again."""
        node = self.nodes[name]
        if (code := node.process.poll()) is None:
            return is_ready(node)
        self.codes[str(code)] += 1
        ended(node)
        self._start(name)
        return False

    def _start(self, name: str) -> None:
        """Start a node as a supervisor does: again, while PostgreSQL is not there."""
        program = ("tests.cluster.node", str(self._surroundings[name].file))
        for _ in range(60):
            try:
                self.nodes[name] = self._site.start(name, program)
            except AssertionError:
                time.sleep(0.5)
            else:
                return
        raise AssertionError(f"node {name} does not start:\n{self._logs_of_nodes()}")

    def _logs_of_nodes(self) -> str:
        return "\n".join(node.log()[-3000:] for node in self.nodes.values())
