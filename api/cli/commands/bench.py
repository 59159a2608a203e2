"""`retain bench`: measure this version on this machine. The commands come with `retain[bench]`."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from retain.api.cli.main import WRONG, Stopped

_IMPLEMENTATION: Final = "retain.bench.command"


class _Bench(click.Group):
    """The group of `bench/command.py`, imported when it is used: the server never needs it."""

    def _group(self) -> click.Group:
        try:
            group: click.Group = import_module(_IMPLEMENTATION).main
        except ModuleNotFoundError as error:
            raise Stopped(
                f"`retain bench` needs {error.name}; install it with: pip install 'retain[bench]'", WRONG
            ) from None
        return group

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        return self._group().get_command(ctx, cmd_name)


@click.command(cls=_Bench, name="bench")
def command() -> None:
    """Measure this version on this machine, alone or beside other servers."""
