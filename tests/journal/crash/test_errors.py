"""T4: every operation of a workload fails once, in memory; and real system calls fail, injected by strace."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from retain.journal.check.verify import verify
from retain.journal.disk.real import RealDisk
from retain.journal.errors import Closed, JournalError, NoSpace, WriteFailed
from retain.journal.format.record import Draft
from retain.journal.open import Journal
from retain.journal.options import JournalOptions
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SCALE, SMALL, STATES, Broken, Survivors, Workload, check_survivor, opened

ROOT = Path(__file__).parents[3]
STEPS = 16


class Persistent(Workload):
    """Goes on after a full disk, and after a final error tries everything once more: all must refuse."""

    failure: JournalError | None = None

    def run(self, disk: MemoryDisk, steps: int) -> None:
        try:
            journal, _ = opened(disk, self.options, self.seed)
        except JournalError as error:
            self.failure = error
            return
        for _ in range(steps):
            try:
                self._step(disk, journal)
            except NoSpace as error:
                self.failure = error
            except WriteFailed as error:
                self.failure = error
                self._must_refuse(journal)
                return
            self.promises.pending = {}

    def _step(self, disk: MemoryDisk, journal: Journal) -> None:
        choice = self._rng.randrange(8)
        if choice < 5:
            self.append(journal)
        elif choice < 7:
            self.erase(journal)
        else:
            journal.write_anchor()

    def _must_refuse(self, journal: Journal) -> None:
        before = journal.head
        for use in (
            lambda: journal.append([Draft(1, 1, bytes(16), 1, b"x", b"")], 1 << 50),
            journal.reserve,
            journal.write_anchor,
        ):
            with pytest.raises(WriteFailed):
                use()
        assert journal.head == before


@pytest.mark.parametrize("short", [False, True], ids=["", "short"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("seed", range(SCALE))
def test_an_error_at_any_operation_breaks_no_promise(
    seed: int, number: int, short: bool, record_property: Callable[[str, object], None]
) -> None:
    clean = MemoryDisk()
    Persistent(seed).run(clean, STEPS)
    told = 0
    survivors = Survivors()
    for place in range(1, clean.operations + 1):
        disk = MemoryDisk()
        disk.fail_at(place, number, short=short)
        workload = Persistent(seed)
        workload.run(disk, STEPS)
        assert disk.operations >= place, "the error was never met"
        told += workload.failure is not None
        rng = Random(place)
        states = [disk.kill(), disk.crash("none"), disk.crash("all"), disk.crash("random", rng)]
        for name, state in zip(("kill", "none", "all", "random"), states, strict=True):
            context = f"seed {seed}, {errno.errorcode[number]} at {disk.trace[place - 1]}, then {name}"
            survivors.check(state, workload.promises, thorough=place % 4 == 0, context=context)
    assert told > clean.operations // 2
    record_property(STATES, survivors.states)
    assert survivors.states > clean.operations


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("seed", range(SCALE))
def test_an_error_during_recovery_is_told_and_the_next_start_recovers(
    seed: int, number: int, record_property: Callable[[str, object], None]
) -> None:
    workload, disk = Workload(seed), MemoryDisk()
    rng = Random(seed)
    survivors = Survivors()

    def cut(operation: DiskOperation) -> None:
        if rng.randrange(8):
            return
        crashed = disk.crash("random", rng)
        clean = crashed.kill()
        opened(clean)[0].close()
        for place in range(1, clean.operations + 1):
            failing = crashed.kill()
            failing.fail_at(place, number, lasting=place % 2 == 0)
            with suppress(JournalError):
                opened(failing)[0].close()
            assert failing.open_files == []
            failing.lock()  # it was released
            context = (
                f"seed {seed}, {operation}, then {errno.errorcode[number]} at {failing.trace[place - 1]}"
            )
            survivors.check(failing.kill(), workload.promises, context=context)
            survivors.check(failing.crash("random", rng), workload.promises, context=context)

    disk.before_each = cut
    workload.run(disk, STEPS)
    record_property(STATES, survivors.states)
    assert survivors.states > 20


def test_a_failed_sync_is_final_and_never_tried_again() -> None:
    disk = MemoryDisk()
    journal, _ = opened(disk)
    journal.append([Draft(1, 1, bytes(16), 1, b"first", b"")], 1)
    syncs = [one.number for one in disk.trace if one.kind == "sync"]
    disk.fail_at(disk.operations + 2, errno.EIO)
    for _ in range(2):
        with pytest.raises(WriteFailed):
            journal.append([Draft(1, 1, bytes(16), 1, b"lost", b"")], 2)
    assert len([one for one in disk.trace if one.kind == "sync"]) == len(syncs) + 1
    journal.close()
    with pytest.raises(Closed):
        journal.append([Draft(1, 1, bytes(16), 1, b"x", b"")], 3)


def fill(workload: Workload, journal: Journal) -> None:
    while True:
        workload.append(journal)


def test_a_full_disk_refuses_before_anything_changed_and_goes_on_when_there_is_room() -> None:
    options = JournalOptions(
        segment_bytes=64 << 10, reserve_bytes=4 << 10, step_bytes=8 << 10, ballast_bytes=8 << 10
    )
    disk = MemoryDisk(capacity=60 << 10)
    workload = Workload(3, options)
    journal, _ = opened(disk, options)
    with pytest.raises(NoSpace):
        fill(workload, journal)
    promised = dict(workload.promises.kept)
    assert len(promised) > 20
    with pytest.raises(NoSpace):
        journal.reserve()
    assert journal.release_ballast()
    workload.append(journal)
    workload.erase(journal)
    disk.capacity = 1 << 30
    assert journal.restore_ballast()
    for _ in range(10):
        workload.append(journal)
    journal.close()
    _, found = opened(MemoryDisk(disk.files()), options)
    workload.promises.check(found)
    assert verify(MemoryDisk(disk.files())).findings == ()


# --- real system calls -------------------------------------------------------------------------------------

# Prints the number of each record once it was acknowledged; ends with 3 where the journal refuses to go on.
VICTIM = """
import sys
from retain.journal import RealDisk
from retain.journal.errors import JournalError
from retain.journal.options import JournalOptions
from retain.journal.format.record import Draft
from retain.journal.open import open_journal
options = JournalOptions(segment_bytes=4096, reserve_bytes=4096, step_bytes=4096, ballast_bytes=4096)
try:
    journal = open_journal(RealDisk(sys.argv[1]), lambda record: None, options=options)
    for number in range(12):
        journal.reserve()
        journal.append([Draft(1, 1, bytes(16), 1, b"details %d" % number, bytes(700))], number)
        print(journal.head.seq, flush=True)
    journal.close()
