"""A disk and a clock for each test."""

from __future__ import annotations

import pytest

from retain.engine.testing import SteppedClock
from retain.journal.testing.memory import MemoryDisk


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()
