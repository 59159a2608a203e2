"""Run an administrative action in this process, on a data folder that no server has open."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import trio

from retain import journal
from retain.api.admin.actions import Administration
from retain.api.cli.exits import FAILED, WRONG, Stopped
from retain.api.cli.failures import failures_of, no_journal, unusable
from retain.api.cli.ownership import refuse_as_root
from retain.api.cli.progress import waiting
from retain.api.config.engine import engine_options
from retain.api.config.load import Config
from retain.api.config.storage import StorageConfig
from retain.engine import open_engine
from retain.journal.backup.manifest import MANIFEST_FILE
from retain.journal.disk.interface import LOCK_FILE
from retain.journal.segments.files import check_folder, find_segments

BEGINS: Final = frozenset({"tenant add", "user add"})
"""Actions that create a missing data folder, for the set-up before the first start, if `--data` or the
configuration names it: the default folder depends on the present one, which may be the wrong one. For every
other action, a folder without a journal counts as mistyped.
"""

DEFAULT: Final = StorageConfig().data

_SILENT: Final = (
    ", which does not answer on its control socket; if it is a server that is still starting, run the "
    "command again when it listens"
)


def run_alone(
    folder: Path, config: Config, name: str, arguments: Mapping[str, Any], *, is_named: bool = False
) -> Any:
    """Open the data folder in this process and run the action. See `retain.api.cli.run.run_action`.

    `is_named`: `--data` names the folder.
    """
    if config.cluster.log is not None:
        raise Stopped(
            f"{config.storage.data} belongs to a node of a cluster, and its server does not run; start it "
            "with `retain serve`, or run the command on another node",
            FAILED,
        )
    refuse_as_root(config.storage.data)
    begins = name in BEGINS and (is_named or config.storage.data != DEFAULT)
    is_new = begins and not folder.exists()
    with failures_of(config.storage.data, in_use=_SILENT):
        if not begins:
            _check_there(config.storage.data, may_begin=name in BEGINS)
        with waiting("Opening the data folder"):
            done = trio.run(_run, folder, config, name, arguments)
    if is_new:
        note = "a server that stores elsewhere does not see this; name its folder with --data"
        click.echo(f"Created the data folder {folder}: {note}.", err=True)
    return done


async def _run(folder: Path, config: Config, name: str, arguments: Mapping[str, Any]) -> Any:
    async with open_engine(folder, options=engine_options(config)) as engine:
        administration = await Administration.open(engine, config)
        return await administration.actions()[name](**arguments)


def _check_there(data: str, *, may_begin: bool) -> None:
    """Refuse a data folder that does not exist, without creating it.

    `may_begin`: the action creates one if it is asked to. Raises `Stopped`, ForeignFolder, Locked.
    """
    way_out = f"; to begin a new one here, add `--data {data}`" if may_begin else ""
    try:
        disk = journal.RealDisk(data, create=False)
        if disk.exists(MANIFEST_FILE):
            raise Stopped(no_journal(data, disk), WRONG)
        check_folder(disk)
        found = find_segments(disk)[0]
    except OSError as error:
        raise Stopped(unusable(data, error) + way_out, WRONG) from None
    if found:
        return
    if disk.exists(LOCK_FILE):  # another process may be creating the journal
        disk.lock()
        disk.unlock()
    raise Stopped(no_journal(data, disk) + way_out, WRONG)
