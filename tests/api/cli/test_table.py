"""Options that mean the same everywhere are the same everywhere, and every command has those that apply."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
import pytest

from retain.api.cli.main import main

#: Commands that read nothing of a data folder that the configuration names.
WITHOUT_DATA = {"audit check-receipt", "backup restore", "backup verify", "completion", "init", "user hash"}
#: Commands whose output is a document of its own, and those that have none.
WITHOUT_JSON = {
    "audit receipt": "a receipt",
    "audit seen": "JSON",
    "audit state": "JSON",
    "backup erasures": "a list for `backup restore`",
    "completion": "a script",
    "init": "a file",
    "serve": "runs",
    "settings export": "JSON",
    "user hash": "a hash",
}


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


#: Benchmarks are for developers and know no data folder.
COMMANDS = {name: one for name, one in walk(main) if not name.startswith("bench ")}


def options(command: click.Command) -> dict[str, click.Option]:
    return {name: one for one in command.params if isinstance(one, click.Option) for name in one.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_the_options_that_apply(name: str) -> None:
    found = options(COMMANDS[name])
    assert ("--config" in found, "--data" in found) == (name not in WITHOUT_DATA, name not in WITHOUT_DATA)
    assert ("--json" in found) == (name not in WITHOUT_JSON)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_asks_can_be_told_yes(name: str) -> None:
    callback = COMMANDS[name].callback
    assert callback is not None
    asks = "click.confirm" in inspect.getsource(inspect.unwrap(callback))
    found = options(COMMANDS[name])
    assert not asks or found["--yes"] is found["-y"]
    assert "--yes" not in found or found["--yes"].is_flag


@pytest.mark.parametrize("option", ["--config", "--data"])
def test_an_option_is_explained_in_the_same_words_everywhere(option: str) -> None:
    texts = {name: found[option].help for name, one in COMMANDS.items() if option in (found := options(one))}
    if option == "--data":
        del texts["serve"]  # which makes the folder
    assert len(set(texts.values())) == 1, texts


def test_json_is_a_flag_that_prints_json_everywhere() -> None:
    for name, command in COMMANDS.items():
        if (found := options(command).get("--json")) is not None:
            assert found.is_flag, name
            assert found.help is not None
            assert "json" in found.help.lower(), name
            assert "ask" not in found.help, name  # that is for --yes to say


def test_the_exceptions_are_commands() -> None:
    assert set(COMMANDS) >= WITHOUT_DATA | set(WITHOUT_JSON)
