"""Shared by the tests of the engine's core."""

from __future__ import annotations

import pytest

from retain.engine.testing import SteppedClock
from retain.journal.testing.memory import MemoryDisk
from tests.kit import toy
from tests.kit.engines import LightOptions

QUIET = LightOptions(sweep_interval_s=3600.0)
"""No sweeps of its own: the test says when."""


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines of this test keep notes (``tests.kit.toy``)."""
    toy.install(monkeypatch)


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()
