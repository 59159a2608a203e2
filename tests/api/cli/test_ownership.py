"""Root writes nothing into a data folder of another user, whose server could not read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retain.api.cli.main import main

SERVICE = 65534
"""The user of the service in these tests: nobody."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can own a folder in another's name")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a journal, of the service's user."""
    monkeypatch.chdir(tmp_path)
    assert run("user", "add", "ann", "--data", "data").exit_code == 0
    data = tmp_path / "data"
    for path in (data, *data.rglob("*")):
        os.chown(path, SERVICE, SERVICE)
    return data


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments], input="secret\n")


def owners(data: Path) -> set[int]:
    return {path.stat().st_uid for path in (data, *data.rglob("*"))}


@pytest.mark.parametrize(
    "command",
    [
        ("user", "add", "bob"),
        ("tenant", "add", "mytenant"),
        ("clock", "accept", "--yes"),
        ("serve", "--bind", "127.0.0.1:0"),
    ],
    ids=" ".join,
)
def test_a_command_that_writes_names_the_user_to_run_it_as(folder: Path, command: tuple[str, ...]) -> None:
    refused = run(*command, "--data", str(folder))
    assert refused.exit_code == 2
    assert f"{folder} belongs to user nobody" in refused.output
    assert "runuser -u nobody -- …" in refused.output
    assert owners(folder) == {SERVICE}


def test_a_user_without_a_name_is_named_by_number(folder: Path) -> None:
    os.chown(folder, 54321, 54321)
    refused = run("user", "add", "bob", "--data", str(folder))
    assert refused.exit_code == 2
    assert "setpriv --reuid 54321" in refused.output


def test_a_restore_into_that_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "restored"
    target.mkdir()
    os.chown(target, SERVICE, SERVICE)
    refused = run("backup", "restore", str(folder), str(target), "--bring-back-erased")
    assert refused.exit_code == 2
    assert f"{target} belongs to user nobody" in refused.output
    assert list(target.iterdir()) == []


def test_reading_is_not_refused(folder: Path) -> None:
    assert run("audit", "verify", "--data", str(folder)).exit_code == 0
    assert owners(folder) == {SERVICE}
