"""A supervisor like systemd: it receives a service's notifications, and opens its sockets."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager

WAIT_S = 60


class Notifications:
    """Receives a service's notifications. `place` is the value of `NOTIFY_SOCKET`."""

    def __init__(self, name: str) -> None:
        self.place = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self._socket.settimeout(WAIT_S)

    def next(self) -> dict[str, str]:
        """The assignments of the next message."""
        text = self._socket.recv(65536).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def until(self, name: str) -> dict[str, str]:
        """The first message with this name in it."""
        while name not in (found := self.next()):
            pass
        return found

    def close(self) -> None:
        self._socket.close()


@contextmanager
def notifications(place: str | None = None) -> Iterator[Notifications]:
    """A socket for notifications, by default in the abstract namespace."""
    found = Notifications(place or f"@retain-test-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield found
    finally:
        found.close()
