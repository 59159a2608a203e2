"""A way to a server that can be cut: a TCP port that carries everything to a socket."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

LIMIT_S = 60.0


class Relay:
    """Listens on a port of loopback, `port`, until it is closed.

    Args:
        target: The path of a UNIX socket, or (host, port).

    """

    def __init__(self, target: str | tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._cut = False
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._accepting.join(LIMIT_S)
        for thread in self._threads:  # each closes a socket, which this process must not end without
            thread.join(LIMIT_S)

    def cut(self) -> None:
        """Let nothing through: what is open breaks."""
        self._cut = True
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let new connections through."""
        self._cut = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = self._dialled()
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            if self._cut:  # it was cut meanwhile
                self.cut()
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(one, other), daemon=True)
                self._threads = [before for before in self._threads if before.is_alive()] + [thread]
                thread.start()

    def _dialled(self) -> socket.socket:
        if self._cut:
            raise ConnectionRefusedError
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target)
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self._target)
        except OSError:
            far.close()
            raise
        return far

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.discard(one)
        one.close()
