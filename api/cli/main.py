"""The command line. Each command is a module `api/cli/commands/<name>.py`, named in `SUMMARIES`.

Exit codes are in `exits`. A command is imported when it is called; the list of them and completion import
none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from retain.api.cli.exits import DAMAGED, DONE, FAILED, IN_USE, OUTPUT, WRONG, Stopped
from retain.api.cli.streams import checked_output
from retain.api.importing import importing

__all__ = [
    "DAMAGED",
    "DONE",
    "FAILED",
    "IN_USE",
    "OUTPUT",
    "SUMMARIES",
    "WRONG",
    "Commands",
    "Stopped",
    "config_option",
    "configuration_path",
    "data_options",
    "main",
]

Function = TypeVar("Function", bound=Callable[..., Any])

SUMMARIES: Final[Mapping[str, str]] = {
    "audit": "Who did what, is all of it there, what was held when.",
    "backup": "Back up the data folder, restore it without what was erased since.",
    "clock": "The machine's clock: what the server makes of it, accepting it after a look.",
    "completion": "Print the completion script for bash, zsh or fish.",
    "doctor": "Check configuration, permissions, clock, limits, disk, proxy, journal; say what to do.",
    "erase": "Erase what is kept about a person, a tenant, or in single resources.",
    "export": "Write down everything that is kept about a person, a tenant, or of single resources.",
    "hold": "Legal holds: what is held is neither erased nor ended by its deadline.",
    "init": "Write a commented configuration file.",
    "journal": "Look into the journal; mend a damaged one, deliberately.",
    "serve": "Start the server; it runs until SIGTERM or Ctrl-C.",
    "settings": "Applications of the settings interface: what there is, export, import.",
    "status": "Show whether a server runs, since when, what it holds and how far it is behind.",
    "tenant": "Tenants of the blob interface: accounts, their two keys, their containers.",
    "token": "Tokens that open a tenant's containers until they expire.",
    "user": "Hash the password of a user of the interfaces.",
}
"""What there is, in a line each; said here, because importing all commands takes most of a second."""


class Commands(click.Group):
    """The commands of `SUMMARIES`, each imported when it is asked for."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command. Output that cannot be written, and an error that no command expects, is one line."""
        with checked_output():
            try:
                return super().main(*args, **extra)
            except OSError as error:
                reason = error.strerror or str(error)
                click.echo(f"Error: {error.filename or 'the system'}: {reason}", err=True)
                sys.exit(FAILED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        return sorted(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in SUMMARIES:
            return None
        with importing():
            command: click.Command = import_module(f"retain.api.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin like this."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=SUMMARIES[name]) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="retain", message="retain %(version)s")
def main() -> None:
    """Keep customer data exactly as long as it may be kept, show who did what to it, and forget it provably.

    Start a server with `retain serve`; it listens on this machine only and stores in ./retain-data.
    """


config_option = click.option(
    "--config",
    "-c",
    "config_path",
    envvar="RETAIN_CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file. Default: ./retain.toml if there is one.",
)
"""The option every command that needs the configuration shares."""


def data_options(function: Function) -> Function:
    """`--config` and `--data`, for a command that works on a data folder."""
    data = click.option("--data", metavar="FOLDER", help="The data folder, instead of storage.data.")
    return config_option(data(function))


def configuration_path(given: Path | None) -> Path | None:
    """The file to read: the given one, else ./retain.toml if it is there, else none."""
    default = Path("retain.toml")
    return given if given is not None else default if default.exists() else None


if __name__ == "__main__":
    main()
