"""Refuse to write as root into a data folder that belongs to another user.

Root may write everywhere, so nothing would stop it; but the server, which runs as that user, could not read
the files that root leaves there, and would not start again.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from retain.api.cli.exits import WRONG, Stopped
from retain.journal.disk.probe import access_of


def refuse_as_root(data: str) -> None:
    """Raise `Stopped` if this process is root and `data` exists and belongs to another user.

    Call it before the folder is opened for writing. Commands that only read do not need it.
    """
    if os.geteuid() != 0:
        return
    try:
        found = access_of(Path(data))
    except OSError:
        return  # it cannot be used: opening it reports the reason
    if found is None or found.owner == 0:
        return
    owner = found.owner
    try:
        name = pwd.getpwuid(owner).pw_name
        run = f"runuser -u {name} -- …"
    except KeyError:
        name = str(owner)
        run = f"setpriv --reuid {owner} --clear-groups …"
    raise Stopped(
        f"{data} belongs to user {name}, and root would leave files there that {name} cannot read; "
        f"run the command as that user: {run}",
        WRONG,
    )
