"""Nodes on PostgreSQL, clients at all of them, and faults; then: was any answer wrong, anything lost?

`python -m tests.cluster --minutes 10 --seed 7`. The faults happen one after the other, in random order, each
kind as often as the others; docs/cluster/promises.md lists them. The history of each key is checked for
linearizability, the folders are compared byte by byte, and each journal is verified. Exit code 1 and the
reason if something is wrong.

Power is cut only where root may mount a file system of its own; elsewhere those kinds are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from random import Random

from retain.engine.audit.verify import verification
from retain.journal import RealDisk
from tests.cluster import patroni
from tests.cluster.campaign import Campaign, Stuck
from tests.cluster.clients import Client
from tests.cluster.database import Database
from tests.cluster.report import Report
from tests.kit import postgres, power
from tests.kit.linear import Done, why_not
from tests.kit.server import Server
from tests.test_nodes import create, folder_of

KEYS = 3
CLIENTS = 2
"""Of each key."""
REST_S = 0.3
"""Between two faults."""


def wrong_histories(clients: list[Client]) -> list[str]:
    """Return which keys' histories no order explains."""
    histories: dict[str, list[Done]] = defaultdict(list)
    for client in clients:
        histories[client.key] += client.history
    found = ((key, why_not(history, "0")) for key, history in histories.items())
    return [f"the history of {key} is not linearizable: {why}" for key, why in found if why is not None]


def wrong_folders(nodes: list[Server]) -> list[str]:
    """Return what is wrong in the folders of nodes that have ended."""
    journals = [verification(RealDisk(node.data)).journal for node in nodes]
    found = [str(finding) for journal in journals for finding in journal.findings]
    if len({journal.root for journal in journals}) != 1:
        found.append(f"the journals differ: {[journal.seq for journal in journals]}")
    if any(folder_of(node) != folder_of(nodes[0]) for node in nodes):
        found.append("the folders differ")
    return found


def shuffled(kinds: list[str], random: Random) -> Iterator[str]:
    """Give kinds without end, each of them once before any is given again."""
    while True:
        random.shuffle(kinds)
        yield from kinds


def run(root: Path, given: argparse.Namespace) -> Report:
    """Run one campaign with files in an empty folder."""
    (root / "secret").write_bytes(os.urandom(32).hex().encode())
    (root / "secret").chmod(0o600)
    on_disks = not given.patroni and not power.why_none()
    names = [f"n{number}" for number in range(1, given.nodes + 1)]
    random = Random(given.seed)
    with running(root, with_patroni=given.patroni, on_disks=on_disks) as database:
        new = Campaign(root, database, names, random, lease=given.lease, pause=given.pause, on_disks=on_disks)
        with closing(new) as campaign:
            campaign.begin()
            began = time.monotonic()
            first = campaign.nodes[names[0]]
            keys = [create(first, k="0") for _ in range(KEYS)]
            clients = [Client(campaign.nodes, key, number) for key in keys for number in range(CLIENTS)]
            for client in clients:
                client.start()
            kinds = [kind for kind in campaign.kinds if kind in (given.only or campaign.kinds)]
            stuck = harm(campaign, islice(shuffled(kinds, random), given.faults), given.minutes * 60)
            for client in clients:
                client.stopped.set()
            for client in clients:
                client.join()
            report = Report([given.seed], time.monotonic() - began, campaign.faults, campaign.at_leader)
            report.wrong += stuck + wrong_histories(clients)
            if not stuck:
                report.wrong += campaign.end()
                report.wrong += wrong_folders(list(campaign.nodes.values()))
            if report.wrong:
                report.wrong.append(f"the folders of the nodes are in {campaign.keep()}")
        if isinstance(database, patroni.PatroniDatabase):
            took = " ".join(f"{seconds:.1f}" for seconds in database.failovers)
            print(f"seconds until Patroni had another primary: {took}")
    report.codes = campaign.codes
    report.acknowledged = sum(client.acknowledged() for client in clients)
    report.unknown = sum(one.end == float("inf") for client in clients for one in client.history)
    report.reads = sum(not one.wrote for client in clients for one in client.history)
    report.silence = max(client.silence for client in clients)
    report.wait = max(client.wait for client in clients)
    return report


@contextmanager
def running(
    root: Path, *, with_patroni: bool, on_disks: bool
) -> Iterator[Database | patroni.PatroniDatabase]:
    """Run PostgreSQL, with Patroni if asked for."""
    if with_patroni:
        root.chmod(0o755)  # another user's process reaches its own folder
        (root / "patroni").mkdir()
        with patroni.running(root / "patroni") as database:
            yield database
    else:
        with postgres.running() as servers:
            yield Database(servers, on_disks=on_disks)


def harm(campaign: Campaign, kinds: Iterable[str], seconds: float) -> list[str]:
    """Do one fault after the other for a time; return why it could not go on."""
    end = time.monotonic() + seconds
    for kind in kinds:
        if time.monotonic() > end:
            break
        try:
            campaign.fault(kind)
        except Stuck as error:
            return [f"after {kind}: {error}"]
        time.sleep(REST_S)
    return []


def main() -> int:
    """Run a campaign, or add up the reports of several; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="the longest time")
    parser.add_argument("--faults", type=int, help="the most faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--pause", type=float, default=4.0, help="the longest pause or cut, in seconds")
    parser.add_argument("--lease", type=float, default=1.0, help="of the leader, in seconds; longer if busy")
    parser.add_argument(
        "--only", action="append", metavar="KIND", help="a kind of fault; all if none is named"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="append the result, a line of JSON")
    parser.add_argument("--sum", type=Path, metavar="FILE", help="only add up the results that a file has")
    parser.add_argument(
        "--patroni", action="store_true", help="let Patroni and etcd, from Debian, choose the primary"
    )
    given = parser.parse_args()
    if given.patroni and (why := patroni.why_none()):
        parser.error(why)
    if given.sum is not None:
        report = Report.of(given.sum.read_text())
    else:
        power.end_with_this_process()
        if why := power.why_none():
            print(f"no power cuts: {why}", file=sys.stderr)
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(
            prefix="retain-cluster-", dir=memory if memory.is_dir() else None
        ) as folder:
            report = run(Path(folder), given)
        if given.report is not None:
            with given.report.open("a") as file:
                file.write(report.line() + "\n")
    print(report)
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
