"""`retain user`: manage users of the console and of the settings interface."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from retain.api.cli.groups import Section
from retain.api.cli.main import WRONG, Stopped, data_options
from retain.api.cli.run import json_option, print_json, print_table, run_action
from retain.api.importing import importing


@click.group(name="user", cls=Section)
def command() -> None:
    """Manage users of the console and of the settings interface.

    The configuration can list users too ([[users]]). `add`, `list` and `remove` work whether or not the
    server runs; they take effect at once.
    """


@command.command(name="add")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE",
    help="Give the user this role; repeatable. The console's roles are Administrator, DataProtection and "
    "Auditor.",
)
@data_options
@json_option
def add(name: str, roles: tuple[str, ...], config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Add the user NAME, who can log in at once. Prompt for a password, or read it from standard input.

    \b
    retain user add operator --role Administrator
    """
    password = _hashed()
    made = run_action(config_path, data, "user add", name=name, password=password, roles=list(roles))
    if as_json:
        print_json(made)
    else:
        click.echo(f"Added {name} with {_words(made['roles'])}.")


@command.command(name="list")
@data_options
@json_option
def list_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """List the users with their roles and where each one is defined."""
    users = run_action(config_path, data, "user list")
    if as_json:
        print_json(users)
        return
    columns = {
        "NAME": lambda user: user["name"],
        "ROLES": lambda user: ", ".join(user["roles"]),
        "SOURCE": lambda user: user["source"],
    }
    print_table(columns, users)


@command.command(name="remove")
@click.argument("name")
@data_options
@json_option
def remove(name: str, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Remove the user NAME. Open sessions end at their next request."""
    removed = run_action(config_path, data, "user remove", name=name)
    if as_json:
        print_json(removed)
    else:
        click.echo(f"Removed {name}.")


@command.command(name="hash")
def hash_command() -> None:
    """Prompt for a password (or read a line from standard input) and print its argon2 hash.

    Put the hash into the configuration: password = "…".
    """
    click.echo(_hashed())


def _hashed() -> str:
    with importing():
        from retain.api.identity import hash_password
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        line = sys.stdin.readline()
        if not line:
            raise Stopped(
                "no password: standard input is not a terminal, and it is empty; run the command in a "
                "terminal (in a container: podman exec -it), or send the password as one line",
                WRONG,
            )
        password = line.rstrip("\r\n")
    if not password:
        raise Stopped("the password is empty; enter at least one character", WRONG)
    return hash_password(password)


def _words(roles: list[str]) -> str:
    if not roles:
        return "no role"
    return f"the role{'' if len(roles) == 1 else 's'} {', '.join(roles)}"
