"""Removes payload files that no event refers to, and reports missing ones that an event refers to.

A crash causes the former; damage while no server ran causes the latter. The search lists every folder of
payload files, so its cost grows with their number; it runs beside requests, once after each start.

A file is removed if all of this is true:

- Another run of the server made it (`PayloadStore.of_other_runs`). A file of this run may be sealed, here or
  in another process, and its event not yet recorded.
- The state does not refer to it. An event refers to files of its own upload, which are of this run, or to
  files that the state refers to already; so no event will refer to it again.
- This state is durable. Otherwise a crash could bring back an event whose file has been removed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Final

import trio

from retain import journal
from retain.engine.core.errors import Unavailable
from retain.engine.state import State
from retain.engine.writing.bodies import BodyLimits
from retain.engine.writing.threads import in_thread
from retain.engine.writing.writer import Writer

_LOG = logging.getLogger("retain.engine")

REST: Final = 3
"""After each portion the search pauses for this many times its duration, so it uses a quarter of a core."""
RETRY_S: Final = 60.0
"""Seconds after which the search begins again if the disk failed."""


class Orphans:
    """The search for payload files without an event, and for events without a payload file.

    Args:
        writer: Says when the state is durable.
        state: Refers to payload files.
        payloads: The files.
        limits: Where missing files are noted.

    """

    def __init__(
        self, writer: Writer, state: State, payloads: journal.PayloadStore, limits: BodyLimits
    ) -> None:
        self._writer = writer
        self._state = state
        self._payloads = payloads
        self._limits = limits

    async def run(self, delay: float) -> None:
        """Search once, after `delay` seconds; search again only if the disk failed."""
        while True:
            await trio.sleep(delay)
            try:
                await self.sweep(rest=REST)
            except Unavailable:
                return  # writing has ended, which readiness says; the next run searches
            except (journal.NoSpace, OSError) as error:
                facts = {"reason": str(error), "again_in_s": RETRY_S}
                _LOG.error("payload files could not be searched", extra={"facts": facts})
                delay = RETRY_S
            else:
                return

    async def sweep(self, *, rest: float = 0) -> list[str]:
        """Remove the remains of other runs; return their names. Note and log what is missing.

        Args:
            rest: Pause this many times as long as each portion took.

        Raises:
            Unavailable: Writing has ended.
            OSError: The disk cannot be read.

        """
        shared = self._state.shared
        removed: list[str] = []
        # Files of uploads from now on were just made. The names are shared with the set that is copied.
        unseen = shared.payloads.copy()
        portions = self._payloads.of_other_runs()
        while True:
            began = trio.current_time()
            portion = await in_thread(_next, portions, unseen)
            if portion is None:
                break
            removed += await self._remove(portion)
            await trio.sleep(rest * (trio.current_time() - began))
        missing = await in_thread(self._without_file, unseen & shared.payloads)
        self._report([name for name in missing if name in shared.payloads])
        return removed

    async def _remove(self, portion: journal.Portion) -> list[str]:
        # Judged in the engine's own task, between two changes, not in the thread that lists.
        held = self._state.shared.payloads
        sealed = [name for name in portion.sealed if name not in held]
        if sealed or portion.stages:
            await self._writer.wait_durable(self._state.seq)
            await in_thread(self._unlink, sealed, portion.stages)
        return [*sealed, *portion.stages]

    def _unlink(self, sealed: Collection[str], stages: Collection[str]) -> None:
        for name in sealed:
            self._payloads.unlink(name)
        for name in stages:
            self._payloads.unlink_stage(name)

    def _without_file(self, names: Collection[str]) -> list[str]:
        return [name for name in sorted(names) if not self._payloads.exists(name)]

    def _report(self, missing: list[str]) -> None:
        if not missing:
            return
        self._limits.lost.update(missing)
        facts = {
            "count": len(missing),
            "first": ", ".join(missing[:3]),
            "effect": "their content is reported as not found",
            "next": "`retain journal lost` lists them; a backup may contain them",
        }
        _LOG.error("payload files missing", extra={"facts": facts})


def _next(portions: Iterator[journal.Portion], unseen: set[str]) -> journal.Portion | None:
    """List one portion, in a thread, and take its names out of `unseen`."""
    portion = next(portions, None)
    if portion is not None:
        unseen.difference_update(portion.sealed)
    return portion
