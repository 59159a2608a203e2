"""``retain user hash``: what stands in the configuration instead of a password."""

from __future__ import annotations

import sys

import click

from retain.api.cli.groups import Section
from retain.api.cli.main import WRONG, Stopped
from retain.api.importing import importing


@click.group(name="user", cls=Section)
def command() -> None:
    """Users of the interfaces ([[users]] in the configuration)."""


@command.command(name="hash")
def hash_command() -> None:
    """Ask for a password (or read a line from standard input) and print its argon2 hash.

    The hash goes into the configuration: password = "…".
    """
    with importing():
        from retain.api.identity import hash_password
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise Stopped("the password is empty", WRONG)
    click.echo(hash_password(password))
