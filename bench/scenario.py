"""Scenarios: their type, and the look-up of all of them."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from retain.bench.metrics import Measurement
from retain.bench.result import RunResult


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a scenario is run.

    Attributes:
        rounds: Interleaved rounds; medians count.
        seconds: Seconds of each measurement.
        connections: Keep-alive connections, where a scenario does not vary them.
        scale: Sizes and counts are multiplied by it.
        seed: The seed of all random numbers.
        with_peers: Whether other installed servers are measured beside Retain.
        checkout: A folder whose server is measured instead of this one's.

    """

    rounds: int = 3
    seconds: float = 3.0
    connections: int = 16
    scale: float = 1.0
    seed: int = 1
    with_peers: bool = True
    checkout: Path | None = None

    def scaled(self, count: int, least: int = 1) -> int:
        """Return `count` in the scale of this run, at least `least`."""
        return max(least, round(count * self.scale))

    def command(self, scenario: str) -> str:
        """Return the command that repeats a run."""
        default = RunSettings()
        options = [
            f" --{name} {getattr(self, name):g}"
            for name in ("rounds", "seconds", "connections", "scale", "seed")
            if getattr(self, name) != getattr(default, name)
        ]
        return f"retain bench run {scenario}{''.join(options)}{'' if self.with_peers else ' --no-peers'}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One benchmark.

    Attributes:
        name: As on the command line.
        about: What it measures, in a sentence.
        measure: Fills a result.
        peers: What it compares with, where that is installed.
        over_http: Whether it measures a server alone, which may then be another version's.

    """

    name: str
    about: str
    measure: Callable[[RunSettings, RunResult], None]
    peers: tuple[str, ...] = ()
    over_http: bool = False

    def run(self, settings: RunSettings) -> RunResult:
        """Measure, and return the result."""
        result = RunResult(self.name, settings.command(self.name))
        self.measure(settings, result)
        return result


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Return all scenarios by name: each is the `SCENARIO` of a module in `bench/scenarios`."""
    from retain.bench import scenarios as folder

    modules = (
        importlib.import_module(f"{folder.__name__}.{found.name}")
        for found in pkgutil.iter_modules(folder.__path__)
    )
    found = [module.SCENARIO for module in modules]
    return {scenario.name: scenario for scenario in sorted(found, key=lambda one: one.name)}


Case = Callable[[], Measurement]


def in_rounds(settings: RunSettings, result: RunResult, cases: Mapping[tuple[str, str], Case]) -> None:
    """Run each case, named by (case, server), once a round.

    They take turns, so that a drift of the machine affects all alike. Every other round runs in reverse
    order, so that no case always follows the same one.
    """
    for turn in range(settings.rounds):
        order = list(cases.items())
        for (case, server), measure in order if turn % 2 == 0 else reversed(order):
            os.sync()  # data that one case leaves for the system to write must not slow down the next
            result.add(case, measure(), server)


def processors() -> tuple[int | None, int | None]:
    """Return the processors for the server and for the load: one each, if there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)
