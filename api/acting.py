"""How a command of the command line has something done: by the running server, or, if none runs, in this
process.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import trio
from rich.console import Console
from rich.table import Table

import journal
from api.administration import Administration
from api.cli import DAMAGED, FAILED, IN_USE, WRONG, Stopped, configuration_path
from api.config import Config, ConfigError, load
from api.control import ActRefused, Unreachable, ask
from engine import EngineError, open_engine

E = TypeVar("E", bound=BaseException)

PIPE_COLUMNS: Final = 1000

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def act(config_path: Path | None, name: str, /, **arguments: Any) -> Any:
    """Has the act ``name`` of :class:`api.administration.Administration` done, and answers its result.

    Raises:
        Stopped: It was refused, or the data folder cannot be used; with the exit code for the reason.
    """
    try:
        config = load(configuration_path(config_path), os.environ)
    except ConfigError as error:
        raise Stopped(str(error), WRONG) from None
    arguments["actor"] = actor()
    folder = Path(config.storage.data).absolute()
    try:
        return trio.run(_act, folder, config, name, arguments)
    except* (EngineError, ActRefused) as group:
        raise Stopped(_first(group).message, FAILED) from None
    except* ConfigError as group:
        raise Stopped(str(_first(group)), WRONG) from None
    except* journal.Locked as group:
        process = _first(group).pid or "unknown"
        message = f"{config.storage.data} is in use by process {process}, which takes no commands"
        raise Stopped(message, IN_USE) from None
    except* journal.JournalError as group:
        raise Stopped(f"{config.storage.data}: {_first(group)}", DAMAGED) from None
    except* OSError as group:
        raise Stopped(f"{config.storage.data}: {_first(group)}", FAILED) from None


async def _act(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return await ask(folder, name, **arguments)
    except Unreachable:
        # Only here: the server's modules take as long to import as all else a command does.
        from api.config_engine import engine_options

        async with open_engine(folder, options=engine_options(config)) as engine:
            administration = await Administration.open(engine, config)
            return await administration.acts()[name](**arguments)


def actor() -> str:
    """Who acts on the command line, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return "cli"


def print_json(value: Any) -> None:
    """For machines."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(
    columns: Mapping[str, Callable[[Mapping[str, Any]], object]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """For people: a column's title and what stands in it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in columns:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(str(value(row)) for value in columns.values()))
    # A pipe has no width; what reads it wants whole lines.
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    Console(highlight=False, markup=False, width=width).print(table)


def _first(group: BaseExceptionGroup[E]) -> E:
    """The first leaf of a group."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
