"""The campaign in small: each kind of fault, twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.report import Report
from tests.kit import postgres, power
from tests.kit.server import ROOT

KINDS = {"kill", "stop", "pause", "clock", "cut-off", "no-database", "no-leader"} | {
    "postgres", "standby", "failover", "split", "both",
}  # fmt: skip
POWER = {"power", "power-postgres", "power-all"}
"""Only where root may mount a file system."""


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_and_every_history_is_linearizable(tmp_path: Path, seed: int) -> None:
    postgres.demand()
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    kinds = KINDS if power.why_none() else KINDS | POWER
    file = tmp_path / "report"
    command = [sys.executable, "-m", "tests.cluster", "--faults", str(len(kinds)), "--pause", "1.5"]
    done = subprocess.run(
        [*command, "--seed", str(seed), "--report", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = Report.of(file.read_text())
    assert report.faults == dict.fromkeys(kinds, 1)
    assert report.acknowledged > 0
    assert report.reads > 0
