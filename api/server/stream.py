"""The stream of one connection, with its phase, and what the watch over connections must know of it.

A connection is, at any time, in one phase:

    HEAD     bytes of a request's head are awaited or came in part; at most `header_timeout`
    BUSY     a request is being handled; its body's rate is watched where it is read (`api.http.body`)
    IDLE     kept alive between two requests; at most `keep_alive_timeout`, less when room is needed
    CLOSING  our side is closed, the peer's last bytes are thrown away; at most `LINGER_S`

In every phase, a write that makes no progress for `write_timeout` is also cut.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import select
import socket
import sys
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum

import trio

from retain.api.http.addresses import counted_address
from retain.api.server.turns import Turns

LINGER_S = 2.0
"""How long, and how much, a peer may continue to send after the answer was sent and the connection closed.
Closing at once would make the kernel reset the connection, and the answer would be lost with it."""
LINGER_BYTES = 4 << 20

SEND_AHEAD_BYTES = 1 << 20
"""Bytes of an answer that the kernel may buffer beyond the peer's window: a mebibyte is passed in one call,
and the next is prepared while it is sent. (With Trio's 16 KiB, the server waits for the peer in between.)
"""

_PEER_CLOSED = frozenset({7, 8, 9})  # CLOSE, CLOSE_WAIT, LAST_ACK: Linux, net/tcp_states.h


class Phase(Enum):
    """See the module's docstring."""

    HEAD = "head"
    BUSY = "busy"
    IDLE = "idle"
    CLOSING = "closing"


class GuardedStream(trio.abc.HalfCloseableStream):
    """A TCP stream with its phase, the phase's start, and the time since which a write makes no progress."""

    def __init__(self, stream: trio.SocketStream, peer: str) -> None:
        self.socket = stream.socket
        self.peer = peer
        self.phase = Phase.HEAD
        self.since = trio.current_time()
        self.stuck_since = math.inf
        self.unread_since = math.inf
        """Time since which answers wait for the peer's window without progress (HTTP/2)."""
        self.multiplexed = False
        self.retire: Callable[[], Awaitable[None]] | None = None
        """Ends the connection as its protocol wants it, once its requests are answered (HTTP/2)."""
        self.received_end = False
        self.place = counted_address(peer)
        self.waits_for_place = False
        self._reading = False
        self._more_waits = False
        self.turns: Turns | None = None
        self.shakes_hands = False
        """Whether each received piece takes a turn: it is one of a TLS handshake."""
        self._lingered = 0

    def enter(self, phase: Phase) -> None:
        """Change the phase, unless the connection is closing already."""
        if self.phase is not Phase.CLOSING:
            self.phase = phase
            self.since = trio.current_time()

    def send_ahead(self) -> None:
        """Let the kernel take `SEND_AHEAD_BYTES`, unless several responses share the connection.

        Otherwise a small response would wait behind the buffered bytes of a large one.
        """
        # Neither every system (tcp(7)) nor every Python has this option.
        with suppress(AttributeError, OSError):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SEND_AHEAD_BYTES)

    async def take_turn(self) -> None:
        """Let others run; where connections take turns, return when it is this one's."""
        if self.turns is None:
            await trio.lowlevel.checkpoint()
        else:
            await self.turns.take(self.place)

    @property
    def not_read_since(self) -> float:
        """Since when the peer has read nothing of what is there for it."""
        return min(self.stuck_since, self.unread_since)

    def has_unread(self) -> bool:
        """Return whether the kernel has unread bytes of the peer, or its end of stream."""
        waiting = select.poll()
        try:
            waiting.register(self.socket.fileno(), select.POLLIN)
        except ValueError:  # closed already
            return False
        return bool(waiting.poll(0))

    def last_bytes(self) -> int | None:
        """Return how many bytes wait in the kernel if the peer has closed its side, else None."""
        try:
            if self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in _PEER_CLOSED:
                return None
            return int.from_bytes(
                fcntl.ioctl(self.socket.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder
            )
        except (AttributeError, OSError, ValueError):  # TCP_INFO is missing, or the socket is closed here
            return None

    def cut(self) -> None:
        """Close the socket now: every wait on it ends with ClosedResourceError."""
        self.phase = Phase.CLOSING
        self.socket.close()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive as Trio does; once the connection is closing, discard what arrives until its end."""
        if self._reading:
            raise trio.ClosedResourceError("the connection is being closed here")
        self._reading = True
        try:
            data = await self._receive(max_bytes or 65536)
            if self.shakes_hands:
                await self.take_turn()
            if self.phase is Phase.CLOSING:
                await self._discard(len(data))
                self.socket.close()
                raise trio.ClosedResourceError("the connection was closed here")
        finally:
            self._reading = False
        if self.phase is Phase.IDLE and data and not self.multiplexed:
            self.enter(Phase.HEAD)
        return data

    async def _receive(self, max_bytes: int) -> bytes:
        """Wait for bytes, then take them with one system call.

        Trying first, as trio's own `recv` does, fails nearly always between two requests. A read that filled
        its buffer has left more behind, so the next one tries first.
        """
        try:
            data = self._read(max_bytes) if self._more_waits else None
            while data is None:
                await trio.lowlevel.wait_readable(self._descriptor())
                data = self._read(max_bytes)
        except OSError as error:
            raise _translated(error) from error
        if self._more_waits:
            await trio.lowlevel.cancel_shielded_checkpoint()  # cancelled here, the bytes would be lost
        self._more_waits = len(data) == max_bytes
        self.received_end = not data
        return data

    def _descriptor(self) -> int:
        descriptor = self.socket.fileno()
        if descriptor < 0:
            raise trio.ClosedResourceError("this socket was already closed")
        return descriptor

    def _read(self, max_bytes: int) -> bytes | None:
        try:
            return os.read(self._descriptor(), max_bytes)
        except (BlockingIOError, InterruptedError):
            return None

    def send_now(self, data: bytes) -> int:
        """Hand as much of `data` to the kernel as it takes at once; return the number of bytes.

        Raises trio.BrokenResourceError, trio.ClosedResourceError.
        """
        try:
            return os.write(self._descriptor(), data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise _translated(error) from error

    async def _discard(self, count: int) -> None:
        while not self.received_end and self._lingered < LINGER_BYTES:
            self._lingered += count
            count = len(await self._receive(65536))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send as trio does, noting when the last byte was taken."""
        try:
            self.stuck_since = trio.current_time()
            sent = await self.socket.send(data)
            if sent < len(data):
                with memoryview(data) as view:
                    while sent < len(data):
                        self.stuck_since = trio.current_time()
                        sent += await self.socket.send(view[sent:])
        except OSError as error:
            raise _translated(error) from error
        finally:
            self.stuck_since = math.inf

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as trio does."""
        await self.socket.wait_writable()

    async def send_eof(self) -> None:
        """Close our side."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise _translated(error) from error
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close the sending side, let the peer read the answer, then close; the watch ends the wait."""
        try:
            if self.phase is not Phase.CLOSING:
                self.enter(Phase.CLOSING)
                await self.send_eof()
            if not self._reading:
                self._reading = True
                try:
                    await self._discard(0)
                finally:
                    self._reading = False
            # Else the reader, or another task that closes, discards the rest and closes.
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.socket.close()
        finally:
            if not self._reading:
                self.socket.close()
        await trio.lowlevel.checkpoint()


def _translated(error: OSError) -> Exception:
    if error.errno in (errno.EBADF, errno.ENOTSOCK):
        return trio.ClosedResourceError("this socket was already closed")
    return trio.BrokenResourceError(f"connection broken: {error}")