except (JournalError, OSError) as error:
    print(type(error).__name__, error, file=sys.stderr, flush=True)
    sys.exit(3)
"""

# The first calls belong to the lock and the first segment, the later ones to appends and rolls.
INJECTIONS = [
    f"{call}:{how}:when={when}"
    for when in ((1, 4, 8) if SCALE == 1 else range(1, 14))
    for call, how in (
        ("pwrite64", "error=EIO"),
        ("pwrite64", "error=ENOSPC"),
        ("pwrite64", "signal=KILL"),
        ("fdatasync", "error=EIO"),
        ("fdatasync", "signal=KILL"),
        ("fallocate", "error=ENOSPC"),
        ("fsync", "error=EIO"),
        ("rename", "error=EIO"),
    )
]


def why_no_strace() -> str:
    """Why system calls cannot be made to fail here; "" if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        probe = subprocess.run(
            ["strace", "-o", os.devnull, "true"], capture_output=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        return "strace hangs here"
    return "" if probe.returncode == 0 else f"no ptrace here: {probe.stderr.decode().strip()}"


NO_STRACE = why_no_strace()
FIRED: list[tuple[str, bool, int]] = []


@pytest.mark.skipif(bool(NO_STRACE), reason=NO_STRACE or "strace works")
@pytest.mark.parametrize("injection", INJECTIONS)
def test_what_was_acknowledged_survives_a_failing_system_call(injection: str, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "strace"
    victim = subprocess.run(
        [
            *("strace", "-f", "-o", str(log), "-e", f"trace={injection.partition(':')[0]}"),
            *("-e", f"inject={injection}", sys.executable, "-c", VICTIM, str(data)),
        ],
        capture_output=True,
        cwd=ROOT,
        timeout=200,
        check=False,
    )
    acknowledged = [int(line) for line in victim.stdout.split()]
    assert victim.returncode in (0, 3, -9, 137), victim.stderr.decode()
    calls = log.read_text()
    fired = "INJECTED" in calls or "killed by SIGKILL" in calls
    when = int(injection.rpartition("=")[2])
    assert fired or calls.count(f"{injection.partition(':')[0]}(") < when, (
        "the call was made and did not fail"
    )
    FIRED.append((injection, fired, len(acknowledged)))
    journal, found = opened(RealDisk(data), SMALL)
    try:
        for number in acknowledged:
            details, content = found[number]
            assert (details, content) == (b"details %d" % (number - 1), bytes(700))
        assert len(found) - len(acknowledged) in (0, 1)
        if victim.returncode == 0:
            assert len(acknowledged) == 12
    finally:
        journal.close()
    assert verify(RealDisk(data)).sound


@pytest.mark.skipif(bool(NO_STRACE), reason=NO_STRACE or "strace works")
def test_the_injected_failures_did_happen_also_between_appends() -> None:
    if len(FIRED) < len(INJECTIONS):
        pytest.skip("only a part of the injections was run")
    for call in (
        "pwrite64:error=EIO",
        "pwrite64:signal=KILL",
        "fdatasync:error=EIO",
        "fdatasync:signal=KILL",
    ):
        assert any(one.startswith(call) and fired and 0 < acks < 12 for one, fired, acks in FIRED)


def test_the_workload_of_these_tests_would_notice_a_loss() -> None:
    workload = Workload(1)
    disk = MemoryDisk()
    workload.run(disk, STEPS)
    workload.promises.kept[10_000] = (b"never written", b"")
    with pytest.raises(Broken, match="gone"):
        check_survivor(disk.kill(), workload.promises)
