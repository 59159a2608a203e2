"""`retain serve`: start the server, after quick checks that need none of the server's modules."""

from __future__ import annotations

import os
from pathlib import Path

import click

from retain.api.cli.exits import IN_USE_HINT
from retain.api.cli.main import IN_USE, WRONG, Stopped, config_option, configuration_path
from retain.api.cli.options import configured
from retain.api.cli.ownership import refuse_as_root
from retain.api.config.load import exposed_secrets
from retain.api.importing import importing
from retain.api.web import logs


@click.command(name="serve")
@config_option
@click.option(
    "--bind", metavar="HOST:PORT", help="Listen here instead of server.bind; port 0 takes any free one."
)
@click.option("--data", metavar="FOLDER", help="Store here instead of storage.data.")
@click.option("--workers", metavar="N", type=int, help="Answer with N processes instead of server.workers.")
def command(config_path: Path | None, bind: str | None, data: str | None, workers: int | None) -> None:
    """Start the server; it runs until SIGTERM or Ctrl-C and then finishes the requests in flight.

    Without a configuration it listens on 127.0.0.1:8080 and stores in ./retain-data.
    """
    config = configured(config_path, data=data, bind=bind, workers=workers)
    logs.configure(config.log)
    if (warning := exposed_secrets(configuration_path(config_path), config)) is not None:
        click.echo(f"Warning: {warning}", err=True)
    os.umask(0o077)
    refuse_as_root(config.storage.data)
    refuse_if_in_use(config.storage.data)
    with importing():
        from retain.api.cli.assemble import run  # takes most of a second
    run(config)


def refuse_if_in_use(data: str) -> None:
    """Raise `Stopped` if another process is using the data folder, or if it is no data folder.

    So a supervisor that restarts a second server again and again gets its answer early. The binding lock is
    taken when the folder is opened.
    """
    with importing():
        from retain import journal
        from retain.journal.segments.files import check_folder
    try:
        disk = journal.RealDisk(data, create=False)
        check_folder(disk)
        disk.lock()
        disk.unlock()
    except journal.Locked as error:
        raise Stopped(f"{data} is in use by process {error.pid or 'unknown'}{IN_USE_HINT}", IN_USE) from None
    except journal.ForeignFolder as error:
        raise Stopped(f"{data} cannot be used as the data folder: {error}", WRONG) from None
    except OSError:
        return  # it does not exist yet, or cannot be used: opening it reports the reason
