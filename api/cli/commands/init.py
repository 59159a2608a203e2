"""``retain init``: a configuration file with every key explained, none of them set."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from retain.api.cli.main import FAILED, Stopped
from retain.api.config.document import commented_file


@click.command(name="init")
@click.argument("path", default="retain.toml", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def command(path: Path, force: bool) -> None:
    """Write a commented configuration file to PATH (retain.toml; - for standard output).

    Every key is optional and commented out at its default. `retain serve` reads ./retain.toml.
    """
    if str(path) == "-":
        click.echo(commented_file(), nl=False)
        return
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(commented_file())
        path.chmod(0o600)
    except FileExistsError:
        raise Stopped(f"{path} is there already; --force overwrites it", FAILED) from None
    except OSError as error:
        raise Stopped(f"{path}: {error.strerror}", FAILED) from None
    click.echo(f"Wrote {path}. Start with: {Path(sys.argv[0]).name} serve --config {path}", err=True)
