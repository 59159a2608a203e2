"""The campaign of large requests runs, at a small scale: each is answered, and no step is long."""

from __future__ import annotations

import pytest

from tests.hostile import steps


@pytest.mark.parametrize("part", [steps.settings, steps.areas])
async def test_no_step_is_long(part: steps.Part) -> None:
    rows = [row async for row in part(0.02)]
    assert len(rows) > 1
    assert max(milliseconds for _, milliseconds in rows) < 200
