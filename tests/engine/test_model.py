"""Areas through the whole engine against a plain dict, with crashes, restarts, clocks and cancellation (T8).

Every example ends with ``engine.testing.verify``: replay gives the live state, byte for byte.
"""

from __future__ import annotations

import errno
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

import trio
import trio.testing
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from retain.engine import Conflict, Engine, EngineError, NotFound, Refused, State, StorageFailed
from retain.engine.areas import CreateArea, DeleteArea, UpdateArea
from retain.engine.areas.state import key_ends, last_end, split_key
from retain.engine.core.command import Command
from retain.engine.core.time import SECOND
from retain.engine.erasure.reaper import expiry_lag
from retain.engine.testing import SteppedClock
from retain.journal.testing.memory import DiskOperation, MemoryDisk
from tests.kit.crash import SCALE
from tests.kit.disks import Halt, fail_next
from tests.kit.engines import Puppet, in_order

NAMES = st.sampled_from(["one", "two", "three"])
USERS = st.sampled_from(["ann", "bob"])
SOMEBODY = st.none() | USERS
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.text(max_size=8) | st.just("\0" * 700), max_size=3
)
TTLS = st.integers(1, 120)
SEEDS = st.integers(0, 1 << 16)

Key = tuple[str, str | None]
Picture = dict[Key, tuple[int, dict[str, tuple[str, int]]]]
"""Per living area: when it ends, and its living keys with value and deadline."""


@dataclass
class Area:
    """An area of the model: value and deadline per key; ``base`` for one made without keys."""

    base: int = 0
    keys: dict[str, tuple[str, int]] = field(default_factory=dict)

    def ends(self) -> int:
        return max([self.base, *(until for _, until in self.keys.values())])

    def write(self, values: dict[str, str], until: int, now: int) -> None:
        living = {key: entry for key, entry in self.keys.items() if entry[1] > now}
        if not living and not values:
            self.base = until
        self.keys = living | {key: (value, until) for key, value in values.items()}


class Model:
    """What areas do, in as few words as possible (spec/areas.md)."""

    def __init__(self) -> None:
        self.areas: dict[Key, Area] = {}

    def living(self, name: str, user: str | None, now: int) -> Key | None:
        for key in [(name, user), (name, None)]:
            if key in self.areas and self.areas[key].ends() > now:
                return key
        return None

    def do(self, command: Command[Any], now: int) -> type[Refused] | None:
        """Applies it, or answers how it is refused."""
        match command:
            case DeleteArea(name=name, user=user):
                key = self.living(name, user, now)
                if key is None:
                    return NotFound
                del self.areas[key]
            case CreateArea(name=name, user=user):
                if self.living(name, user, now) != (name, user):
                    self.areas[name, user] = Area()
                elif user is None:
                    return Conflict
                self._write((name, user), command, now)
            case UpdateArea(name=name, user=user):
                key = self.living(name, user, now)
                if key is None and user is None:
                    return NotFound
                if key is None:
                    key = (name, user)
                    self.areas[key] = Area()
                self._write(key, command, now)
        return None

    def _write(self, key: Key, command: CreateArea | UpdateArea, now: int) -> None:
        values = {name: str(value) for name, value in command.values.items()}
        self.areas[key].write(values, now + command.ttl * SECOND, now)

    def picture(self, now: int) -> Picture:
        """What a reader sees."""
        return {
            key: (area.ends(), {name: entry for name, entry in area.keys.items() if entry[1] > now})
            for key, area in self.areas.items()
            if area.ends() > now
        }


def picture(state: State, now: int) -> Picture:
    """What a reader of the engine sees."""
    return {
        split_key(key): (
            last_end(area),
            {
                name: (str(value), end)
                for name, value, end in zip(area[2], area[3], key_ends(area), strict=True)
                if end > now
            },
        )
        for key, area in state.areas.areas.items()
        if last_end(area) > now
    }


@st.composite
def commands(draw: st.DrawFn) -> Command[Any]:
    """Any command on areas."""
    kind = draw(st.sampled_from([CreateArea, CreateArea, UpdateArea, UpdateArea, DeleteArea]))
    common: dict[str, Any] = {"actor": "tester", "name": draw(NAMES), "user": draw(SOMEBODY)}
    if kind is DeleteArea:
        return DeleteArea(**common)
    resource = draw(SEEDS).to_bytes(16, "big")
    return kind(**common, resource=resource, values=draw(VALUES), ttl=draw(TTLS))


