"""Write a command's output, to standard output or to a file that the operator names.

If output cannot be written, the command ends with one line and an exit code that means nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from retain.api.cli.exits import OUTPUT, Stopped
from retain.journal import NoSpace
from retain.journal.disk.real import write_file

STANDARD: Final = "-"
"""The name of standard output."""

output_option = click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=STANDARD,
    help="Write to this file, readable by you alone, instead of standard output.",
)


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Raise `Stopped` if the block, which writes to `place`, fails to write."""
    try:
        yield
    except NoSpace as error:
        raise Stopped(f"{place} cannot be written: {error}", OUTPUT) from None
    except OSError as error:
        raise Stopped(f"{place} cannot be written: {error.strerror or error}", OUTPUT) from None


def write_output(output: Path, data: bytes) -> None:
    """Write to a file, which is unchanged if that fails, or to standard output. Raises `Stopped`."""
    if str(output) == STANDARD:
        click.echo(data, nl=False)
        return
    with writing(output):
        write_file(output, data)
