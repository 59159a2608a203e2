"""`retain user`: adding, listing and removing users on a data folder that no server has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from retain.api.admin.users import FILE
from retain.api.cli.main import main
from retain.api.identity.passwords import verify_hash


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, password: str = "") -> Result:
    return CliRunner().invoke(
        main, ["user", *arguments, "--data", "data"], input=password and f"{password}\n"
    )


def test_a_user_is_added_listed_and_removed(tmp_path: Path) -> None:
    added = run("add", "operator", "--role", "Administrator", "--role", "Role1", password="secret")
    assert (added.exit_code, added.stdout) == (0, "Added operator with the roles Administrator, Role1.\n")
    file = tmp_path / "data" / FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert "secret" not in file.read_text()
    assert verify_hash(json.loads(file.read_text())["operator"]["password"], "secret")
    listed = json.loads(run("list", "--json").output)
    assert listed == [{"name": "operator", "roles": ["Administrator", "Role1"], "source": "command line"}]
    assert "operator" in run("list").output
    assert run("remove", "operator").output == "Removed operator.\n"
    assert json.loads(run("list", "--json").output) == []


def test_a_folder_that_the_first_command_creates_is_named_once(tmp_path: Path) -> None:
    """A command in the wrong folder would otherwise seem to have changed the server's data."""
    created = f"Created the data folder {tmp_path / 'data'}: a server that stores elsewhere does not see this"
    assert created in run("add", "operator", password="secret").stderr
    assert run("add", "uwe", password="secret").stderr == ""


def test_without_a_role() -> None:
    assert run("add", "uwe", password="secret").stdout == "Added uwe with no role.\n"


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (("add", "operator"), "", "no password: standard input is not a terminal, and it is empty"),
        (("add", "operator"), "\n", "the password is empty"),
        (("add", "a:b"), "secret", "without spaces and colons"),
        (("remove", "nobody"), "", "the user nobody does not exist"),
    ],
)
def test_what_is_wrong_is_told(arguments: tuple[str, ...], password: str, words: str) -> None:
    run("add", "first", password="secret")
    result = run(*arguments, password=password)
    assert result.exit_code != 0
    assert words in result.output


def test_a_name_is_given_once() -> None:
    run("add", "operator", password="secret")
    again = run("add", "operator", password="other")
    assert again.exit_code == 1
    assert "the user operator already exists" in again.output
