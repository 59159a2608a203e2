"""Shared by the crash campaigns: a workload that records what was acknowledged, and the check of the
surviving state.

`RETAIN_CRASH_N` (default 1) multiplies the number of workloads, and so of states: `make crash N=100`.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from retain.journal.disk.interface import Disk
from retain.journal.errors import JournalError, NoSpace
from retain.journal.format.record import Draft, Part, Record, Verb
from retain.journal.open import Journal, open_journal
from retain.journal.options import JournalOptions
from retain.journal.testing.memory import DiskOperation, MemoryDisk

SCALE = int(os.environ.get("RETAIN_CRASH_N", "1"))
STATES = "different crash states"
"""The property under which a test reports the number of states it checked; `tests/conftest.py` adds them up.
"""

SMALL = JournalOptions(
    segment_bytes=6 << 10, reserve_bytes=8 << 10, step_bytes=3 << 10, ballast_bytes=1 << 10
)

Parts = tuple[bytes | None, bytes | None]


class Broken(AssertionError):
    """An acknowledged change is missing, or an erased part is back. Names the workload's seed and the
    operation, so that it can be replayed.
    """


@dataclass
class Promises:
    """The acknowledged changes. `pending` are requested and not acknowledged yet, `erasing` likewise."""

    kept: dict[int, Parts] = field(default_factory=dict)
    pending: dict[int, Parts] = field(default_factory=dict)
    erased: set[tuple[int, Part]] = field(default_factory=set)
    erasing: set[tuple[int, Part]] = field(default_factory=set)

    def fingerprint(self) -> int:
        """Equal for equal promises."""
        parts = (self.kept.items(), self.pending.items(), self.erased, self.erasing)
        return hash(tuple(map(frozenset, parts)))

    def check(self, found: dict[int, Parts]) -> None:
        """Raises `Broken` unless `found` is all that was acknowledged, and the rest wholly or not at all."""
        extra = found.keys() - self.kept.keys()
        if missing := self.kept.keys() - found.keys():
            raise Broken(f"acknowledged records are gone: {sorted(missing)}")
        if extra and extra != self.pending.keys():
            raise Broken(f"records {sorted(extra)} are there, {sorted(self.pending)} were asked for")
        for seq, parts in found.items():
            for part, value, was in zip(Part, parts, self.kept.get(seq) or self.pending[seq], strict=True):
                target = (seq, part)
                if target in self.erased and was:
                    if value is not None:
                        raise Broken(f"{part!r} of record {seq} is back from erasure")
                elif value != was and not (value is None and target in self.erasing):
                    raise Broken(f"{part!r} of record {seq} is {value!r:.40}, it was {was!r:.40}")

    def after(self, found: dict[int, Parts]) -> Promises:
        """Return the promises from the first start on: records served then stay, acknowledged or not."""
        return Promises(dict(found), {}, self.erased, self.erasing)

    def check_erasing(self, found: dict[int, Parts]) -> None:
        """Check that after a start, an erasure has happened completely or not at all."""
        gone = {
            found[seq][index] is None
            for seq, part in self.erasing - self.erased
            for index in [part is Part.CONTENT]
            if self.kept[seq][index] != b""
        }
        if len(gone) > 1:
            raise Broken("an erasure was carried out in part only")


def some_bytes(rng: Random, largest: int = 1500) -> bytes:
    """A body: often small, sometimes over several sectors, sometimes all zero."""
    kind = rng.randrange(6)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes(rng.randrange(1, 2 * largest))
    return rng.randbytes(rng.randrange(1, 60 if kind < 5 else largest))


def some_drafts(rng: Random, most: int = 3) -> list[Draft]:
    """A batch."""
    return [
        Draft(rng.choice((1, 2, 3)), 1, rng.randbytes(16), 1, some_bytes(rng, 100), some_bytes(rng))
        for _ in range(rng.randrange(1, most + 1))
    ]


def opened(disk: Disk, options: JournalOptions = SMALL, seed: int = 0) -> tuple[Journal, dict[int, Parts]]:
    """The journal and its replayed records, without the journal's own."""
    found: dict[int, Parts] = {}

    def replay(record: Record) -> None:
        if record.header.verb < Verb.ERASE:
            found[record.header.seq] = (record.details, record.content)

    return open_journal(disk, replay, options=options, entropy=Random(seed).randbytes), found


