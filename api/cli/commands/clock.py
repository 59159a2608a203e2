"""`retain clock`: how the server sees the machine's clock, and how to accept that clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from retain.api.cli.groups import Section
from retain.api.cli.main import data_options
from retain.api.cli.run import json_option, print_json, run_action


@click.group(name="clock", cls=Section)
def command() -> None:
    """Show how the server sees the machine's clock, and accept it after a check.

    When the clock jumps ahead, data whose deadline has passed by that clock is hidden at once. Nothing is
    erased until the jump has lasted ten minutes, or a day if it is longer than seven days. If you set the
    clock back before that, the data is visible again. While the clock is behind the time that has passed,
    expiry follows the monotonic clock.
    """


@command.command(name="show")
@data_options
@json_option
def show_command(config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Show the machine's clock, the server's time, and any disagreement between them."""
    _tell(run_action(config_path, data, "clock show"), as_json)


@command.command(name="accept")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@data_options
@json_option
def accept_command(yes: bool, config_path: Path | None, data: str | None, as_json: bool) -> None:
    """Accept the machine's clock as correct, now and at later starts.

    Data whose deadline has passed by this clock is erased without further delay. If the server's time was
    ahead of the clock, it is set back: data that expired in between and is not erased yet is visible again
    until its deadline.
    """
    if not yes:
        if not as_json:
            _tell(run_action(config_path, data, "clock show"), as_json)
        click.confirm("Is this clock correct?", abort=True)
    _tell(run_action(config_path, data, "clock accept"), as_json)


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    click.echo(f"Clock of this machine: {found['clock']}")
    click.echo(f"Time of the server:    {found['present']}")
    click.echo(f"Last record:           {found['last_record'] or 'none'}")
    click.echo(f"State: {found['state']}.")
    if found["ahead_seconds"]:
        click.echo(
            f"It is {found['ahead_seconds']:.0f} s ahead; the server accepts it in "
            f"{found['wait_seconds']:.0f} s."
        )
