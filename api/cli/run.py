"""Run an administrative action for a command: in the running server, or in this process if none runs."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from retain.api.admin.control_client import ActionRefused, Unreachable, ask
from retain.api.cli.main import FAILED, Stopped
from retain.api.cli.options import configured
from retain.api.cli.progress import waiting
from retain.api.importing import importing

PIPE_COLUMNS: Final = 1000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def run_action(config_path: Path | None, data: str | None, name: str, /, **arguments: Any) -> Any:
    """Run the administrative action `name`, in the running server or in this process, and return its result.

    Args:
        config_path: The value of `--config`.
        data: The value of `--data`.
        name: A name in `Administration.actions`.
        arguments: Its arguments, without the actor.

    Raises:
        Stopped: It was refused, or the data folder cannot be used; with the exit code for the reason.
    """
    config = configured(config_path, data=data)
    arguments["actor"] = actor()
    folder = Path(config.storage.data).absolute()
    try:
        with waiting("Waiting for the server"):
            return ask(folder, name, **arguments)
    except ActionRefused as refusal:
        raise Stopped(refusal.message, FAILED) from None
    except Unreachable:
        with importing():
            from retain.api.cli.run_here import run_alone
    return run_alone(folder, config, name, arguments, is_named=data is not None)


def actor() -> str:
    """Return the actor for the audit log: the user of the command line."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "cli"


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Print a table. `columns` maps each title to the function that returns a row's cell."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(str(value(row)) for value in columns.values()))
    # A pipe has no width; its reader needs whole lines.
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(highlight=False, markup=False, width=width).print(table)
