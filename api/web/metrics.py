"""Metrics for Prometheus. None names a client, a key or a value."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from itertools import accumulate
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from retain.engine import EngineAccess, Statistics
from retain.engine.core.shortages import DISK, KINDS

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

_ENGINE: tuple[tuple[str, str, Callable[[Statistics], float]], ...] = (
    ("retain_journal_sequence", "Last record that is durable.", lambda s: s.durable),
    ("retain_commands_waiting", "Commands queued for the writer.", lambda s: s.waiting),
    (
        "retain_durability_lag_seconds",
        "How long the oldest change that is not durable yet has waited.",
        lambda s: s.durability_lag_ns / 1e9,
    ),
    ("retain_deadlines", "Entries with a deadline.", lambda s: s.deadlines),
    ("retain_overdue_seconds", "How late the earliest of them is.", lambda s: s.overdue_ns / 1e9),
    (
        "retain_records_to_erase",
        "Garbage records that are not erased yet, history included.",
        lambda s: s.to_erase,
    ),
    (
        "retain_erasure_lag_seconds",
        "How late the oldest due erasure is.",
        lambda s: s.erasure_lag_ns / 1e9,
    ),
    ("retain_payload_files", "Files that hold live content.", lambda s: s.payload_files),
    ("retain_payloads_lost", "Payload files that are missing or damaged.", lambda s: s.payloads_lost),
    (
        "retain_clock_behind_seconds",
        "How far the clock is behind the present.",
        lambda s: s.clock.behind / 1e9,
    ),
    ("retain_clock_ahead_seconds", "A jump of the clock that is in doubt.", lambda s: s.clock.ahead / 1e9),
    (
        "retain_records_ahead_seconds",
        "How far the last record is dated ahead of the clock.",
        lambda s: s.records_ahead_ns / 1e9,
    ),
    (
        "retain_clock_apart_seconds",
        "How far the clock of a follower is ahead of the leader's.",
        lambda s: s.apart_ns / 1e9,
    ),
    ("retain_storage_full", "1 while the disk has no room for changes.", lambda s: float(s.full)),
    ("retain_storage_failed", "1 once writing has ended, until a restart.", lambda s: float(bool(s.failure))),
)
"""The gauges of `engine.statistics()`: name, meaning, value."""


_Family = TypeVar("_Family", CounterMetricFamily, GaugeMetricFamily)

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one interface since the start.

    Attributes:
        requests: How many.
        refused: How many of them with a status of 400 or more.
        within: Seconds, and how many were answered within them; the last is all that were.

    """

    requests: int
    refused: int
    within: tuple[tuple[float, int], ...]


@dataclass(slots=True)
class Tallies:
    """What one process counted since its start.

    Attributes:
        requests: By interface, method and status.
        latencies: By interface and operation: counts by bucket, the last for all beyond, and seconds in sum.
        cuts: Connections cut or refused, by reason.

    """

    requests: dict[tuple[str, str, int], int] = field(default_factory=dict)
    latencies: dict[tuple[str, str], tuple[list[int], float]] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tallies) -> None:
        """Add what another process counted."""
        for key, count in other.requests.items():
            self.requests[key] = self.requests.get(key, 0) + count
        for place, (counts, seconds) in other.latencies.items():
            own, total = self.latencies.get(place, ([0] * len(counts), 0.0))
            self.latencies[place] = [a + b for a, b in zip(own, counts, strict=True)], total + seconds
        for reason, count in other.cuts.items():
            self.cuts[reason] = self.cuts.get(reason, 0) + count


