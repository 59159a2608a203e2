"""The unit and its files, judged by systemd's own tools; skipped where they are not installed."""

from __future__ import annotations

import configparser
import os
import re
import resource
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from retain.api.cli.exits import DAMAGED, WRONG
from retain.api.cli.main import main
from retain.api.config.load import ServerConfig
from tests.kit.server import ROOT, Server

FOLDER = ROOT / "deploy" / "systemd"
UNIT = FOLDER / "retain.service"
EXPOSED = 2.5
"""The limit of issue and documentation for `systemd-analyze security`."""


def tool(*command: str | Path) -> str:
    """Run one of systemd's tools; its output."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def settings(path: Path) -> configparser.ConfigParser:
    """A unit's settings; of a setting that is given twice, the last."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


def test_the_unit_exposes_little() -> None:
    shown = tool("systemd-analyze", "security", "--offline=true", UNIT)
    found = re.search(r"Overall exposure level for retain.service: ([0-9.]+)", shown)
    assert found is not None, shown
    assert float(found[1]) < EXPOSED


@pytest.mark.parametrize("name", ["retain.service", "retain.socket"])
def test_systemd_understands_every_line(name: str, tmp_path: Path) -> None:
    """With the program where the unit expects it: there is none on a machine of developers."""
    for path in FOLDER.glob("retain.*"):
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/retain/bin/retain", "/bin/true"))
    shown = tool("systemd-analyze", "verify", "--man=no", tmp_path / name)
    assert [line for line in shown.splitlines() if "retain." in line] == []


def test_the_unit_starts_a_command_that_exists_and_waits_long_enough() -> None:
    service = settings(UNIT)["Service"]
    program, *arguments = service["ExecStart"].split()
    assert program == "/opt/retain/bin/retain"
    command = main.get_command(click.Context(main), arguments[0])
    assert command is not None
    assert command.make_context("serve", arguments[1:]).params["config_path"] == Path(
        "/etc/retain/retain.toml"
    )
    assert service["Type"] == "notify"
    assert float(service["TimeoutStopSec"]) > ServerConfig().stop_timeout
    assert set(service["RestartPreventExitStatus"].split()) == {str(WRONG), str(DAMAGED)}
    limit = ServerConfig().max_connections + 128 + 384
    assert int(service["LimitNOFILE"]) >= limit, "the server would have to raise it, which is filtered"


def test_user_and_folders_are_the_units(tmp_path: Path) -> None:
    service = settings(UNIT)["Service"]
    (tmp_path / "etc").mkdir()
    tool("systemd-sysusers", f"--root={tmp_path}", FOLDER / "sysusers.conf")
    users = (tmp_path / "etc" / "passwd").read_text()
    assert f"{service['User']}:" in users
    assert "/usr/sbin/nologin" in users
    tool("systemd-tmpfiles", f"--root={tmp_path}", "--create", FOLDER / "tmpfiles.conf")
    data = tmp_path / service["Environment"].partition("=")[2].lstrip("/")
    assert data.stat().st_mode & 0o777 == 0o700
    assert data.name == service["StateDirectory"]
    assert (tmp_path / "etc" / "retain").stat().st_mode & 0o777 == 0o750


def allowed_calls() -> set[str]:
    """The system calls that the unit's filter lets through."""
    groups: dict[str, list[str]] = {}
    for line in tool("systemd-analyze", "--no-pager", "syscall-filter").splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = []
        elif line.strip() and not line.strip().startswith("#"):
            groups[name].append(line.strip())

    def members(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        return {call for entry in groups[name] for call in members(entry)}

    filters = re.findall(r"^SystemCallFilter=(~?)(\S+)$", UNIT.read_text(), re.MULTILINE)
    assert [sign for sign, _ in filters] == ["", "~"]
    return members(filters[0][1]) - members(filters[1][1])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_makes_only_system_calls_that_the_unit_allows(
    launch: Callable[..., Server], tmp_path: Path, workers: int
) -> None:
    """Start, a change, a read, metrics, the console and a stop, under strace."""
    if "RETAIN_CONTAINER_TEST" not in os.environ:
        pytest.skip("takes ten seconds: make container-test")
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))  # as LimitNOFILE does
    trace = tmp_path / "trace"
    server = launch(f"[server]\nworkers = {workers}\n", prefix=("strace", "-f", "-qq", "-o", str(trace)))
    body = b"Key=Value"
    for method, target in ("POST", "/genesys/1/storage/60"), ("GET", "/metrics"), ("GET", "/console"):
        request = urllib.request.Request(
            server.url + target, body if method == "POST" else None, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
    # strace passes no signal on; what it runs is its child.
    (child,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGTERM)
    assert server.process.wait(60) == 0
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), re.MULTILINE))
    assert len(made) > 40
    made -= {"execve", "arch_prctl"}  # of starting a program, which systemd does itself
    assert made - allowed_calls() == set()
