"""Erase beside requests: the steps of `journal.journal`, each where it delays requests least.

The two records of an erasure are written between batches; zeros are written in a thread, while batches
continue. The order of durability, and what a crash leaves, are described in `journal/journal.py` alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from retain import journal
from retain.engine.core.clock import Horizon
from retain.engine.core.errors import Exhausted, StorageFailed, StorageFull, Unavailable
from retain.engine.state import State
from retain.engine.writing.threads import in_spare_thread, in_thread
from retain.engine.writing.writer import Writer

TARGETS = 4096
"""Most parts erased at once: they fit into one erase record, wherever they are."""

BLANK_TRIES = 40
BLANK_PAUSE_S = 0.25
"""How often, and at what distance in seconds, zeroing is retried when descriptors or memory ran out."""


class ErasureSteps:
    """Carries out erasures of named parts, one after the other.

    Args:
        writer: Runs the work between batches.
        state: Updated with the two records, as in a replay.
        log: The journal with the parts.
        horizon: The present.

    Attributes:
        settle: Return once all followers have applied a record, or have ended; None without followers.
        overwritten: Return once all that an erase record names is overwritten in every other folder from
            which requests are answered; None if there is no other.

    """

    def __init__(self, writer: Writer, state: State, log: journal.Journal, horizon: Horizon) -> None:
        self._writer = writer
        self._state = state
        self._log = log
        self._horizon = horizon
        self._turn = trio.Lock()
        self.settle: Callable[[int], Awaitable[None]] | None = None
        self.overwritten: Callable[[int], Awaitable[None]] | None = None

    async def erase(self, targets: Sequence[tuple[int, journal.Part]], cause: int) -> None:
        """Erase parts of records physically; see `engine.engine.Engine.erase`."""
        async with self._turn:
            for at in range(0, len(targets), TARGETS):
                # Never stop in the middle: the next start would have to repeat an unfinished erasure.
                with trio.CancelScope(shield=True):
                    for plan in await self._plan(targets[at : at + TARGETS], cause):
                        await self._carry_out(plan)
                await trio.lowlevel.checkpoint_if_cancelled()

    async def _plan(
        self, targets: Sequence[tuple[int, journal.Part]], cause: int
    ) -> list[journal.ErasurePlan]:
        self._writer.check()
        try:
            return await in_spare_thread(self._log.plan_erasures, targets, cause)
        except (journal.Corrupt, journal.Shortage, OSError) as error:
            raise Unavailable(f"the journal cannot be read: {error}", reason="journal") from error

    async def _carry_out(self, plan: journal.ErasurePlan) -> None:
        try:
            await self._writer.between_batches(
                partial(self._append, self._log.begin_erasure, plan), partial(self._begun, plan)
            )
            if self.settle is not None:
                # Before the bytes are overwritten, followers drop their copies in memory.
                await self.settle(self._writer.durable)
            await self._blank(plan)
            if self.overwritten is not None:
                await self.overwritten(plan.seq)
            await self._writer.between_batches(
                partial(self._append, self._log.end_erasure, plan), self._passed
            )
        except journal.Shortage as error:
            raise Exhausted("the server is short of resources for the moment; try again") from error
        except journal.NoSpace as error:
            raise StorageFull(
                "the disk has no space for the erasure's two records; free some space"
            ) from error
        except journal.WriteFailed as error:
            self._writer.fail(error)
            raise StorageFailed(self._writer.failure) from error

    async def _blank(self, plan: journal.ErasurePlan) -> None:
        """Zero the parts, and wait for missing resources: an erasure that has begun must end."""
        for _ in range(BLANK_TRIES):
            try:
                await in_thread(self._log.blank, plan)
            except journal.Shortage:
                await trio.sleep(BLANK_PAUSE_S)
            else:
                return
        self._writer.fail(StorageFailed("an erasure ran out of descriptors or memory; it is retried"))
        self._writer.check()

    def _append(
        self, write: Callable[[journal.ErasurePlan, int], None], plan: journal.ErasurePlan
    ) -> journal.Head:
        self._writer.check()
        write(plan, max(self._horizon.record_time(), self._state.time))
        self._writer.find_room()
        return self._log.head

    def _begun(self, plan: journal.ErasurePlan, head: journal.Head) -> None:
        self._passed(head)
        self._state.erased(plan.ranges, plan.cause)

    def _passed(self, head: journal.Head) -> None:
        self._state.skip(head.seq, head.time)
        self._writer.advance(head.seq)