class Counters:
    """The registry of one server.

    Attributes:
        elsewhere: Returns what other processes of the server counted; nothing else where there are none.

    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.elsewhere: Callable[[], Iterable[Tallies]] = tuple
        self._requests: dict[tuple[str, str, int], int] = {}
        self._latencies: dict[tuple[str, str], _Latency] = {}
        self._cuts: Tally[str] = Tally()
        self.registry.register(_Answered(self.tallies))
        self._syncs = Histogram(
            "retain_journal_sync_seconds",
            "Time to write a batch of changes and sync it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._shown: list[tuple[str, str, Callable[[], float | None]]] = []
        Info("retain", "Version of the server.", registry=self.registry).info(
            {"version": metadata.version("retain")}
        )
        ProcessCollector(registry=self.registry)

    def show(self, name: str, meaning: str, value: Callable[[], float | None]) -> None:
        """Show a gauge whose value others know; it is left out while that is None."""
        self._shown.append((name, meaning, value))

    def request(self, interface: str, method: str, status: int, seconds: float, operation: str = "") -> None:
        """Count a request that was answered."""
        if method not in _METHODS:
            method = "other"
        key = (interface, method, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        latency = self._latencies.get((interface, operation))
        if latency is None:
            latency = self._latencies[interface, operation] = _Latency()
        latency.counts[bisect_left(_SECONDS, seconds)] += 1
        latency.seconds += seconds

    def totals(self) -> dict[str, Totals]:
        """Return what each interface answered since the start."""
        asked: Tally[str] = Tally()
        refused: Tally[str] = Tally()
        tallies = self.tallies()
        for (interface, _, status), count in tallies.requests.items():
            asked[interface] += count
            if not 100 <= status < 400:
                refused[interface] += count
        within: dict[str, Tally[float]] = {}
        for (interface, _), (counts, _) in tallies.latencies.items():
            within.setdefault(interface, Tally()).update(dict(_within(counts)))
        return {name: Totals(asked[name], refused[name], tuple(within[name].items())) for name in asked}

    def syncs(self) -> tuple[tuple[float, int], ...]:
        """Return seconds, and how many batches of changes were durable within them; the last is all."""
        (found,) = self._syncs.collect()
        buckets = [one for one in found.samples if one.name.endswith("_bucket")]
        return tuple((float(one.labels["le"]), int(one.value)) for one in buckets)

    def cut(self, reason: str) -> None:
        """Count a connection that was cut or refused."""
        self._cuts[reason] += 1

    def tallies(self) -> Tallies:
        """Return what was counted, by all processes together."""
        latencies = {place: (one.counts[:], one.seconds) for place, one in self._latencies.items()}
        tallies = Tallies(dict(self._requests), latencies, dict(self._cuts))
        for other in self.elsewhere():
            tallies.add(other)
        return tallies

    def watch(self, engine: EngineAccess, connections: Callable[[], int]) -> None:
        """Show the engine's statistics and the number of open connections, too."""
        engine.on_sync(self._syncs.observe)
        self.registry.register(_Live(engine, connections, self._shown))


class _Latency:
    """How long requests of one operation took: `counts` by bucket, the last for all beyond, and their sum.

    Plain numbers, because prometheus_client's histogram costs a twentieth of a small request.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.seconds = 0.0


def _within(counts: Iterable[int]) -> tuple[tuple[float, int], ...]:
    """Return upper bounds in seconds, the last infinite, and how many requests took at most that."""
    return tuple(zip((*_SECONDS, math.inf), accumulate(counts), strict=True))


class _Answered(Collector):
    """Shows the answered requests and the cut connections as Prometheus' counters and histogram."""

    def __init__(self, tallies: Callable[[], Tallies]) -> None:
        self._tallies = tallies

    def collect(self) -> Iterable[Metric]:
        tallies = self._tallies()
        answered = CounterMetricFamily(
            "retain_http_requests", "Requests answered.", labels=["interface", "method", "status"]
        )
        for (interface, method, status), count in tallies.requests.items():
            answered.add_metric([interface, method, str(status)], count)
        yield answered
        took = HistogramMetricFamily(
            "retain_http_request_seconds",
            "Time from a request's head to its answer's last byte.",
            labels=["interface", "operation"],
        )
        for (interface, operation), (counts, seconds) in tallies.latencies.items():
            buckets = [("+Inf" if bound == math.inf else str(bound), n) for bound, n in _within(counts)]
            took.add_metric([interface, operation], buckets, seconds)
        yield took
        cuts = CounterMetricFamily(
            "retain_http_connections_cut", "Connections cut or refused by a limit.", labels=["reason"]
        )
        for reason, count in tallies.cuts.items():
            cuts.add_metric([reason], count)
        yield cuts


class _Live(Collector):
    def __init__(
        self,
        engine: EngineAccess,
        connections: Callable[[], int],
        shown: Sequence[tuple[str, str, Callable[[], float | None]]],
    ) -> None:
        self._engine = engine
        self._connections = connections
        self._shown = shown

    def collect(self) -> Iterable[Metric]:
        statistics = self._engine.statistics()
        for name, meaning, value in _ENGINE:
            yield GaugeMetricFamily(name, meaning, value=value(statistics))
        yield _by_kind(
            CounterMetricFamily("retain_shortages", "How often a resource ran short.", labels=["of"]),
            {kind: statistics.shortages.get(kind, 0) for kind in KINDS},
        )
        yield _by_kind(
            GaugeMetricFamily("retain_short", "1 while the machine is short of the resource.", labels=["of"]),
            {kind: float(kind in statistics.short) for kind in KINDS if kind != DISK},
        )
        yield GaugeMetricFamily("retain_http_connections", "Open connections.", value=self._connections())
        for name, meaning, known in self._shown:
            if (found := known()) is not None:
                yield GaugeMetricFamily(name, meaning, value=found)


def _by_kind(family: _Family, values: Mapping[str, float]) -> _Family:
    for kind, value in values.items():
        family.add_metric([kind], value)
    return family
