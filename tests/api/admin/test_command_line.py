"""Lines that a page or the first screen shows lead to this installation and this data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from retain.api.admin.command_line import command_line


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that is not in the search path; the interpreter in it."""
    folder = tmp_path / "in stall" / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "retain").write_text("#!/bin/sh\n")
    (folder / "retain").chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin")
    return folder / "python"


def test_a_checkout_shows_the_command_below_the_working_folder(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(installed.parents[2])
    line = command_line("user add ann", "./retain-data", executable=str(installed))
    assert line == ".venv/bin/retain user add ann"


def test_a_service_shows_whole_paths(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    line = command_line("user add ann", "/var/lib/my data", executable=str(installed))
    assert line == f"'{installed.with_name('retain')}' user add ann --data '/var/lib/my data'"


def test_a_command_in_the_search_path_needs_no_path(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also through a link, as pipx makes one."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "retain").symlink_to(installed.with_name("retain"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin")
    assert command_line("status", "data", executable=str(installed)) == "retain status"


def test_another_installation_in_the_search_path_is_not_meant(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "retain").write_text("#!/bin/sh\n")
    (tmp_path / "retain").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir("/")
    line = command_line("status", "data", executable=str(installed))
    assert line == f"'{installed.with_name('retain')}' status"
