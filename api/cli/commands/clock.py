"""`retain clock`: what the server makes of the machine's clock, and the way out where that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from retain.api.cli.groups import Section
from retain.api.cli.main import data_options
from retain.api.cli.run import act, json_option, print_json


@click.group(name="clock", cls=Section)
def command() -> None:
    """The machine's clock: what the server makes of it, and accepting it after a look.

    A clock that jumps ahead hides at once what is due by it. Nothing is destroyed until the jump has held for
    ten minutes, or for a day if it is more than seven days. Set the clock back before that, and all is there
    again. While the clock is behind the time that has passed, expiry goes on by the monotonic clock.
    """


@command.command(name="show")
@data_options
@json_option
def show_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show the machine's clock, the server's present, and what is wrong with them."""
    _tell(act(config_path, data, "clock show"), as_json)


@command.command(name="accept")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@data_options
@json_option
def accept_command(yes: bool, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Take the machine's clock for right, now and at the next starts.

    What is due by it is destroyed without further waiting. If the server's present was ahead of the clock,
    it goes back: what ended in between and is not erased yet is shown again until its deadline.
    """
    if not yes:
        if not as_json:
            _tell(act(config_path, data, "clock show"), as_json)
        click.confirm("Is this clock right?", abort=True)
    _tell(act(config_path, data, "clock accept"), as_json)


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    click.echo(f"Clock of this machine: {found['clock']}")
    click.echo(f"Present of the server: {found['present']}")
    click.echo(f"Last record:           {found['last_record'] or 'none'}")
    click.echo(f"State: {found['state']}.")
    if found["ahead_seconds"]:
        click.echo(
            f"It is {found['ahead_seconds']:.0f} s ahead and believed in {found['wait_seconds']:.0f} s."
        )
