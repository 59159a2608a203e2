"""Write commands that the reader of a page or a message can paste into a shell."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

FIRST_USER: Final = "user add operator --role Administrator"
"""The first command that a new server needs, without the program's name."""


def command_line(arguments: str, data: str, *, executable: str = sys.executable) -> str:
    """Return a line for a shell that runs this installation's `retain` on this server's data.

    The command is `retain` if the search path leads to it, otherwise its path: a checkout's is
    `.venv/bin/retain`, a service's for example `/opt/retain/bin/retain`.

    Args:
        arguments: What follows the command, such as `user add operator`.
        data: The data folder as configured. An absolute one is named, because a shell may have another
            configuration or environment; a relative one means the folder that the server was started in.
        executable: The Python interpreter, beside which the command is installed.
    """
    own = Path(executable).with_name("retain")
    found = shutil.which("retain")
    if found is not None and Path(found).resolve() == own.resolve():
        name = "retain"
    elif own.parents[2] == Path.cwd():  # an environment in this folder
        name = str(own.relative_to(Path.cwd()))
    else:
        name = str(own)
    named = f" --data {shlex.quote(data)}" if Path(data).is_absolute() else ""
    return f"{shlex.quote(name)} {arguments}{named}"
