"""`retain audit seen`: what a user's device saw on a given day."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from retain.api.cli.main import DONE, FAILED, main
from retain.engine import open_engine
from retain.engine.core.time import DAY, SECOND
from retain.engine.settings.commands import ImportDocument
from retain.engine.settings.model import Level, Place, SettingsPolicy
from retain.engine.testing import SteppedClock

TABLET = Place("shop", Level.DEVICE, "tablet", "ann")
GLOBAL = Place("shop", Level.GLOBAL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Colours on 1 January; on the 2nd the device gets its own, on the 3rd the application others."""

    async def fill() -> None:
        clock = SteppedClock()
        stated = [
            (GLOBAL, {"colours": {"menu": "blue", "text": "black"}}),
            (TABLET, {"colours": {"menu": "red"}}),
            (GLOBAL, {"colours": {"menu": "green", "text": "white"}}),
        ]
        async with open_engine(tmp_path / "data", clock=clock) as engine:
            for number, (place, value) in enumerate(stated):
                await engine.submit(
                    ImportDocument(
                        actor="test",
                        place=place,
                        value=value,
                        policy=SettingsPolicy(),
                        resource=bytes([number]) * 16,
                    )
                )
                clock.advance(DAY / SECOND)

    trio.run(fill)
    return tmp_path / "data"


def seen(folder: Path, day: int, *options: str) -> tuple[int, str]:
    at = f"2026-01-{day:02}T12:00Z"
    arguments = ["audit", "seen", "--data", str(folder), "--at", at, "-p", "shop", "-u", "ann", *options]
    result = CliRunner().invoke(main, arguments, env={"RETAIN_CONFIG": None})
    return result.exit_code, result.stdout


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1, {"menu": "blue", "text": "black"}),
        (2, {"menu": "red", "text": "black"}),
        (3, {"menu": "red", "text": "white"}),
    ],
)
def test_a_device_on_each_day(folder: Path, day: int, expected: dict[str, str]) -> None:
    code, out = seen(folder, day, "-d", "tablet")
    assert code == DONE
    assert json.loads(out) == {"colours": expected}


def test_without_a_device_it_is_the_user(folder: Path) -> None:
    assert json.loads(seen(folder, 2)[1]) == {"colours": {"menu": "blue", "text": "black"}}


def test_nothing_to_see_fails(folder: Path) -> None:
    arguments = [
        "audit",
        "seen",
        "--data",
        str(folder),
        "--at",
        "2025-12-31T12:00Z",
        "-p",
        "shop",
        "-u",
        "ann",
    ]
    result = CliRunner().invoke(main, arguments, env={"RETAIN_CONFIG": None})
    assert result.exit_code == FAILED
    assert "saw no settings" in result.output