class AreasThroughTheEngine(RuleBasedStateMachine):
    """One engine and its model."""

    puppet: Puppet

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.clock = SteppedClock()
        self.skew = 0
        self.puppet = Puppet(MemoryDisk(), self.clock)

    def teardown(self) -> None:
        if hasattr(self, "puppet"):
            self.puppet.close()

    def reopen(self, disk: MemoryDisk, *, verified: bool = True) -> None:
        self.puppet.close(verified=verified)
        self.puppet = Puppet(disk, self.clock)

    def seen(self) -> Picture:
        return self.puppet.do(lambda engine: engine.read(picture))

    @property
    def now(self) -> int:
        return self.puppet.engine.now()

    # --- what clients do ------------------------------------------------------------------------------------

    @rule(command=commands())
    def one_command(self, command: Command[Any]) -> None:
        expected = self.model.do(command, self.now)
        assert self.outcome(command) == expected

    def outcome(self, command: Command[Any]) -> type[EngineError] | None:
        """How the engine refuses, None if it does not."""
        try:
            self.puppet.do(lambda engine: engine.submit(command))
        except EngineError as error:
            return type(error)
        return None

    @rule(batch=st.lists(commands(), min_size=2, max_size=5))
    def many_at_once(self, batch: list[Command[Any]]) -> None:
        for command in batch:
            self.model.do(command, self.now)

        async def submit_all(engine: Engine) -> None:
            async with trio.open_nursery() as nursery:
                await in_order(nursery, *(_quietly(engine, command) for command in batch))

        self.puppet.do(submit_all)

    @rule(first=commands(), queued=commands(), last=commands())
    def one_goes_away_while_queued(
        self, first: Command[Any], queued: Command[Any], last: Command[Any]
    ) -> None:
        """Cancelled before it was taken: it did not happen. The first is waited for by nobody either."""
        disk = self.puppet.disk

        async def run(engine: Engine) -> None:
            with Halt(disk) as halt:
                async with trio.open_nursery() as nursery:
                    taken, waiting = trio.CancelScope(), trio.CancelScope()
                    await in_order(nursery, _quietly(engine, first, taken))
                    if engine.statistics().seq == engine.statistics().durable:
                        halt.release()  # refused, so nothing is being written
                        await trio.testing.wait_all_tasks_blocked()
                        await _refused(engine, last)
                        return
                    await halt.reached.wait()
                    await in_order(nursery, _quietly(engine, queued, waiting), _quietly(engine, last))
                    taken.cancel()
                    waiting.cancel()
                    await trio.testing.wait_all_tasks_blocked()
                    assert waiting.cancelled_caught
                    halt.release()

        self.puppet.do(run)
        for command in (first, last):
            self.model.do(command, self.now)

    # --- what time does -------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 150))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.integers(-3000, 3000))
    def the_clock_is_set(self, seconds: int) -> None:
        """By less than an hour; what larger steps do is in test_reaper.py."""
        if abs(self.skew + seconds) < 40_000:
            self.skew += seconds
            self.clock.step(seconds)

    @rule()
    def sweep(self) -> None:
        self.puppet.do(lambda engine: engine.sweep())
        engine = self.puppet.engine
        assert expiry_lag(engine.state, engine._horizon.vouched()) == 0

    @rule()
    def take_a_snapshot(self) -> None:
        self.puppet.do(lambda engine: engine.take_snapshot())

    # --- what goes wrong ------------------------------------------------------------------------------------

    @rule()
    def restart(self) -> None:
        self.reopen(self.puppet.disk)

    @rule()
    def the_process_is_killed(self) -> None:
        self.reopen(self.puppet.disk.kill())

    @rule(seed=SEEDS)
    def the_power_goes(self, seed: int) -> None:
        self.reopen(self.puppet.disk.crash("random", Random(seed)))

    @rule(batch=st.lists(commands(), min_size=1, max_size=5), after=st.integers(0, 6), seed=SEEDS)
    def the_power_goes_under_load(self, batch: list[Command[Any]], after: int, seed: int) -> None:
        """What was answered survives; of the rest, a prefix."""
        disk, rng = self.puppet.disk, Random(seed)
        answered: list[int] = []
        cuts: list[tuple[int, MemoryDisk]] = []
        start = disk.operations

        def hook(operation: DiskOperation) -> None:
            if operation.number > start + after and not cuts:
                cuts.append((len(answered), disk.crash("random", rng)))

        async def submit_all(engine: Engine) -> None:
            disk.before_each = hook
            async with trio.open_nursery() as nursery:
                works = [_quietly(engine, command, None, answered) for command in batch]
                await in_order(nursery, *works)
            disk.before_each = None

        now = self.now
        self.puppet.do(submit_all)
        at_least, cut = cuts[0] if cuts else (len(batch), disk.crash("none"))
        possible = [deepcopy(self.model)]
        for command in batch:
            self.model.do(command, now)
            possible.append(deepcopy(self.model))
        self.reopen(cut)
        seen = self.seen()
        fitting = [model for model in possible[at_least:] if model.picture(self.now) == seen]
        assert fitting, "neither what was answered nor a prefix of the rest"
        self.model = fitting[-1]

    @rule(command=commands(), kind=st.sampled_from(["sync", "pwrite"]), seed=SEEDS)
    def the_disk_fails(self, command: Command[Any], kind: str, seed: int) -> None:
        """Nothing is answered any more; after a restart it happened or not."""
        disk = self.puppet.disk
        without, now = deepcopy(self.model), self.now
        refused = self.model.do(command, now)
        fail_next(disk, kind, error=errno.EIO)
        outcome = self.outcome(command)
        failed = disk.before_each is None
        disk.before_each = None
        if not failed:  # it came to nothing, so there was nothing to write
            assert outcome is refused
            return
        assert outcome is StorageFailed
        self.reopen(disk.crash("random", Random(seed)), verified=False)
        if self.seen() != self.model.picture(self.now):
            self.model = without

    @invariant()
    def the_engine_shows_what_the_model_holds(self) -> None:
        if hasattr(self, "puppet"):
            assert self.seen() == self.model.picture(self.now)


def _quietly(
    engine: Engine,
    command: Command[Any],
    scope: trio.CancelScope | None = None,
    answered: list[int] | None = None,
) -> Any:
    """Submits and swallows refusals; notes the answer."""

    async def run() -> None:
        with scope or trio.CancelScope():
            await _refused(engine, command)
            if answered is not None:
                answered.append(1)

    return run


async def _refused(engine: Engine, command: Command[Any]) -> bool:
    try:
        await engine.submit(command)
    except Refused:
        return True
    return False


TestAreasThroughTheEngine = AreasThroughTheEngine.TestCase
TestAreasThroughTheEngine.settings = settings(
    max_examples=20 * SCALE,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
