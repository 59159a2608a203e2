"""The mixed fuzz at a small scale."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.fuzz import ROUTES, fuzzed, run
from tests.kit.server import running


def test_no_answer_is_a_fault_and_every_route_is_reached(tmp_path: Path) -> None:
    with running(tmp_path / "server", fuzzed(tmp_path)) as server:
        seen = run(server, 7, requests=1500)
        assert seen.wrong == []
        assert set(seen.routes) == set(ROUTES)
        assert "unhandled exception" not in server.log()
        assert seen.resident[-1] - seen.resident[0] < 60 << 20
