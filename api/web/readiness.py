"""Whether a server should be sent requests: for `/readyz`, the log, the supervisor and commands that ask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import trio

from retain.engine import Statistics
from retain.engine.core.clock import BEHIND
from retain.engine.core.time import SECOND

LOG = logging.getLogger("retain.readiness")
LOOK_S: Final = 1.0
"""Seconds between two looks at whether readiness has changed."""

OVERDUE_WARNING_S: Final = 3600
"""Seconds a deadline may be overdue before readiness warns. Reads stay exact; only disk space waits."""
OVERDUE_ALARM_S: Final = 12 * 3600


def readiness(statistics: Statistics) -> tuple[bool, str]:
    """Return whether requests should be sent here, and a word on why.

    The word is ok, degraded (still yes), or what is wrong.
    """
    if statistics.failure:
        return False, "storage failed; check the disk, then restart"
    if statistics.standby:
        return False, f"this node may not answer: {statistics.standby}"
    if statistics.overdue_ns > OVERDUE_ALARM_S * SECOND:
        return False, "expiry is more than 12 hours behind"
    if statistics.erasure_lag_ns > OVERDUE_ALARM_S * SECOND:
        return False, "erasure is more than 12 hours behind"
    if statistics.full:
        return True, "degraded: the disk is full; reads and deletes work"
    if statistics.payloads_lost:
        count = statistics.payloads_lost
        bodies = "body is" if count == 1 else "bodies are"
        return True, f"degraded: {count} {bodies} lost; `retain journal lost` lists them"
    if statistics.clock.ahead:
        return True, "degraded: the clock jumped ahead; nothing is destroyed until the jump has held"
    if statistics.clock.behind > BEHIND:
        return True, "degraded: the clock is behind the time that has passed"
    if statistics.records_ahead_ns > BEHIND:
        return True, "degraded: the journal's last record is dated ahead of the clock"
    if abs(statistics.apart_ns) > BEHIND:
        return True, "degraded: the clock differs from the leader's"
    if statistics.short:
        return True, f"degraded: short of {', '.join(statistics.short)}; some requests are answered 503"
    if statistics.overdue_ns > OVERDUE_WARNING_S * SECOND:
        return True, "degraded: expiry is more than an hour behind"
    if statistics.erasure_lag_ns > OVERDUE_WARNING_S * SECOND:
        return True, "degraded: erasure is more than an hour behind"
    return True, "ok"


async def watch_readiness(statistics: Callable[[], Statistics], notify: Callable[[str], None]) -> None:
    """Log readiness when it changes, and pass each change to `notify`. Runs until cancelled."""
    before, began = (True, "ok"), False
    while True:
        found = statistics()
        now = readiness(found)
        if now != before:
            ready, why = now
            level = _level(now, waits=bool(found.standby) and not found.failure, began=began)
            LOG.log(level, "readiness changed", extra={"facts": {"ready": ready, "state": why}})
            notify(why)
        before, began = now, began or now[0]
        await trio.sleep(LOOK_S)


def _level(now: tuple[bool, str], *, waits: bool, began: bool) -> int:
    """Return the level of a change: each start of a node begins with waiting, and failovers make it wait."""
    ready, why = now
    if why == "ok" or (waits and not began):
        return logging.INFO
    return logging.WARNING if ready or waits else logging.ERROR
