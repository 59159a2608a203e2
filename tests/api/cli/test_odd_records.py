"""What each tool makes of a journal with a record whose event does not replay, and the way out of it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner, Result

from retain import journal
from retain.api.cli.main import DONE, FAILED, main
from retain.engine import open_engine, wire
from retain.engine.areas.commands import CreateArea
from retain.journal import Draft
from tests.engine.snapshots.test_odd_records import ODD, SOUND

MORE = {
    "no content": Draft(
        verb=ODD["no keys"].verb, interface=1, resource=bytes(16), cause=1, details=b"\xc1", content=b""
    )
}


@pytest.fixture(params=[*ODD.values(), *MORE.values()], ids=[*ODD, *MORE])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data folder in which one record is odd, the last but one."""

    async def fill() -> None:
        async with open_engine(tmp_path / "data") as engine:
            await engine.submit(SOUND)

    async def go_on() -> None:
        async with open_engine(tmp_path / "data") as engine:
            command: Any = CreateArea(
                actor="u", name="z", resource=bytes(15) + b"\7", values={"a": "b"}, ttl=9
            )
            await engine.submit(command)

    trio.run(fill)
    disk = journal.RealDisk(tmp_path / "data")
    times = [record.header.time for record in journal.scan(disk)]
    with closing(journal.open_journal(disk, lambda record: None)) as log:
        log.append([request.param], times[-1])
    trio.run(go_on)
    return tmp_path / "data"


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, [*arguments, "--data", str(folder)], env={"RETAIN_CONFIG": None}, catch_exceptions=False
    )


def odd_of(folder: Path) -> int:
    odd = [record.header.seq for record in journal.scan(journal.RealDisk(folder)) if _is_odd(record)]
    assert len(odd) == 1
    return odd[0]


def _is_odd(record: journal.Record) -> bool:
    return record.details in {draft.details for draft in (*ODD.values(), *MORE.values())}


def test_every_reading_tool_gets_to_the_end(folder: Path, tmp_path: Path) -> None:
    seq = odd_of(folder)
    shown = run(folder, "audit", "log", "--json")
    assert shown.exit_code == DONE
    assert seq in [json.loads(line)["seq"] for line in shown.stdout.splitlines()]
    assert run(folder, "audit", "log").exit_code == DONE
    for arguments in (
        ("audit", "state", "--at", "now"),
        ("journal", "stat"),
        ("export", "--user", "a", "--output", str(tmp_path / "out")),
        ("audit", "retention"),
    ):
        result = run(folder, *arguments)
        assert result.exit_code in (DONE, FAILED), (arguments, result.output)
        assert "Traceback" not in result.output


def test_verify_names_it_and_the_repair_it_points_to_ends_it(folder: Path) -> None:
    seq = odd_of(folder)
    verified = run(folder, "audit", "verify")
    assert verified.exit_code == FAILED
    assert f"the event of record {seq} does not replay" in verified.stdout
    assert "`retain journal repair`" in verified.stdout
    listed = run(folder, "journal", "repair")
    assert listed.exit_code == FAILED
    assert f"Lost: record {seq}: the event of record {seq} does not replay" in listed.stdout
    held = run(folder, "audit", "state", "--at", "now", "--compact").stdout
    assert run(folder, "journal", "repair", "--accept-loss", "--yes").exit_code == DONE
    for _ in ("before the next start", "after it"):
        assert run(folder, "journal", "repair").exit_code == DONE
        verified = run(folder, "audit", "verify")
        assert verified.exit_code == DONE, verified.stdout
        assert "the journal was repaired" in verified.stdout
        assert run(folder, "audit", "state", "--at", "now", "--compact").stdout == held
        assert run(folder, "clock", "show").exit_code == DONE  # opens the folder
    [record] = [one for one in journal.scan(journal.RealDisk(folder)) if one.header.seq == seq]
    assert record.content is None or record.details is None
    assert wire.from_record(record) is None
