"""Exit codes of commands, which docs/operating.md explains, and the error that carries one."""

from __future__ import annotations

from typing import Final

import click

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
"""Wrong usage or configuration."""
IN_USE: Final = 3
"""Another process is using the data folder."""
IN_USE_HINT: Final = "; stop it, or name another folder with --data"
"""What an operator can do then; it follows the message."""
DAMAGED: Final = 4
"""The journal is damaged."""
OUTPUT: Final = 5
"""The output cannot be written."""

STEPPED_DOWN: Final = 75
"""This node of a cluster must be started again: another one leads, or the database does not answer."""


class Stopped(click.ClickException):
    """Ends a command with a reason for people and an exit code for machines."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]
