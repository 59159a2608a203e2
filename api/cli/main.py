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
    "audit": "Show who did what, verify the journal, and see past states.",
    "backup": "Back up the data folder, and restore it without data erased since.",
    "bench": "Measure this version on this machine, alone or beside other servers.",
    "clock": "Show how the server sees the machine's clock, and accept it after a check.",
    "completion": "Print the completion script for bash, zsh or fish.",
    "doctor": "Check configuration, permissions, clock, limits, disk, proxy and journal, and give advice.",
    "erase": "Erase everything stored about a person, a tenant or individual resources.",
    "export": "Export everything stored about a person, a tenant or individual resources.",
    "hold": "Put data under legal hold, so that it neither expires nor is erased.",
    "init": "Write a commented configuration file.",
    "journal": "Inspect the journal, and repair a damaged one.",
    "node": "Begin a cluster of several machines, list its nodes, and forget one.",
    "notifications": "Show webhooks, and send again or discard what they did not accept.",
    "serve": "Start the server; it runs until SIGTERM or Ctrl-C.",
    "settings": "List, export and import applications of the settings interface.",
    "status": "Show whether a server runs, what it stores, and whether expiry and erasure keep up.",
    "tenant": "Manage tenants of the blobs interface: accounts, keys and containers.",
    "token": "Create, list and revoke access tokens of a tenant.",
    "user": "Manage users who can log in, and hash passwords.",
}
"""One line per command. They are repeated here because importing all commands takes most of a second."""


class Commands(click.Group):
    """The commands of `SUMMARIES`, each imported when it is used."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command. Report unwritable output and unexpected system errors in one line."""
        with checked_output():
            try:
                return super().main(*args, **extra)
            except OSError as error:
                reason = error.strerror or str(error)
                click.echo(f"Error: {error.filename or 'the system'}: {reason}", err=True)
                sys.exit(FAILED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return sorted(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name and return it."""
        if cmd_name not in SUMMARIES:
            return None
        with importing():
            command: click.Command = import_module(f"retain.api.cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that start with `incomplete`."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=SUMMARIES[name]) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="retain", message="retain %(version)s")
def main() -> None:
    """Store customer data for exactly as long as allowed, show who changed it, and prove its erasure.

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
    """Add `--config` and `--data` to a command that works on a data folder."""
    data = click.option("--data", metavar="FOLDER", help="The data folder, instead of storage.data.")
    return config_option(data(function))


def configuration_path(given: Path | None) -> Path | None:
    """Return the file to read: the given one, else ./retain.toml if it exists, else None.

    Raises:
        ConfigError: Whether ./retain.toml exists is not visible, as after `runuser` in root's own folder.

    """
    if given is not None:
        return given
    default = Path("retain.toml")
    try:
        default.stat()
    except FileNotFoundError:
        return None
    except PermissionError:
        from retain.api.config.fields import ConfigError  # completion does without

        reason = "this user may not look into the current folder; change to another, or give --config FILE"
        raise ConfigError(f"./{default}", "", reason) from None
    return default


if __name__ == "__main__":
    main()
