"""The tests of the campaign's parts: what it injects takes effect, what it finds wrong is wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from retain.journal import JournalOptions, RealDisk, open_journal
from tests.cluster.__main__ import shuffled, wrong_folders, wrong_histories
from tests.cluster.clients import Client
from tests.cluster.node import Surroundings
from tests.cluster.report import Report
from tests.kit.linear import Done
from tests.kit.postgres import Postgres
from tests.kit.power import Disk, users_of, why_none
from tests.kit.relay import Relay
from tests.kit.server import ROOT, Server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    demand_power()
    (tmp_path / "disk").mkdir()
    disk = Disk(tmp_path / "disk")
    try:
        yield disk
    finally:
        disk.close()


def demand_power() -> None:
    if why := why_none():
        pytest.skip(why)


def test_a_power_cut_leaves_what_was_synced_and_nothing_else(disk: Disk, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with (folder / "half").open("wb", buffering=0) as file:
        file.write(b"synced")
        os.fsync(file.fileno())
        file.write(b" and not synced")
        (folder / "whole").write_bytes(b"not synced")
        disk.cut_power()
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(file.fileno())
    disk.restore()
    assert (folder / "half").read_bytes() == b"synced"
    assert not (folder / "whole").exists()


def test_a_way_that_is_closed_leaves_no_socket_open() -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as target, Relay(target.getsockname()) as relay:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", relay.port)) as near:
                near.sendall(b"x")
                far, _ = target.accept()
                with far:
                    assert far.recv(1) == b"x"
    assert set(threading.enumerate()) <= before


def test_who_keeps_a_disk_from_being_unmounted_is_named(tmp_path: Path) -> None:
    assert users_of(tmp_path) == []
    with (tmp_path / "file").open("wb"):
        (user,) = users_of(tmp_path)
    assert user.split()[0] == str(os.getpid())


@pytest.mark.parametrize("fsync", ["on", "off"])
def test_a_power_cut_costs_a_server_that_does_not_sync_what_it_committed(
    postgres_servers: Postgres, fsync: str
) -> None:
    demand_power()
    server = postgres_servers.server(on_disk=True)
    try:
        server.sql("CREATE TABLE t (number int)", "CHECKPOINT")
        server.configure(fsync=fsync)
        server.sql("INSERT INTO t VALUES (1)")
        server.cut_power()
        server.start()
        assert server.sql("SELECT number FROM t") == ([(1,)] if fsync == "on" else [])
    finally:
        postgres_servers.close(server)


def test_a_process_has_the_clock_and_the_ways_that_were_written_for_it(tmp_path: Path) -> None:
    surroundings = Surroundings(tmp_path / "file")
    surroundings.create({"a:1": "b:2"})
    ask = (
        "import sys, time; from pathlib import Path; from tests.cluster.node import Surroundings; "
        "real = time.time_ns; print(Surroundings(Path(sys.argv[1])).enter(), flush=True); "
        "sys.stdin.readline(); "
        "print(round((time.time_ns() - real()) / 1e9), round(time.time() - real() / 1e9))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", ask, tmp_path / "file"],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "{'a:1': 'b:2'}\n"
        surroundings.shift(-7 * 10**9)  # while it runs
        assert process.communicate("\n")[0] == "-7 -7\n"


def client(key: str, *history: Done) -> Client:
    found = Client({}, key, 1)
    found.history = list(history)
    return found


def test_the_histories_of_all_clients_of_a_key_are_judged_together() -> None:
    """Each client's own history has an order; together they have none."""
    writes = client("x", Done(1, 2, True, "1-1"), Done(3, 4, True, "1-2"))
    stale = client("x", Done(5, 6, False, "1-1"))
    other = client("y", Done(5, 6, False, "0"))
    assert wrong_histories([writes, other]) == []
    (found,) = wrong_histories([writes, stale, other])
    assert found.startswith("the history of x is not linearizable")
    unknown = client("x", Done(1, inf, True, "1-1"), Done(3, 4, True, "1-2"))
    assert wrong_histories([unknown, stale]) == []


def node(folder: Path, *appended: bytes) -> Server:
    """A node that has ended, with a journal."""
    journal = open_journal(
        RealDisk(folder / "data"), lambda record: None, options=JournalOptions(ballast_bytes=0)
    )
    journal.close()
    for data in appended:
        (segment,) = (folder / "data" / "journal").glob("*.journal")
        segment.write_bytes(segment.read_bytes() + data)
    return Server(None, folder)  # type: ignore[arg-type]


def test_folders_that_differ_are_found(tmp_path: Path) -> None:
    one = node(tmp_path / "one")
    subprocess.run(["cp", "-a", tmp_path / "one", tmp_path / "two"], check=True)
    two = Server(None, tmp_path / "two")  # type: ignore[arg-type]
    assert wrong_folders([one, two]) == []
    (segment,) = (two.data / "journal").glob("*.journal")
    changed = bytearray(segment.read_bytes())
    changed[-1] ^= 1
    segment.write_bytes(changed)
    assert "the folders differ" in wrong_folders([one, two])


def test_every_kind_of_fault_is_chosen_before_one_is_chosen_again() -> None:
    from random import Random

    kinds = shuffled(["a", "b", "c"], Random(1))
    rounds = [[next(kinds) for _ in range(3)] for _ in range(20)]
    assert {tuple(sorted(one)) for one in rounds} == {("a", "b", "c")}
    assert len({tuple(one) for one in rounds}) > 3


def test_reports_add_up() -> None:
    one, two = Report([1], 60.0), Report([2], 30.0)
    for report, number in ((one, 2), (two, 1)):
        report.faults["kill"] = number
        report.acknowledged, report.silence = 10 * number, float(number)
    two.wrong = ["it"]
    total = Report.of(f"{one.line()}\n{two.line()}\n")
    assert (total.seeds, total.seconds, total.faults["kill"]) == ([1, 2], 90.0, 3)
    assert (total.acknowledged, total.silence, total.wrong) == (30, 2.0, ["it"])
    assert "3 faults, 1.5 minutes" in str(total)
    assert "WRONG: it" in str(total)
    assert "nothing lost" in str(one)


def test_clients_remember_what_was_answered_and_what_was_not() -> None:
    class Node:
        """Acknowledges every other change."""

        count = 0

        def ask(self, method: str, *_: object) -> tuple[int, bytes]:
            if method == "GET":
                if self.count >= 4:
                    one.stopped.set()
                return 200, b'{"k": "1-1"}'
            self.count += 1
            if self.count == 3:
                raise OSError
            return (204 if self.count % 2 else 503), b""

    one = Client({"n": Node()}, "x", 1)  # type: ignore[dict-item]
    thread = threading.Thread(target=one.run)
    thread.start()
    thread.join(60)
    writes = [(done.value, done.end < inf) for done in one.history if done.wrote]
    assert writes == [("1-1", True), ("1-2", False), ("1-3", False), ("1-4", False)]
    assert one.acknowledged() == 1
