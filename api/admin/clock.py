"""The action that accepts the machine's clock, and the messages about a clock that is wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import trio

from retain.engine import Engine, Statistics
from retain.engine.core.clock import BEHIND, EARLIEST
from retain.engine.core.time import SECOND, iso, timestamp

LOG = logging.getLogger("retain.clock")

LOOK_S: Final = 10.0
"""Seconds between two checks of the clock."""
REMIND_S: Final = 3600.0
"""Seconds after which the log repeats that the clock is wrong."""

AHEAD: Final = "the clock jumped ahead; data due by it is hidden, and destroyed only if the jump holds"
SET_BACK: Final = "the clock is behind the time that has passed; expiry continues by the monotonic clock"
FUTURE: Final = "the journal's last record is dated ahead of the clock"
APART: Final = "the clock differs from the leader's, by which all nodes judge; it counts once this node leads"
RIGHT: Final = "the clock is right again"
UNDATED: Final = (
    "The first record is dated by it, and later ones never get an earlier date: check the clock before you "
    "store data."
)


class ClockActions:
    """The clock actions.

    Args:
        engine: The engine whose clock is shown or accepted.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"clock show": self.show, "clock accept": self.accept}

    async def show(self, *, actor: str) -> dict[str, Any]:
        """Return the machine's time, the server's present, and what is wrong with the clock."""
        engine = self._engine
        statistics = engine.statistics()
        return {
            "clock": timestamp(engine.wall()),
            "present": timestamp(engine.now()),
            "last_record": timestamp(engine.state.time) if engine.state.seq else None,
            **facts(statistics),
            "state": trouble(statistics) or "the clock is right",
        }

    async def accept(self, *, actor: str) -> dict[str, Any]:
        """Accept the machine's clock as correct, at once and at later starts.

        Raises:
            Unavailable: The storage refuses.

        """
        LOG.warning("an operator accepted the clock", extra={"facts": {"actor": actor, **self._facts()}})
        await self._engine.accept_clock(actor)
        return await self.show(actor=actor)

    def _facts(self) -> dict[str, float]:
        return facts(self._engine.statistics())


def trouble(statistics: Statistics) -> str:
    """Return what is wrong with the clock, one of the constant texts; empty if nothing is."""
    if statistics.clock.ahead:
        return AHEAD
    if statistics.clock.behind > BEHIND:
        return SET_BACK
    if abs(statistics.apart_ns) > BEHIND:
        return APART
    return FUTURE if statistics.records_ahead_ns > BEHIND else ""


def facts(statistics: Statistics) -> dict[str, float]:
    """Return by how many seconds the clock is wrong."""
    return {
        "ahead_seconds": statistics.clock.ahead / SECOND,
        "wait_seconds": statistics.clock.wait / SECOND,
        "behind_seconds": statistics.clock.behind / SECOND,
        "records_ahead_seconds": statistics.records_ahead_ns / SECOND,
        "apart_seconds": statistics.apart_ns / SECOND,
    }


def notice(statistics: Statistics) -> str:
    """Return the clock problem for the first screen of a start; empty if there is none.

    The text says what is wrong, by how much, and what to do.
    """
    wrong, clock = trouble(statistics), statistics.clock
    by = max(clock.ahead, clock.behind, statistics.records_ahead_ns, abs(statistics.apart_ns)) // SECOND
    if not wrong:
        return ""
    wait = f" It is accepted in {timedelta(seconds=-(-clock.wait // SECOND))}." if clock.ahead else ""
    return f"{wrong}, by {timedelta(seconds=by)}.{wait} See `retain clock --help`."


def first_notice(wall: int, synchronized: bool | None) -> str:
    """Return why the clock that is about to date the first record may be wrong; empty if nothing says so.

    Args:
        wall: The machine's clock, nanoseconds since the epoch.
        synchronized: Whether a time service sets it, None if unknown.
    """
    if wall < EARLIEST:
        why = f"It is wrong: this version of Retain was written after {iso(EARLIEST)}"
    elif synchronized is False:
        why = "This machine knows of no time service that sets it"
    else:
        return ""
    return f"The clock shows {iso(wall)}. {why}. {UNDATED}"


async def watch_clock(engine: Engine) -> None:
    """Log what is wrong with the clock when it begins and while it lasts, and that it is right again.

    Runs until cancelled.
    """
    logged, at = "", 0.0
    while True:
        statistics = engine.statistics()
        wrong, now = trouble(statistics), trio.current_time()
        if wrong and (wrong != logged or now - at >= REMIND_S):
            LOG.warning(wrong, extra={"facts": facts(statistics)})
            at = now
        elif logged and not wrong:
            LOG.info(RIGHT)
        logged = wrong
        await trio.sleep(LOOK_S)
