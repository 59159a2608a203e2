"""A state of areas, driven by hand."""

from __future__ import annotations

import pytest

from tests.kit.areas_state import Harness


@pytest.fixture
def areas() -> Harness:
    return Harness()
