"""`retain status` and `retain completion`."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retain.api.cli.main import DONE, FAILED, WRONG, main
from retain.journal import RealDisk
from tests.kit.server import running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_folder_without_a_server_says_so(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert run("tenant", "add", "mytenant", "--data", data).exit_code == DONE
    result = run("status", "--data", data)
    assert (result.exit_code, "not running" in result.stdout) == (FAILED, True)
    found = json.loads(run("status", "--data", data, "--json").stdout)
    assert (found["running"], found["process"], found["started"]) == (False, None, None)
    assert found["records"] > 0
    assert 0 < found["disk_free_bytes"] <= found["disk_total_bytes"]


def test_a_running_server_answers(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        result = run("status", "--data", str(server.data), "--json")
        assert result.exit_code == DONE, result.output
        found = json.loads(result.stdout)
        assert (found["running"], found["process"]) == (True, server.process.pid)
        assert (found["ready"], found["state"]) == (True, "ok")
        table = run("status", "--data", str(server.data)).stdout
        assert f"process {server.process.pid}, since {found['started']}" in table


def test_a_process_that_does_not_answer_is_told(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path / "data")
    disk.lock()
    try:
        assert run("status", "--data", str(tmp_path / "data")).exit_code == 3
    finally:
        disk.unlock()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == DONE, result.output
    assert f"_RETAIN_COMPLETE={shell}_complete" in result.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its script was not run")
    checked = subprocess.run([shell, "-n"], input=result.stdout, text=True, capture_output=True, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_an_unknown_shell_is_wrong_usage() -> None:
    assert run("completion", "csh").exit_code == WRONG
