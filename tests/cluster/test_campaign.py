"""The campaign in small: each of its 15 kinds of fault, twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.report import Report
from tests.kit import postgres, power
from tests.kit.server import ROOT

OF_NODES = {"kill", "stop", "pause", "clock", "cut-off", "no-database", "no-leader", "power"}
OF_POSTGRES = {"postgres", "standby", "failover", "split", "both", "power-postgres", "power-all"}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kinds", [OF_NODES, OF_POSTGRES], ids=["nodes", "postgres"])
def test_nothing_is_lost_and_every_history_is_linearizable(
    tmp_path: Path, kinds: set[str], seed: int
) -> None:
    postgres.demand()
    pytest.importorskip("obstore", reason="obstore is not installed: pip install 'retain[cluster]'")
    if power.why_none():  # only root may mount a file system
        kinds = {kind for kind in kinds if not kind.startswith("power")}
    file = tmp_path / "report"
    command = [sys.executable, "-m", "tests.cluster", "--faults", str(len(kinds)), "--pause", "1.5"]
    for kind in sorted(kinds):
        command += ["--only", kind]
    done = subprocess.run(
        [*command, "--seed", str(seed), "--report", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = Report.of(file.read_text())
    assert report.faults == dict.fromkeys(kinds, 1)
    assert report.acknowledged > 0
    assert report.reads > 0
