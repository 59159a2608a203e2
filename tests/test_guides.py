"""The guides' worked sessions run as they are shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.passwords import cheap_hash
from tests.kit.server import ROOT, Server

GUIDES = ("auditors-guide.md", "data-protection.md")

#: What differs from run to run, and what stands for it. Widths of columns follow from it.
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b"), "<number>"),
    (re.compile(r"\+[0-9a-f]{8}\+"), "+<id>+"),
    (re.compile(r"[A-Za-z0-9+/]{43,}={0,2}"), "<base64>"),
    (re.compile(r"\bcli:\S+"), "cli:<user>"),
    (re.compile(r"[ \t]+"), " "),
    (re.compile(r" $", re.MULTILINE), ""),
    (re.compile(r"^ ", re.MULTILINE), ""),
)


def sessions(guide: str) -> list[tuple[str, str]]:
    """Commands, each with the output shown under it."""
    steps: list[tuple[str, str]] = []
    text = (ROOT / "docs" / guide).read_text()
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                steps.append((line[2:].rstrip("\n"), ""))
            else:
                steps[-1] = (steps[-1][0], steps[-1][1] + line)
    return steps


def general(text: str) -> str:
    """A session's text without what differs from run to run."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text.strip()


@pytest.mark.parametrize("guide", GUIDES)
def test_the_session_runs_as_shown(guide: str, launch: Callable[..., Server], tmp_path: Path) -> None:
    users = f"[[users]]\nname = 'ann'\npassword = '{cheap_hash('secret')}'\n"
    server = launch(f"{users}[audit]\norigin = 'retain.example.org/log'\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RETAIN_")}
    environ |= {
        "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}",
        "RETAIN_CONFIG": str(server.folder / "retain.toml"),
        "RETAIN_STORAGE_DATA": str(server.data),
    }
    steps = sessions(guide)
    assert len(steps) >= 10
    for command, shown in steps:
        line = command.replace("http://127.0.0.1:8080", server.url)
        # What a step sets, later ones use.
        if assigned := re.fullmatch(r"([A-Z]+)=(.*)", line):
            line = f"printf %s {assigned[2]}"
        result = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=tmp_path,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
            check=False,
        )
        if assigned:
            environ[assigned[1]] = result.stdout
            continue
        got = result.stdout.replace(server.url, "http://127.0.0.1:8080")
        assert general(got) == general(shown), (command, got)
        assert (result.returncode == 0) == ("Error:" not in shown), (command, result.returncode)
    assert server.stop() == 0
    verified = subprocess.run(
        [sys.executable, "-m", "retain", "audit", "verify"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout
