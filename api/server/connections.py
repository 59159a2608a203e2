"""One guarded stream a connection, and the watch over all of them.

Hypercorn bounds the memory of one connection, but hardly how long a slow or silent peer may hold the
connection itself. Here a single task checks every connection a few times a second and closes the socket of
each that is past a limit: no task and no timer a request. Closing the socket is the only thing that also ends
a write that Hypercorn has shielded from cancellation. (Stream and phases: `api.server.stream`.)

New connections are admitted by these rules. While the server is full, no connection is accepted until one
makes room. An address (of IPv6, its /64 network) that is at its own limit makes room among its own
connections. If all of them are at work, the new one waits `PLACE_WAIT_S` and is then refused with a response.
To make room, the longest idle connection is closed first, then one whose request head does not arrive, then
one whose response is not read. Loopback and trusted proxies represent many clients and are not counted.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import TypeAlias

import trio

from retain.api.config.load import ServerConfig
from retain.api.server.stream import LINGER_S, GuardedStream, Phase
from retain.api.server.turns import Turns

PRESSED_HEAD_S = 1.0
"""Seconds for a request's head while others wait for a connection: idle peers must not occupy the last ones.
"""
PRESSED_WRITE_S = 2.0
"""Seconds without progress after which a connection with an unread answer may be closed to make room."""

PLACE_WAIT_S = 1.0
"""Seconds for which a connection beyond its address's limit waits for another one to become idle, and the
number of connections that may wait. Further ones are closed at once: each costs a descriptor.
"""
WAITING_MAX = 64

UNCOUNTED = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
"""Addresses that represent many clients: programs on this machine, and what they forward."""

OnCut: TypeAlias = Callable[[str], None]


class Connections:
    """All open connections: which are admitted, and which are cut.

    `on_cut` is called with the reason of each cut and refusal: header-timeout, idle, write-timeout, linger,
    evicted, peer.
    """

    def __init__(self, config: ServerConfig, capacity: int, on_cut: OnCut) -> None:
        assert capacity > 0
        self.capacity = capacity
        # If descriptors are short, an address keeps the same share of the connections.
        share = config.connections_per_peer * capacity // config.max_connections
        self.per_peer = max(1, min(config.connections_per_peer, share))
        self._config = config
        self._on_cut = on_cut
        self._open: set[GuardedStream] = set()
        self._places: defaultdict[str, set[GuardedStream]] = defaultdict(set)
        self._uncounted = (*UNCOUNTED, *(ip_network(entry) for entry in config.trusted_proxies))
        self._waiting: defaultdict[str, deque[trio.Event]] = defaultdict(deque)
        self._waiting_count = 0
        self._fruitless: set[str] = set()
        self._freed = trio.Event()
        self.turns = Turns()
        self._wanted = False
        self._limits = {
            Phase.HEAD: (config.header_timeout, "header-timeout"),
            Phase.IDLE: (config.keep_alive_timeout, "idle"),
            Phase.CLOSING: (LINGER_S, "linger"),
        }

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_full(self) -> bool:
        """Whether one more connection has to wait."""
        return len(self._open) >= self.capacity

    async def wait_for_room(self) -> None:
        """Return when one more connection may be accepted; meanwhile others make room."""
        while self.is_full:
            self._wanted = True
            if not self._make_room("", self._open):
                await self._freed.wait()
        self._wanted = False

    def _make_room(self, where: str, among: Iterable[GuardedStream]) -> bool:
        """Cut the least useful connection, if any may be cut.

        If none may, the next search waits until one becomes idle or the watch has run: in a flood, not every
        connection may cost a walk over all of them.
        """
        if where in self._fruitless:
            return False
        spare = _spare(among, trio.current_time())
        if spare is None:
            self._fruitless.add(where)
            return False
        self._cut(spare, "evicted")
        return True

    def admit(self, stream: trio.SocketStream) -> GuardedStream | None:
        """Guard an accepted connection; None if its peer has disconnected, or too many wait already.

        Its handler begins with `wait_for_place`.
        """
        try:
            peer: str = stream.socket.getpeername()[0]
        except OSError:
            return None
        guarded = GuardedStream(stream, peer)
        if self._has_place(guarded):
            self._places[guarded.place].add(guarded)
        elif self._waiting_count < WAITING_MAX:
            guarded.waits_for_place = True
            self._waiting_count += 1
        else:
            self._on_cut("peer")
            return None
        self._open.add(guarded)
        return guarded

    async def wait_for_place(self, stream: GuardedStream) -> bool:
        """Return whether the connection is within its address's limit, after waiting for that a moment."""
        if not stream.waits_for_place:
            return True
        try:
            with trio.move_on_after(PLACE_WAIT_S):
                while not self._has_place(stream):
                    await self._turn(stream.place)
                self._places[stream.place].add(stream)
                return True
        finally:
            self._waiting_count -= 1
            stream.waits_for_place = False
        self._on_cut("peer")
        return False

    async def _turn(self, place: str) -> None:
        freed = trio.Event()
        waiting = self._waiting[place]
        waiting.append(freed)
        try:
            await freed.wait()
        except trio.Cancelled:
            if freed in waiting:
                waiting.remove(freed)
            elif waiting:  # it was given its turn meanwhile
                waiting.popleft().set()
            raise
        finally:
            if not self._waiting.get(place):
                self._waiting.pop(place, None)

    def _has_place(self, stream: GuardedStream) -> bool:
        held = self._places.get(stream.place, ())
        if len(held) < self.per_peer or self._is_uncounted(stream.peer):
            return True
        return self._make_room(stream.place, held)

    def _is_uncounted(self, peer: str) -> bool:
        return any(ip_address(peer) in network for network in self._uncounted)

    def forget(self, stream: GuardedStream) -> None:
        """Forget a connection that has ended. May be called twice."""
        self._open.discard(stream)
        held = self._places.get(stream.place)
        if held is not None and stream in held:
            held.remove(stream)
            if not held:
                del self._places[stream.place]
            if waiting := self._waiting.get(stream.place):
                waiting.popleft().set()
        self._free()

    def _free(self) -> None:
        freed, self._freed = self._freed, trio.Event()
        freed.set()

    def fell_idle(self, stream: GuardedStream) -> None:
        """Note that the connection has answered all its requests; close it if another waits for its place."""
        if self._fruitless:
            self._fruitless -= {"", stream.place}
        if (self._wanted or self._waiting.get(stream.place)) and not stream.has_unread():
            self._cut(stream, "evicted")

    async def watch(self) -> None:
        """Cut every connection that is past a limit; runs until cancelled."""
        shortest = min(self._config.write_timeout, *(limit for limit, _ in self._limits.values()))
        pause = min(1.0, max(0.02, shortest / 4))
        while True:
            await trio.sleep(pause)
            self.check(trio.current_time())

    def check(self, now: float) -> None:
        """Check all connections once, at the time `now` (trio's clock)."""
        write_timeout = self._config.write_timeout
        for stream in list(self._open):
            limit, reason = self._limits.get(stream.phase, (math.inf, ""))
            if now - stream.stuck_since > write_timeout:
                self._cut(stream, "write-timeout")
            elif now - stream.since > limit:
                self._cut(stream, reason)
        self._fruitless.clear()
        if self._wanted:
            self._free()
        for waiting in self._waiting.values():
            if waiting:
                waiting[0].set()

    async def close_unused(self) -> None:
        """Close connections without a request in hand, because the server stops. Called again and again.

        HTTP/2 ends by its own rules (GOAWAY), so a handshake has a moment to end: a client that has sent its
        part already would take the cut for a broken answer. What has arrived is read first.
        """
        now = trio.current_time()
        for stream in list(self._open):
            if stream.retire is not None:
                await stream.retire()
            elif stream.phase not in (Phase.HEAD, Phase.IDLE) or stream.has_unread():
                continue
            elif not stream.shakes_hands or now - stream.since > PRESSED_HEAD_S:
                stream.cut()

    def cut_all(self) -> None:
        """Cut all connections: the time for requests in flight is over."""
        for stream in list(self._open):
            stream.cut()

    def _cut(self, stream: GuardedStream, reason: str) -> None:
        self._on_cut(reason)
        stream.cut()
        self.forget(stream)


def _spare(among: Iterable[GuardedStream], now: float) -> GuardedStream | None:
    """Return the least useful connection; None if all of them are busy."""
    idle: list[GuardedStream] = []
    late: list[GuardedStream] = []
    stuck: list[GuardedStream] = []
    for stream in among:
        if stream.phase is Phase.IDLE:
            idle.append(stream)
        elif stream.phase is Phase.HEAD and now - stream.since > PRESSED_HEAD_S:
            late.append(stream)
        elif now - stream.not_read_since > PRESSED_WRITE_S:
            stuck.append(stream)
    for stream in sorted(idle, key=lambda stream: stream.since):
        # A request that has arrived is answered, not cut off.
        if not stream.has_unread():
            return stream
    if late:
        return min(late, key=lambda stream: stream.since)
    return min(stuck, key=lambda stream: stream.not_read_since, default=None)


class GuardedListener(trio.abc.Listener[GuardedStream]):
    """Accepts only while there is room, and refuses peers that hold too many connections."""

    def __init__(self, listener: trio.SocketListener, connections: Connections) -> None:
        self.socket = listener.socket
        self._listener = listener
        self._connections = connections

    async def accept(self) -> GuardedStream:
        """Return the next connection. Raises OSError as accept(2) does."""
        while True:
            if self._connections.is_full:
                # No connection is closed to make room before a new one arrives.
                await trio.lowlevel.wait_readable(self.socket)
                await self._connections.wait_for_room()
            stream = await self._listener.accept()
            guarded = self._connections.admit(stream)
            if guarded is not None:
                return guarded
            await trio.aclose_forcefully(stream)

    async def aclose(self) -> None:
        """Stop listening."""
        await self._listener.aclose()
