"""`python -m retain.bench`: lists the scenarios; `python -m retain.bench NAME [--option …]` runs one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from retain.bench import scenarios


class Scenarios(click.Group):
    """One command a file of `bench/scenarios`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names as on the command line."""
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(scenarios.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the scenario and return its command."""
        name = cmd_name.replace("-", "_")
        if name not in {module.name for module in pkgutil.iter_modules(scenarios.__path__)}:
            return None
        command: click.Command = importlib.import_module(f"retain.bench.scenarios.{name}").main
        return command


@click.command(cls=Scenarios, help=__doc__)
def main() -> None:
    """Run one scenario: print its table and write JSON to `bench/results`."""


if __name__ == "__main__":
    sys.exit(main())
