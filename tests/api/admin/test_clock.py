"""A wrong clock is logged, shown, and accepted when an operator says so."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import trio
import trio.testing
from click.testing import CliRunner

from retain.api.admin.clock import (
    AHEAD,
    FUTURE,
    RIGHT,
    SET_BACK,
    UNDATED,
    ClockActions,
    first_notice,
    notice,
    watch_clock,
)
from retain.api.cli.main import DONE, FAILED, WRONG, main
from retain.engine import Engine, Options, Unavailable, open_engine
from retain.engine.audit.log import Filter, log
from retain.engine.core.clock import EARLIEST
from retain.engine.core.time import SECOND
from retain.engine.testing import EPOCH, SteppedClock, open_memory_engine
from retain.journal.testing.memory import MemoryDisk
from tests.kit.disks import fail_next

DAY = 86_400
YEAR = 365 * DAY
QUIET = Options(sweep_interval_s=3600.0)


async def test_the_log_tells_once_and_again_each_hour_and_when_it_is_right(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "retain.clock")
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine, trio.open_nursery() as nursery:
        nursery.start_soon(watch_clock, engine)
        await trio.sleep(30)
        assert caplog.messages == []
        clock.step(-40)
        await trio.sleep(3590)
        assert caplog.messages == [SET_BACK]
        await trio.sleep(60)
        assert caplog.messages == [SET_BACK] * 2
        clock.step(40 + YEAR)
        await trio.sleep(30)
        assert caplog.messages == [SET_BACK, SET_BACK, AHEAD]
        assert caplog.records[-1].levelno == logging.WARNING
        assert caplog.records[-1].facts["ahead_seconds"] == YEAR  # type: ignore[attr-defined]
        assert caplog.records[-1].facts["wait_seconds"] == DAY  # type: ignore[attr-defined]
        clock.step(-YEAR)
        await trio.sleep(30)
        assert caplog.messages[-1] == RIGHT
        nursery.cancel_scope.cancel()


async def test_a_start_says_what_is_wrong_and_by_how_much() -> None:
    clock, disk = SteppedClock(), MemoryDisk()

    async def seen() -> str:
        async with open_memory_engine(disk, clock=clock, options=QUIET) as engine:
            return notice(engine.statistics())

    assert await seen() == ""
    clock.step(3 * YEAR)
    assert await seen() == f"{AHEAD}, by 1095 days, 0:00:00. It is accepted in 1 day, 0:00:00." + SEE
    clock.step(-3 * YEAR - 3600)
    assert await seen() == f"{SET_BACK}, by 1:00:00." + SEE


SEE = " See `retain clock --help`."


def test_a_first_start_doubts_a_clock_that_nothing_sets_and_one_before_this_version() -> None:
    right = EARLIEST + DAY * SECOND
    assert first_notice(right, True) == first_notice(right, None) == ""
    told = first_notice(right, False)
    assert told.startswith("The clock shows 2026-11-02T00:00:00Z. This machine knows of no time service")
    assert told.endswith(UNDATED)
    assert first_notice(EARLIEST, True) == ""
    assert "It is wrong: this version of Retain was written after" in first_notice(EARLIEST - 1, True)


async def test_records_ahead_of_an_accepted_clock_are_told() -> None:
    clock = SteppedClock()
    async with open_memory_engine(clock=clock, options=QUIET) as engine:
        await engine.submit(_change(engine))
        clock.step(-YEAR)
        found = await ClockActions(engine).accept(actor="cli:ann")
        assert found["state"] == FUTURE
        assert found["records_ahead_seconds"] == YEAR
        assert found["present"] == found["clock"] == "2025-01-01T00:00:00.000000Z"
        assert found["last_record"] == "2026-01-01T00:00:00.000000Z"


async def test_accepting_a_clock_is_a_record_of_who_and_what() -> None:
    clock, disk = SteppedClock(), MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.submit(_change(engine))
        clock.step(YEAR)
        await ClockActions(engine).accept(actor="cli:ann")
        clock.step(-YEAR)
        await ClockActions(engine).accept(actor="cli:bob")
    entries = [one for one in log(disk, Filter()) if one.event == "clock-accepted"]
    assert [one.actor for one in entries] == ["cli:ann", "cli:bob"]
    first, second = (one.subject for one in entries)
    day, year = "2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"
    assert first == f"clock accepted: {year}, before: {year}, confirmed until then: {day}"
    assert second == f"clock accepted: {day}, before: {year}"


async def test_a_time_that_was_given_up_dates_no_record() -> None:
    clock, disk = SteppedClock(), MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.submit(_change(engine))
        clock.step(YEAR)
        clock.advance(DAY)
        engine.now()
        clock.advance(DAY)
        assert engine.now() == engine.wall()
        clock.step(-YEAR)
        await engine.accept_clock("cli:ann")
        assert engine.state.time == engine.wall()
        assert engine.statistics().records_ahead_ns == 0


async def test_accepting_tells_that_it_could_not_be_recorded() -> None:
    clock, disk = SteppedClock(), MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        clock.step(-YEAR)
        fail_next(disk, "sync")
        with pytest.raises(Unavailable, match="only until a restart"):
            await engine.accept_clock("cli:ann")


async def test_accepting_tells_where_it_could_not_be_written_down() -> None:
    clock, disk = SteppedClock(), MemoryDisk()
    async with open_engine(disk, clock=clock, options=QUIET) as engine:
        await engine.submit(_change(engine))  # with it the clock is written down, and not again for a minute
        clock.step(-YEAR)
        fail_next(disk, "sync", "clock")
        with pytest.raises(Unavailable, match="only until a restart"):
            await engine.accept_clock("cli:ann")
        assert engine.now() == EPOCH - YEAR * 10**9


def _change(engine: Engine):
    from retain.engine.areas.commands import CreateArea

    return CreateArea(
        actor="a", name="0" * 8 + "-0000-4000-8000-" + "0" * 12, resource=engine.entropy(16), values={}, ttl=9
    )


def test_the_commands_show_and_accept(tmp_path: Path) -> None:
    def run(*arguments: str, given: str = "") -> tuple[int, str]:
        result = CliRunner().invoke(
            main, ["clock", *arguments, "--data", str(tmp_path / "data")], input=given
        )
        return result.exit_code, result.output

    assert run("show")[0] == WRONG  # a command that reads makes no data folder
    added = CliRunner().invoke(main, ["tenant", "add", "mytenant", "--data", str(tmp_path / "data")])
    assert added.exit_code == DONE
    code, text = run("show")
    assert (code, "State: the clock is right." in text) == (DONE, True)
    later = {"present": 1 << 61, "wall": 1 << 61, "monotonic": 0, "journal": 0}
    (tmp_path / "data" / "clock").write_text(json.dumps(later))
    assert f"State: {SET_BACK}." in run("show")[1]
    assert run("accept", given="n\n")[0] == FAILED
    assert f"State: {SET_BACK}." in run("show")[1]
    code, text = run("accept", given="y\n")
    assert (code, text.count("Is this clock correct?")) == (DONE, 1)
    assert "State: the clock is right." in run("show")[1]
    code, text = run("accept", "--yes", "--json")
    assert code == DONE
    assert json.loads(text)["behind_seconds"] < 0.001  # the two clocks are read one after the other