class Workload:
    """Appends, erases, anchors, closes and reopens, according to its seed, and tracks the promises."""

    def __init__(self, seed: int, options: JournalOptions = SMALL) -> None:
        self.seed = seed
        self.options = options
        self.promises = Promises()
        self._rng = Random(seed)
        self._time = 0

    def run(self, disk: Disk, steps: int) -> None:
        """Raises what the journal raises. The journal is left open, as a crash would find it."""
        journal, _ = opened(disk, self.options, self.seed)
        for _ in range(steps):
            choice = self._rng.randrange(12)
            if choice < 8:
                self.append(journal)
            elif choice < 10:
                self.erase(journal)
            elif choice == 10:
                journal.write_anchor()
            else:
                journal.close()
                journal, _ = opened(disk, self.options, self._rng.randrange(1 << 30))

    def append(self, journal: Journal, drafts: list[Draft] | None = None) -> None:
        """One batch, promised when it returns."""
        drafts = drafts or some_drafts(self._rng)
        promises = self.promises
        self._time += self._rng.randrange(3)
        promises.pending = {}
        journal.reserve()
        first = journal.head.seq + 1
        promises.pending = {seq: (draft.details, draft.content) for seq, draft in enumerate(drafts, first)}
        journal.append(drafts, self._time)
        promises.kept |= promises.pending
        promises.pending = {}

    def erase(self, journal: Journal) -> None:
        """A few parts of some records, often with batches between the steps."""
        promises = self.promises
        if not promises.kept:
            return
        seqs = self._rng.sample(sorted(promises.kept), min(len(promises.kept), self._rng.randrange(1, 4)))
        targets = {(seq, part) for seq in seqs for part in Part if self._rng.random() < 0.7}
        if targets:
            promises.erasing = targets
            for plan in journal.plan_erasures(sorted(targets), 7):
                journal.begin_erasure(plan, self._time)
                self._perhaps_append(journal)
                journal.blank(plan)
                self._perhaps_append(journal)
                journal.end_erasure(plan, self._time)
            promises.erased |= targets
            promises.erasing = set()

    def _perhaps_append(self, journal: Journal) -> None:
        if self._rng.random() < 0.4:
            with suppress(NoSpace):  # a started erasure is finished nevertheless
                self.append(journal)


def check_survivor(
    disk: MemoryDisk,
    promises: Promises,
    *,
    options: JournalOptions = SMALL,
    thorough: bool = False,
    context: str = "",
) -> Counter[str]:
    """Open the state after a crash: the promises hold, also after a power cut right after the start.
    `thorough` also appends, and checks again after one more power cut. The result counts what the start
    encountered. Raises `Broken`.
    """
    met: Counter[str] = Counter()
    try:
        journal, found = opened(disk, options, 1)
        promises.check(found)
        met["rolled"] += journal.head.segment > 1
        met["unasked"] += found.keys() > promises.kept.keys()
        met["torn"] += any("cut off" in notice for notice in journal.notices)
        met["erased again"] += any("carried out again" in notice for notice in journal.notices)
        again, found_again = opened(disk.crash("none"), options, 2)
        served = promises.after(found)
        served.check(found_again)
        served.check_erasing(found_again)
        again.close()
        if thorough:
            journal.reserve()
            journal.append([Draft(1, 1, bytes(16), 1, b"more", b"")], 1 << 40)
            seq = journal.head.seq
            served.kept[seq] = (b"more", b"")
            _, found_more = opened(disk.crash("none"), options, 3)
            served.check(found_more)
    except (Broken, JournalError, AssertionError, OSError) as error:
        raise Broken(f"{context}: {type(error).__name__}: {error}") from error
    return met


class Survivors:
    """Checks the states of one campaign, each once: neighbouring operations mostly leave the same state.
    `states` counts the different ones, `met` what their starts encountered: a campaign without a torn write
    proves nothing about torn writes.
    """

    def __init__(self, options: JournalOptions = SMALL) -> None:
        self.options = options
        self.states = 0
        self.met: Counter[str] = Counter()
        self._known: set[tuple[int, int]] = set()

    def check(
        self, disk: MemoryDisk, promises: Promises, *, thorough: bool = False, context: str = ""
    ) -> bool:
        """As `check_survivor`, and whether this state is a new one."""
        # After SIGKILL a file may hold more than a power cut would leave of it.
        files = (disk.files(), disk.crash("none").files())
        state = (hash(tuple(frozenset(one.items()) for one in files)), promises.fingerprint())
        if state in self._known:
            return False
        self._known.add(state)
        self.states += 1
        self.met += check_survivor(disk, promises, options=self.options, thorough=thorough, context=context)
        return True


def cut_twice(survivors: Survivors, workload: Workload, steps: int, rarely: int) -> None:
    """Cut the power during a workload, and again at each operation of the recovery; check what is left.

    The first cut comes at about one of `rarely` operations.
    """
    disk = MemoryDisk()

    def cut(operation: DiskOperation) -> None:
        rng = Random(workload.seed << 20 | operation.number)
        if rng.randrange(rarely):
            return
        first = rng.choice((disk.kill(), disk.crash("random", rng)))
        context = f"seed {workload.seed}, at {operation}"

        def cut_again(second: DiskOperation) -> None:
            again = f"{context}, and again at {second} of the recovery"
            survivors.check(first.crash("random", rng), workload.promises, context=again)

        first.before_each = cut_again
        check_survivor(first, workload.promises, options=workload.options, context=context)

    disk.before_each = cut
    workload.run(disk, steps)
