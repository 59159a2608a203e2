"""Bounds on the memory of one client's requests, and of all requests together, checked before it is used.

Two amounts are counted, each for the whole process and for each address (of IPv6, each /64 network):

- *intake*: bytes of request bodies that arrived and are not yet passed on;
- *answers*: answers in memory, from the request's head to the answer's last byte.

This module is independent of HTTP/1.1 and HTTP/2. The connection's code calls `Bounds.enter` for a `Share`
once a request's head has arrived, reports what arrives (`took`), waits where required (`room`), and closes
the share when the request's *task* ends, which may be later than its stream.

Beyond a bound, bodies wait unread. If nothing moves for `PATIENCE_S`, the slowest of those that use it up is
ended.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

import trio

from retain.api.http.addresses import Networks, counted_address, counted_networks, is_listed
from retain.api.http.errors import ClientGone, Overloaded

MEBIBYTE = 1 << 20

INTAKE_BYTES = 128 * MEBIBYTE
"""Bytes of request bodies in memory, of all requests and of one address."""
INTAKE_BYTES_PER_ADDRESS = 64 * MEBIBYTE
ANSWER_BYTES = 96 * MEBIBYTE
"""Bytes of answers in memory, likewise."""
ANSWER_BYTES_PER_ADDRESS = 48 * MEBIBYTE
ANSWER_GUESS = MEBIBYTE
"""Bytes that an answer counts as until its size is known."""
STREAM_BYTES = 32 * 1024
"""Bytes that a streamed answer counts as: one piece in memory, one being sent."""

STREAMS_PER_ADDRESS = 2000
"""Requests whose tasks have not ended, of one address, where several share a connection."""

PATIENCE_S = 2.0
"""How long bodies wait for room before the slowest is ended."""
SLOW_RATE = 65536
"""Bytes a second. A body that is streamed on at this rate or faster is not ended to make room for others. A
body that is collected in memory may itself wait for room, so it may be ended at any rate."""
BODY_PATIENCE_S = 30.0
"""Seconds for which a body may wait for room before its own request is refused."""
ANSWER_PATIENCE_S = 30.0
"""Seconds for which an answer may wait for other answers to be read before it is refused."""


RATE_WINDOW_S = 10.0
"""Seconds over which a client's actions are counted."""
RESETS_PER_ADDRESS = 400
"""Streams that all connections of one address may reset in that time."""
TINY_BYTES = 32
TINY_PIECES_PER_ADDRESS = 20_000
"""Pieces of bodies with fewer bytes than `TINY_BYTES` that all connections of one address may send in that
time at full speed: each costs as much work as a large one.
"""
RATES_MAX = 10_000
"""Addresses whose resets or tiny pieces are counted at once."""


def too_many_bodies() -> Overloaded:
    """Return the refusal of a request whose body finds no room."""
    return Overloaded("too many bodies are being received; try again")


class Rate:
    """Counts up to `limit` in each `RATE_WINDOW_S` seconds."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0
        self._since = trio.current_time()

    def exceeded(self) -> bool:
        """Count one; return whether that exceeds the limit."""
        now = trio.current_time()
        if now - self._since > RATE_WINDOW_S:
            self._count, self._since = 0, now
        self._count += 1
        return self._count > self._limit

    def allow(self, more: int) -> None:
        """Raise the limit by actions that were justified."""
        self._count = max(0, self._count - more)


class Pool:
    """A shared amount: at most `total` for all and `each` for one address, except those in `unbounded`."""

    def __init__(self, total: int, each: int, unbounded: Callable[[str], bool]) -> None:
        self.total = total
        self.each = each
        self.used = 0
        self._unbounded = unbounded
        self._by_place: dict[str, int] = {}
        self._waiting: dict[str, deque[trio.Event]] = {}

    def used_by(self, place: str) -> int:
        """Return the bytes that one address uses of it, including reserved amounts."""
        return self._by_place.get(place, 0)

    def add(self, place: str, amount: int, *, foreseen: int = 0) -> None:
        """Add `amount`, which may be negative.

        An amount that is only `foreseen` counts for the address, not for the total.
        """
        self.used += amount
        counted = self._by_place.get(place, 0) + amount + foreseen
        if counted:
            self._by_place[place] = counted
        else:
            self._by_place.pop(place, None)
        if amount + foreseen < 0 and self._waiting:
            self._wake(place)
            # Another address may wait for the total.
            self._wake(next(iter(self._waiting), place))

    def is_over_for(self, place: str, more: int = 0) -> bool:
        """Return whether the address exceeds its own bound, or would with `more` bytes."""
        used = self._by_place.get(place, 0)
        return used > 0 and used + more > self.each and not self._unbounded(place)

    def is_over(self, place: str, more: int = 0) -> bool:
        """Return whether the process or the address exceeds its bound, or would with `more` bytes."""
        return 0 < self.used > self.total - more or self.is_over_for(place, more)

    async def wait(self, place: str) -> None:
        """Wait until an amount is released. Each release wakes one waiter."""
        woken = trio.Event()
        self._waiting.setdefault(place, deque()).append(woken)
        try:
            await woken.wait()
        except trio.Cancelled:
            if woken.is_set():  # meanwhile: that is for one that still waits
                self._wake(place)
            raise
        finally:
            queue = self._waiting.get(place)
            if queue is not None and woken in queue:
                queue.remove(woken)
                if not queue:
                    del self._waiting[place]

    def _wake(self, place: str) -> None:
        queue = self._waiting.get(place)
        if queue:
            queue.popleft().set()
            # To the end of the line: addresses take turns.
            del self._waiting[place]
            if queue:
                self._waiting[place] = queue


class Share:
    """The memory of one request.

    Closing it twice releases it once. Code that streams a body on sets `holds_at_most`: that much is counted
    before the first byte is read, and no more after it. Such a body never stops halfway for want of room. So
    no number of them can block each other, and the disconnection of a client is noticed.
    """

    __slots__ = (
        "_answer",
        "_bounds",
        "_foreseen",
        "_intake",
        "_total",
        "holds_at_most",
        "on_refusal",
        "place",
        "since",
    )

    def __init__(self, bounds: Bounds, place: str) -> None:
        self._bounds = bounds
        self.place = place
        self.since = trio.current_time()
        self.holds_at_most: int | None = None
        self.on_refusal: Callable[[], None] | None = None
        """Called when this request is ended, because it is the slowest of those that use up the memory."""
        self._total = 0
        self._intake = 0
        self._answer = 0
        self._foreseen = 0

    @property
    def rate(self) -> float:
        """Bytes of the body a second."""
        return self._total / max(0.001, trio.current_time() - self.since)

    @property
    def may_be_ended(self) -> bool:
        """Whether its body may be ended for others to have room: not if it moves well, or has just begun."""
        if self.holds_at_most is None:
            return True
        return trio.current_time() - self.since >= PATIENCE_S and self.rate < SLOW_RATE

    def took(self, count: int) -> None:
        """Count bytes of the body that arrived."""
        self._total += count
        if self.holds_at_most is None:
            self._hold(self._total)

    def streams(self, at_most: int) -> None:
        """Note that the body is passed on as it arrives: at most `at_most` bytes are in memory at once."""
        self.holds_at_most = at_most
        self._hold(min(self._total, at_most))

    def _hold(self, held: int) -> None:
        if held != self._intake:
            self._bounds.intake.add(self.place, held - self._intake)
            self._intake = held
            if held:
                self._bounds.holding.add(self)

    async def room(self, is_cut_short: Callable[[], bool] | None = None) -> None:
        """Wait until more of the body may be read. The slowest request is ended if that takes long.

        Args:
            is_cut_short: Whether the client has left before it sent the whole body. Nobody reads while this
                waits, so its disconnection is not seen otherwise.

        Raises:
            ClientGone: It has.
            Overloaded: There was no room for `BODY_PATIENCE_S`.

        """
        pool = self._bounds.intake
        more = 0
        if self.holds_at_most is not None:
            more = self.holds_at_most - self._intake
            if more <= 0:
                return  # further bytes replace those that were passed on
        since = trio.current_time()
        while pool.is_over(self.place, more):
            with trio.move_on_after(PATIENCE_S) as waiting:
                await pool.wait(self.place)
            if waiting.cancelled_caught and pool.is_over(self.place, more):
                if is_cut_short is not None and is_cut_short():
                    raise ClientGone
                if trio.current_time() - since >= BODY_PATIENCE_S:
                    self._bounds.on_refused()
                    raise too_many_bodies()
                self._bounds.refuse_slowest(self.place, more)
            if self.on_refusal is None:
                return  # this request was ended
        if more:
            self._hold(self._intake + more)
            if not self._total:
                self.since = trio.current_time()  # from now on its client determines the rate

    def begin_at_once(self) -> bool:
        """Begin an answer of unknown size if there is room for it; return whether there was."""
        pool = self._bounds.answers
        if pool.is_over(self.place):
            return False
        self._foreseen = ANSWER_GUESS
        pool.add(self.place, 0, foreseen=ANSWER_GUESS)
        return True

    async def begin_answer(self) -> None:
        """Wait until there is memory for an answer of unknown size.

        Raises `Overloaded` if that takes too long.
        """
        pool = self._bounds.answers
        with trio.move_on_after(ANSWER_PATIENCE_S) as waiting:
            while not self.begin_at_once():
                await pool.wait(self.place)
        if waiting.cancelled_caught:
            self._bounds.on_refused()
            raise Overloaded("too many answers wait to be read; try again")

    def made(self, size: int) -> None:
        """Note the size of the response's bytes; 0 if there are none for now."""
        if self._foreseen or size != self._answer:
            self._bounds.answers.add(self.place, size - self._answer, foreseen=-self._foreseen)
            self._foreseen, self._answer = 0, size

    def close(self) -> None:
        """Release the memory: the request's task has ended."""
        self.made(0)
        if self._intake:
            self._bounds.intake.add(self.place, -self._intake)
            self._intake = self._total = 0
        self.on_refusal = None
        self._bounds.holding.discard(self)


class Bounds:
    """The memory of all requests.

    Args:
        trusted: Networks of proxies, which represent many clients: they have no bound of their own.
        on_refused: Called for each request that was ended.
        processes: How many processes share the server's bounds; each gets an equal part.
    """

    def __init__(
        self,
        trusted: Networks = (),
        on_refused: Callable[[], None] = lambda: None,
        processes: int = 1,
    ) -> None:
        self._trusted = counted_networks(trusted)
        intake, answers = INTAKE_BYTES // processes, ANSWER_BYTES // processes
        self.intake = Pool(intake, INTAKE_BYTES_PER_ADDRESS // processes, self._is_trusted)
        self.answers = Pool(answers, ANSWER_BYTES_PER_ADDRESS // processes, self._is_trusted)
        self.holding: set[Share] = set()
        self.on_refused = on_refused
        self._refused_at: dict[str, float] = {}
        self._streams: Counter[str] = Counter()
        self._resets: OrderedDict[str, Rate] = OrderedDict()
        self._tiny: OrderedDict[str, Rate] = OrderedDict()

    def enter(self, peer: str) -> Share:
        """Begin a request and return its share."""
        return Share(self, counted_address(peer))

    def enter_stream(self, place: str) -> bool:
        """Return whether one more request may share a connection of that address.

        If so, `leave_stream` ends it.
        """
        if self._streams[place] >= STREAMS_PER_ADDRESS and not self._is_trusted(place):
            return False
        self._streams[place] += 1
        return True

    def leave_stream(self, place: str) -> None:
        """Note that the task of such a request has ended."""
        self._streams[place] -= 1
        if not self._streams[place]:
            del self._streams[place]

    def resets_too_much(self, place: str) -> bool:
        """Count a reset stream; return whether that exceeds the address's limit."""
        return self._exceeds(self._resets, place, RESETS_PER_ADDRESS)

    def is_too_tiny(self, place: str, size: int) -> bool:
        """Count a piece of a body; return whether the address sends too many tiny ones."""
        return size < TINY_BYTES and self._exceeds(self._tiny, place, TINY_PIECES_PER_ADDRESS)

    def _exceeds(self, rates: OrderedDict[str, Rate], place: str, limit: int) -> bool:
        if self._is_trusted(place):
            return False
        rate = rates.get(place)
        if rate is None:
            rate = rates[place] = Rate(limit)
            if len(rates) > RATES_MAX:
                rates.popitem(last=False)
        rates.move_to_end(place)
        return rate.exceeded()

    def _is_trusted(self, place: str) -> bool:
        return bool(self._trusted) and is_listed(place, self._trusted)

    @property
    def is_tight(self) -> bool:
        """Whether bodies should be read in small pieces."""
        return self.intake.used > self.intake.total // 2

    def refuse_slowest(self, place: str, more: int = 0) -> None:
        """End the slowest of the requests whose bodies use up the memory of the address, or of all.

        None is ended if all of them are fast enough (`SLOW_RATE`). `more` bytes are wanted.
        """
        own = self.intake.is_over_for(place, more)
        now, key = trio.current_time(), place if own else ""
        if now - self._refused_at.get(key, -math.inf) < PATIENCE_S:
            return  # only one is ended at a time, however many wait
        self._refused_at = {at: when for at, when in self._refused_at.items() if now - when < PATIENCE_S}
        self._refused_at[key] = now
        among = [
            share
            for share in self.holding
            if share.on_refusal is not None and (share.place == place or not own) and share.may_be_ended
        ]
        if among:
            slowest = min(among, key=lambda share: share.rate)
            refuse, slowest.on_refusal = slowest.on_refusal, None
            assert refuse is not None
            self.on_refused()
            refuse()
