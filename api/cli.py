"""The command line. Each command is a module ``api/cli_<name>.py`` with a `command`; dropping one in adds it.

Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 the data folder is in use; 4 the journal is
damaged. Commands are imported when they are called, so that help and completion stay quick.
"""

from __future__ import annotations

import gc
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Final

import click

import api

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
IN_USE: Final = 3
DAMAGED: Final = 4

_PREFIX = "cli_"


class Stopped(click.ClickException):
    """Ends a command with a reason for people and an exit code for machines."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class Commands(click.Group):
    """Finds the commands among the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, from the modules' names."""
        names = (module.name for module in pkgutil.iter_modules(api.__path__))
        return sorted(name.removeprefix(_PREFIX) for name in names if name.startswith(_PREFIX))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        collecting = gc.isenabled()
        gc.disable()  # Importing only ever adds; walking all of it again and again takes a tenth of the time.
        try:
            command: click.Command = import_module(f"api.{_PREFIX}{cmd_name}").command
        finally:
            if collecting:
                gc.enable()
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="retain", message="retain %(version)s")
def main() -> None:
    """Keep customer data exactly as long as it may be kept, show who did what to it, and forget it provably.

    Start a server with `retain serve`; it listens on this machine only and stores in ./retain-data.
    """


#: The option every command that needs the configuration shares.
config_option = click.option(
    "--config",
    "-c",
    "config_path",
    envvar="RETAIN_CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file. Default: ./retain.toml if there is one.",
)


def configuration_path(given: Path | None) -> Path | None:
    """The file to read: the given one, else ./retain.toml if it is there, else none."""
    default = Path("retain.toml")
    return given if given is not None else default if default.exists() else None


if __name__ == "__main__":
    main()
