"""A process that is forked from the helper is as one that was executed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.forks import FORKS, Forked, retain
from tests.kit.server import ROOT, command, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are adopted on Linux only")


def environ(**more: str) -> dict[str, str]:
    """The environment that the helper's interpreter has read, and settings of Retain."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")} | more


@pytest.mark.parametrize("arguments", [["--version"], ["nothing"], ["status", "--json"], ["init", "a/b"]])
def test_a_command_prints_and_returns_the_same(tmp_path: Path, arguments: list[str]) -> None:
    found = environ(RETAIN_STORAGE_DATA=str(tmp_path / "data"))
    assert FORKS.suits(found)
    forked = retain(*arguments, environ=found)
    executed = subprocess.run(
        [sys.executable, "-m", "retain", *arguments],
        env=found, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (forked.returncode, forked.stdout) == (executed.returncode, executed.stdout)
    assert forked.stderr == executed.stderr


def test_a_server_is_this_process_own_child_and_has_only_its_own_files(tmp_path: Path) -> None:
    with running(tmp_path / "forked") as forked, running(tmp_path / "executed", prefix=("env",)) as executed:
        assert isinstance(forked.process, Forked)
        assert not isinstance(executed.process, Forked)
        status = Path(f"/proc/{forked.process.pid}/status").read_text()
        assert f"\nPPid:\t{os.getpid()}\n" in status
        opened = [len(os.listdir(f"/proc/{server.process.pid}/fd")) for server in (forked, executed)]
        assert opened[0] == opened[1]
        assert forked.process.poll() is None
        assert forked.stop() == executed.stop() == 0


def test_an_interpreter_that_reads_another_environment_is_executed(tmp_path: Path) -> None:
    assert not FORKS.suits(environ(PYTHONWARNINGS="error"))
    with running(tmp_path, environ={"TZ": "Asia/Tokyo"}) as server:
        assert not isinstance(server.process, Forked)
        assert server.process.args == command(tmp_path)
