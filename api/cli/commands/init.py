"""`retain init`: write a configuration file that explains every key and sets none."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from retain.api.cli.main import FAILED, Stopped
from retain.api.cli.output import writing
from retain.api.config.document import commented_file
from retain.journal.disk.real import write_file


@click.command(name="init")
@click.argument("path", default="retain.toml", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(path: Path, force: bool) -> None:
    """Write a commented configuration file to PATH (retain.toml; - for standard output).

    Every key is optional and commented out at its default. `retain serve` reads ./retain.toml.
    """
    if str(path) == "-":
        click.echo(commented_file(), nl=False)
        return
    with writing(path):
        try:
            write_file(path, commented_file().encode(), replace=force)
        except FileExistsError:
            raise Stopped(f"{path} already exists; --force overwrites it", FAILED) from None
    click.echo(f"Wrote {path}. Start with: {Path(sys.argv[0]).name} serve --config {path}", err=True)
