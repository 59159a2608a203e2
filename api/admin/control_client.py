"""Call actions of a running server over its control socket (`api.admin.control`).

Imports neither Trio nor the engine, so that a command beside a server starts fast.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

NAME: Final = "control"
"""The socket, in the data folder."""
SECONDS: Final = 60.0
"""Seconds that sending, acting and answering may each take."""
PATH_BYTES: Final = 107
"""Longest path of a Unix socket on Linux."""
DESCRIPTORS: Final = "/proc/self/fd"
"""Where Linux names what a process has opened."""
PATIENT: Final = frozenset({"erase", "erase due", "backup create", "lost list", "lost accept"})
"""Actions whose duration grows with the data: the client waits without a time limit."""


@contextmanager
def socket_path(folder: Path) -> Iterator[str]:
    """Yield a name for the socket of `folder` that is short enough to connect to.

    Where the path is too long, the name leads through the opened folder and is valid inside the block.

    Raises:
        OSError: The folder cannot be opened, or the system has no such names (`/proc`).
    """
    path = str(folder / NAME)
    if len(os.fsencode(path)) <= PATH_BYTES:
        yield path
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not os.path.exists(f"{DESCRIPTORS}/{opened}"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path)
        yield f"{DESCRIPTORS}/{opened}/{NAME}"
    finally:
        os.close(opened)


class Unreachable(Exception):
    """No server answers on the control socket of that data folder."""


class ActionRefused(Exception):
    """The server refused the action.

    Attributes:
        message: One sentence.
        reason: A short stable word, or empty.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


def ask(folder: Path, action: str, /, **arguments: Any) -> Any:
    """Call an action of the server that runs on `folder`, and return its result. Blocking.

    Raises:
        Unreachable: No server runs there, or it disconnected.
        ActionRefused: It refused.
    """
    request = json.dumps({"action": action, "arguments": arguments}, ensure_ascii=False).encode() + b"\n"
    try:
        with socket_path(folder) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(None if action in PATIENT else SECONDS)
            stream.connect(path)
            stream.sendall(request)
            answer = json.loads(b"".join(iter(lambda: stream.recv(65536), b"")))
    except (OSError, ValueError) as error:
        raise Unreachable(str(folder)) from error
    if "refused" in answer:
        raise ActionRefused(answer["refused"]["message"], answer["refused"]["reason"])
    return answer["result"]
