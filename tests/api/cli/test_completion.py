"""The completion scripts in the shells that they are for; each skipped where its shell is not installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from retain.api.cli.main import main

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent
PATIENCE_S = 60


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The script that `retain completion` prints for the shell."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / f"retain.{shell}"
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    path.write_text(result.stdout)
    return path


def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }


def shell_says(tmp_path: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash(script: Path, tmp_path: Path) -> None:
    words = "COMP_WORDS=(retain notif); COMP_CWORD=1"
    program = f"source {script}; {words}; _retain_completion retain; echo ${{COMPREPLY[@]}}"
    assert shell_says(tmp_path, "bash", "-c", program) == "notifications\n"


@pytest.mark.parametrize("script", ["fish"], indirect=True)
def test_fish(script: Path, tmp_path: Path) -> None:
    found = shell_says(tmp_path, "fish", "-c", f"source {script}; complete -C 'retain notifications d'")
    assert [line.partition("\t")[0] for line in found.splitlines()] == ["dead", "discard"]


@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh(script: Path, tmp_path: Path) -> None:
    """As somebody types it: zsh completes in its line editor only."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment(tmp_path))
    try:
        os.write(terminal, f"autoload -U compinit; compinit -u -D; source {script}; echo rea''dy\n".encode())
        assert "ready" in until(terminal, "ready")
        os.write(terminal, b"retain notif\t")
        assert "notifications" in until(terminal, "notifications")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)


def until(terminal: int, word: str) -> str:
    """What the shell shows until `word` is in it."""
    shown = ""
    end = time.monotonic() + PATIENCE_S
    while word not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown
