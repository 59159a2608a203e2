"""`retain bench`: measure this version on this machine."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_IMPLEMENTATION: Final = "retain.bench.command"


class _Bench(click.Group):
    """The group of `bench/command.py`, imported when it is used: the server never needs it."""

    def _group(self) -> click.Group:
        group: click.Group = import_module(_IMPLEMENTATION).main
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
