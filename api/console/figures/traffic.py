"""Recent request rates of the interfaces, from the counters of `/metrics`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import trio

from retain.api.web.metrics import Counters, Totals

WINDOW_S: Final = 300.0
"""Age in seconds of the values that the present ones are compared with."""
APART_S: Final = 15.0
"""Least seconds between two recordings of values."""
_NONE: Final = Totals(0, 0, ())
_Picture: TypeAlias = tuple[float, Mapping[str, Totals], Sequence[tuple[float, int]]]
"""A time, and the values of the counters: of requests, and of batches that were written."""


@dataclass(frozen=True, slots=True)
class InterfaceTraffic:
    """One interface.

    Attributes:
        name: Its name.
        per_second: Requests a second.
        refused: The share of refused ones, 0 to 1.
        median: An upper bound of their median duration in seconds; None without any.
        slowest: An upper bound of their 99th percentile in seconds; None without any.
    """

    name: str
    per_second: float
    refused: float
    median: float | None
    slowest: float | None


@dataclass(frozen=True, slots=True)
class Rates:
    """All interfaces.

    Attributes:
        seconds: The period.
        rows: One for each interface with requests since the start.
        durable: An upper bound in seconds of how long 99 of 100 batches of changes took to be on disk; None
            without any.
    """

    seconds: float
    rows: Sequence[InterfaceTraffic]
    durable: float | None


class Traffic:
    """Compares the counters with their earlier values.

    Their values are recorded when the page is requested. So the period shown is the one since a request some
    minutes ago, or since the start.

    Args:
        counters: The server's.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._pictures: deque[_Picture] = deque(maxlen=64)
        self._pictures.append((trio.current_time(), {}, ()))

    def rates(self) -> Rates:
        """Return the rates of the last minutes."""
        now, totals, syncs = trio.current_time(), self._counters.totals(), self._counters.syncs()
        while len(self._pictures) > 1 and self._pictures[1][0] <= now - WINDOW_S:
            self._pictures.popleft()
        since, before, synced = self._pictures[0]
        if now - self._pictures[-1][0] >= APART_S:
            self._pictures.append((now, totals, syncs))
        seconds = max(now - since, 1.0)
        rows = [
            _rate(name, found, before.get(name, _NONE), seconds) for name, found in sorted(totals.items())
        ]
        return Rates(seconds, rows, _bound(_since(syncs, synced), 0.99))


def _rate(name: str, now: Totals, before: Totals, seconds: float) -> InterfaceTraffic:
    requests = now.requests - before.requests
    within = _since(now.within, before.within)
    return InterfaceTraffic(
        name=name,
        per_second=requests / seconds,
        refused=(now.refused - before.refused) / requests if requests else 0.0,
        median=_bound(within, 0.5),
        slowest=_bound(within, 0.99),
    )


def _since(now: Sequence[tuple[float, int]], before: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Return what a histogram has counted since."""
    old = dict(before)
    return [(bound, count - old.get(bound, 0)) for bound, count in now]


def _bound(within: Sequence[tuple[float, int]], share: float) -> float | None:
    """Return the least bound of the histogram within which that share was answered."""
    total = within[-1][1] if within else 0
    return next((bound for bound, count in within if count >= share * total), None) if total else None
