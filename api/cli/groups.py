"""A group of commands whose help lists them with whole sentences."""

from __future__ import annotations

from typing import Final

import click

WHOLE: Final = 10_000
"""Characters of a summary: no first sentence is longer, so none is cut off."""


class Section(click.Group):
    """Commands under one word, such as `retain backup`."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list in the help."""
        rows = []
        for name in self.list_commands(ctx):
            found = self.get_command(ctx, name)
            if found is not None and not found.hidden:
                rows.append((name, found.get_short_help_str(WHOLE)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
