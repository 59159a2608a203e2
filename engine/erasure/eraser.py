"""The eraser: removes due bytes physically, in slices that do not disturb requests.

Due data was hidden at its deadline; this module erases its bytes. Four kinds of work, in a loop: restate
partially dead entries, erase details after their audit period, erase garbage, and replace an older snapshot
that still contains it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgpack
import trio

from retain import journal
from retain.engine.core.body import Inline, OnDisk, unpack_body
from retain.engine.core.clock import Horizon
from retain.engine.core.command import KEEPER
from retain.engine.core.common_commands import Restate
from retain.engine.core.errors import EngineError
from retain.engine.core.ledger import GarbageRecord, seq_of
from retain.engine.core.policy import Targets, due, erasure_lag, slices, to_restate
from retain.engine.core.role import Locator
from retain.engine.core.time import HOUR, MINUTE
from retain.engine.erasure.details import OldDetails
from retain.engine.erasure.kept_by_holds import kept_by_holds
from retain.engine.options import Options
from retain.engine.state import State
from retain.engine.writing.threads import in_spare_thread
from retain.engine.writing.writer import Writer
from retain.journal import Part

RESTATERS = 16
"""Entries restated at the same time: their records share syncs."""
PAUSE_MOST_S = 0.05
"""After each slice the eraser pauses for as long as the slice took, but no longer than this, in seconds."""
TORN_KEPT = HOUR
"""How long after a start copies of torn tails are kept for inspection; shorter if the bound on erasure is."""

TIDY_EVERY = MINUTE
"""Nanoseconds between two searches for sparse segments."""


class Eraser:
    """Erases what is due. One task runs it; `drain` may be called beside it.

    Args:
        writer: The writer, for restating and for work between batches.
        state: Read for what is due; changed only by erasing.
        log: The journal, for reading bodies.
        disk: The data folder, for the pass over old details.
        horizon: Only data that is due by its vouched time is erased.
        options: The periods.
        erase: Erases one slice: targets and cause.
        renew: Replaces the snapshot if it is older than this moment and contains garbage.

    Attributes:
        kept: Records that were due in the last round and remain because of a legal hold.
        rounds: Held during a round. Whoever holds it can find and erase records, and no round erases them
            in between a second time.

    """

    def __init__(
        self,
        writer: Writer,
        state: State,
        log: journal.Journal,
        disk: journal.Disk,
        horizon: Horizon,
        options: Options,
        *,
        erase: Callable[[Targets, int], Awaitable[None]],
        renew: Callable[[int], Awaitable[None]],
    ) -> None:
        self._writer = writer
        self._state = state
        self._log = log
        self._disk = disk
        self._horizon = horizon
        self._interval = max(options.erase_interval_s, options.sweep_interval_s)
        self._policy = options.retention()
        self._erase = erase
        self._renew = renew
        self.rounds = trio.Lock()
        self._started = horizon.elapsed()
        self._torn_discarded = False
        self._tidied: int | None = None
        self.kept: frozenset[int] = frozenset()
        self._details = OldDetails(state, disk, self._policy.audit, restate=self.restate, erase=self._paced)

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await trio.sleep(self._interval)
            try:
                await self.turn()
            except (EngineError, journal.JournalError, OSError):
                # Full or failed storage shows in readiness and metrics, and so does the delay of erasures.
                # The next round tries again.
                continue

    async def drain(self) -> int:
        """Erase all that is due now, without waiting to share rewrites; return the number of records.

        Raises:
            Unavailable: The storage refuses.

        """
        return await self.turn(at_once=True)

    async def turn(self, *, at_once: bool = False) -> int:
        """Run one round of all work; return the number of records erased."""
        async with self.rounds:
            now = self._horizon.vouched()
            await self.restate(to_restate(self._state.records, now, self._policy, at_once=at_once))
            # Garbage first: the details of an end must not be erased before the content that it ended, or a
            # crash in between would restore that.
            erased = await self._erase_due(now, at_once=at_once)
            # The rest of a deleted container depends on records that can no longer be restated.
            if not self._state.blobs.closed:
                before = self._state.records.last_garbage
                erased += await self._details.erase(now)
                if self._state.records.last_garbage != before:  # entries were restated for that
                    erased += await self._erase_due(now, at_once=at_once)
            await self._look_after_folder(now, at_once)
            return erased

    def lag(self, now: int) -> int:
        """Return by how much the oldest due erasure is late at `now`, nanoseconds."""
        return erasure_lag(self._state.records, now, self._policy, self.kept)

    async def tidy(self) -> None:
        """Do what follows erasures in this folder alone: for a folder whose erasures another engine decides.

        Raises:
            EngineError, JournalError, OSError: The storage refuses.

        """
        async with self.rounds:
            await self._look_after_folder(self._horizon.vouched(), at_once=False)

    async def _look_after_folder(self, now: int, at_once: bool) -> None:
        await self._renew(now if at_once else now - self._policy.erase_within // 4)
        await self._discard_torn(at_once)
        await self._tidy(at_once)

    async def restate(self, entries: Iterable[tuple[Locator, bytes]], before: int = 0) -> None:
        """Restate entries, several at a time.

        Raises:
            EngineError: The storage refuses.
            JournalError, OSError: Content cannot be read.

        """
        chosen = list(entries)
        waiting = iter(chosen)
        failures: list[Exception] = []

        async def work() -> None:
            try:
                for locator, resource in waiting:
                    await self._restate(locator, resource, before)
            except (EngineError, journal.JournalError, OSError) as error:
                failures.append(error)  # past the nursery, which would wrap it in a group

        async with trio.open_nursery() as nursery:
            for _ in range(min(RESTATERS, len(chosen))):
                nursery.start_soon(work)
        if failures:
            raise failures[0]

    async def _restate(self, locator: Locator, resource: bytes, before: int) -> None:
        restater = self._state.restaters[locator[0]]
        while True:
            wanted = restater.bodies(locator, resource, before)
            bodies = await in_spare_thread(self._bodies, wanted) if wanted else {}
            if bodies is None:
                return  # erased meanwhile, so the whole entry is due
            command = Restate(actor=KEEPER, locator=locator, resource=resource, before=before, bodies=bodies)
            if not await self._writer.submit(command):
                return

    def _bodies(self, wanted: Sequence[OnDisk]) -> dict[int, Inline] | None:
        found: dict[int, Inline] = {}
        for body in wanted:
            content = self._log.content(body.address)
            if content is None:
                return None
            unpacked = unpack_body(msgpack.unpackb(content, strict_map_key=False))
            assert isinstance(unpacked, Inline)
            found[body.address] = unpacked
        return found

    async def _erase_due(self, now: int, *, at_once: bool) -> int:
        erased = 0
        kept: frozenset[int] = frozenset()
        for waiting in due(self._state.records, now, self._policy):
            if self._state.shared.held:
                waiting = list(waiting)
                here = await in_spare_thread(kept_by_holds, self._state, waiting, self._disk)
                waiting = [left for left in waiting if _seq(left) not in here]
                kept |= here
            for cause, slice_ in slices(waiting):
                audited = max(self._details.reached, self._state.records.audited)
                targets = [(seq, _BOTH if seq <= audited else Part.CONTENT) for seq in map(_seq, slice_)]
                await self._paced(targets, cause, at_once=at_once)
                erased += len(slice_)
        self.kept = kept
        return erased

    async def _paced(self, targets: Targets, cause: int, *, at_once: bool = False) -> None:
        begin = trio.current_time()
        await self._erase(targets, cause)
        if not at_once:
            await trio.sleep(min(trio.current_time() - begin, PAUSE_MOST_S))

    async def _tidy(self, at_once: bool) -> None:
        """Free the space of sparse segments, and write the indexes for the audit's look-ups.

        Periodically, one segment after the other, in a thread: the journal is written meanwhile.
        """
        elapsed = self._horizon.elapsed()
        if not at_once and self._tidied is not None and elapsed - self._tidied < TIDY_EVERY:
            return
        self._tidied = elapsed
        for number in await in_spare_thread(self._log.sparse):
            await in_spare_thread(self._log.rewrite, number)
        while await in_spare_thread(self._log.build_index):
            await trio.lowlevel.checkpoint()

    async def _discard_torn(self, at_once: bool) -> None:
        kept = min(TORN_KEPT, self._policy.erase_within // 4)
        if self._torn_discarded or not (at_once or self._horizon.elapsed() - self._started >= kept):
            return
        await self._writer.between_batches(self._log.discard_broken)
        self._torn_discarded = True


_BOTH = Part.DETAILS | Part.CONTENT


def _seq(left: GarbageRecord) -> int:
    return seq_of(left.mark)
