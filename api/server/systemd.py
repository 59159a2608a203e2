"""systemd: passed sockets, readiness and status notifications, the watchdog.

Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3). Other supervisors speak the same protocol.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

import trio

LOG = logging.getLogger("retain.serve")

FIRST_DESCRIPTOR: Final = 3
"""Passed descriptors begin here (SD_LISTEN_FDS_START)."""
PATIENCE_S: Final = 1.0
"""How long a message may wait for the supervisor to take it."""


class BadSocket(Exception):
    """A passed socket cannot be listened on."""


def passed_sockets(environ: MutableMapping[str, str], process: int) -> list[socket.socket]:
    """Return the listening sockets that the supervisor opened for this process; none without activation.

    The variables are removed: a child must not take the sockets for its own.

    Args:
        environ: The environment.
        process: The number of this process.

    Raises:
        BadSocket: A descriptor is no listening TCP socket.

    """
    count, owner = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or owner != str(process):
        return []
    found = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count)):
        try:
            passed = socket.socket(fileno=descriptor)
            is_listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise BadSocket(f"descriptor {descriptor} is not a socket: {error.strerror or error}") from None
        if passed.family not in (socket.AF_INET, socket.AF_INET6) or not is_listening:
            raise BadSocket(
                f"descriptor {descriptor} is not a listening TCP socket; use ListenStream=HOST:PORT"
            )
        passed.set_inheritable(False)
        found.append(passed)
    return found


class Supervisor:
    """Notifies the supervisor of the server's state. Does nothing if none asked for it.

    Args:
        environ: The environment.
        process: The number of this process.

    Attributes:
        watchdog_s: Seconds within which the supervisor wants a sign of life; None if it does not.
    """

    def __init__(self, environ: Mapping[str, str], process: int) -> None:
        place = environ.get("NOTIFY_SOCKET", "")
        # An `@` stands for the zero byte that abstract names begin with.
        self._place = "\0" + place[1:] if place.startswith("@") else place
        interval, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(process))
        asked = self._place and interval.isdecimal() and int(interval) > 0 and owner == str(process)
        self.watchdog_s = int(interval) / 1e6 if asked else None

    def notify(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` as one message. A failure is logged."""
        if not self._place:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.settimeout(PATIENCE_S)
                sending.sendto("\n".join(assignments).encode(), self._place)
        except OSError as error:
            LOG.warning("the supervisor cannot be notified", extra={"facts": {"errno": error.errno}})

    async def show_life(self) -> None:
        """Send signs of life from the event loop, at twice the rate that the supervisor asks for."""
        while self.watchdog_s is not None:
            self.notify("WATCHDOG=1")
            await trio.sleep(self.watchdog_s / 2)
