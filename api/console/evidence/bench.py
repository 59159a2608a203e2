"""Long work that a page starts and others follow: in a thread, one at a time, with its progress in words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import trio

from retain.engine import Conflict, Engine, EngineError
from retain.engine.audit.log import Progress
from retain.engine.audit.timeline import answered

LOG = logging.getLogger("retain.http")
_OFTEN: Final = 256
"""Records between two checks whether the work was stopped."""


@dataclass(slots=True, eq=False)
class Work:
    """One piece of long work.

    Attributes:
        id: Names it in addresses.
        kind: Its kind, such as `verify`.
        by: The user who started it.
        session: The session that started it: some results are for that one only.
        started: When, nanoseconds since the epoch.
        phases: Its steps in order, in words; each reads all records.
        records: How many records there were at the start.
        asked: Its parameters, for the page to show.
        phase: Its present phase.
        seq: The record that it read last.
        done: Whether it has ended.
        stopped: Whether somebody stopped it.
        failure: Why it failed, in words.
        result: Its result; None before, and if it was stopped or failed.
    """

    id: str
    kind: str
    by: str
    session: str
    started: int
    phases: Sequence[str]
    records: int
    asked: Any = None
    phase: int = 0
    seq: int = 0
    done: bool = False
    stopped: bool = False
    failure: str = ""
    result: Any = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def session_only(self) -> bool:
        """Whether only the session that started it may see the result, because it concerns a person."""
        return self.kind in ("find", "export")

    @property
    def percent(self) -> int:
        """How much of it is done."""
        part = min(1.0, self.seq / max(1, self.records))
        return min(99, int(100 * (min(self.phase, len(self.phases) - 1) + part) / len(self.phases)))

    @property
    def words(self) -> str:
        """Where it is."""
        phase = self.phases[min(self.phase, len(self.phases) - 1)]
        seq = min(self.seq, self.records)
        return f"{phase}: record {seq:,} of {self.records:,}, {self.percent} % of all."

    def progress(self, seq: int) -> None:
        """Note how far it is; called in its thread. Raises Cancelled once it was stopped."""
        if seq < self.seq:
            self.phase += 1
        self.seq = seq
        if seq % _OFTEN == 0:
            trio.from_thread.check_cancelled()


class Bench:
    """Runs long work. The last one of each kind is kept.

    Args:
        engine: The engine of the journal.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: dict[str, Work] = {}
        self._now: Work | None = None

    @property
    def now(self) -> Work | None:
        """The running work as it is at this moment; None if there is none."""
        return None if self._now is None else replace(self._now)

    def last(self, kind: str) -> Work | None:
        """Return the newest work of a kind, which may still be running, as it is at this moment.

        It may end while a page is made of it: the page would find no result, and then say that it is done.
        """
        work = self._last.get(kind)
        return None if work is None else replace(work)

    def forget(self, kind: str) -> None:
        """Drop the work of a kind with its result, unless it is still running."""
        if (work := self._last.get(kind)) is not None and work.done:
            del self._last[kind]

    def start(
        self,
        kind: str,
        function: Callable[[Progress], Any],
        *,
        by: str,
        session: str,
        phases: Sequence[str],
        asked: Any = None,
    ) -> Work:
        """Begin work; `function` is called in a thread, and reports its progress by record.

        Raises:
            Conflict: `busy`: another work is running.
        """
        if self._now is not None:
            raise Conflict(
                f"{self._now.by} started a task that still runs: {self._now.words} "
                "Wait until it has ended, or stop it",
                reason="busy",
            )
        work = Work(
            id=self._engine.entropy(16).hex(),
            kind=kind,
            by=by,
            session=session,
            started=self._engine.now(),
            phases=phases,
            records=self._engine.statistics().seq,
            asked=asked,
        )
        self._now = self._last[kind] = work
        trio.lowlevel.spawn_system_task(self._run, work, function)
        return work

    def stop(self) -> None:
        """Stop the running work, if there is one."""
        if self._now is not None:
            self._now.stopped = True
            self._now.scope.cancel()

    async def _run(self, work: Work, function: Callable[[Progress], Any]) -> None:
        try:
            with work.scope:
                work.result = await trio.to_thread.run_sync(answered, function, work.progress)
        except EngineError as error:
            work.failure = error.message
        except Exception as error:  # a system task that fails would end the server
            LOG.error("unhandled exception in work for a page", exc_info=error)
            work.failure = "an internal error in the server; see its log"
        finally:
            work.done = True
            self._now = None
