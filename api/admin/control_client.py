"""Asking a running server to do something, over its control socket (`api.control`).

Without Trio and the engine: beside a server, a command takes no longer than its answer.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

NAME: Final = "control"
"""The socket, in the data folder."""
SECONDS: Final = 60.0
"""How long asking, acting and answering may each take."""
PATIENT: Final = frozenset({"erase", "erase due", "backup create"})
"""Acts that take as long as there is data; whoever asks for them waits."""


class Unreachable(Exception):
    """No server answers on the control socket of that data folder."""


class ActRefused(Exception):
    """The server refused the act.

    Attributes:
        message: One sentence.
        reason: A short stable word, or empty.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


def ask(folder: Path, act: str, /, **arguments: Any) -> Any:
    """Has the server that runs on ``folder`` do something, and answers its result. Blocking.

    Raises:
        Unreachable: None runs there, or it went away.
        ActRefused: It refused.
    """
    request = json.dumps({"act": act, "arguments": arguments}, ensure_ascii=False).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(None if act in PATIENT else SECONDS)
            stream.connect(str(folder / NAME))
            stream.sendall(request)
            answer = json.loads(b"".join(iter(lambda: stream.recv(65536), b"")))
    except (OSError, ValueError) as error:
        raise Unreachable(str(folder)) from error
    if "refused" in answer:
        raise ActRefused(answer["refused"]["message"], answer["refused"]["reason"])
    return answer["result"]
