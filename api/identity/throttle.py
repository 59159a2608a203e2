"""Failed logins are slowed, per address and per name.

Attempts of one key take turns: each one is given the next free moment, and every failure doubles the distance
to the one after, so that many connections guess no faster than one. Waiting is a sleep of that task; nothing
else waits with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import trio

from retain.api.http.addresses import counted_address
from retain.api.identity.caller import TooManyAttempts
from retain.api.identity.options import ThrottleOptions

_Key: TypeAlias = tuple[str, str]

KEYS_MAX = 20_000
"""Keys stored at once, about 4 MiB. Beyond that, keys that are not slowed are dropped first, the oldest
first.
"""

KNOWN_MAX = 20_000
KNOWN_S = 86_400.0
"""Seconds for which an address that has logged in under a name is not slowed by others' failures for that
name: otherwise anyone could lock out any user by guessing.
"""


@dataclass(slots=True)
class _Track:
    failures: int = 0
    last: float = 0.0
    next_free: float = 0.0


class _Tracks:
    """The failed attempts of addresses and names, at most `KEYS_MAX` of them.

    Those that are slowed are kept longest: otherwise an attacker could evict them with invented names.
    """

    def __init__(self, options: ThrottleOptions) -> None:
        self._options = options
        self._light: OrderedDict[_Key, _Track] = OrderedDict()
        self._slowed: OrderedDict[_Key, _Track] = OrderedDict()

    def __len__(self) -> int:
        return len(self._light) + len(self._slowed)

    def find(self, key: _Key, now: float) -> _Track | None:
        """Return the current track of `key`."""
        track = self._light.get(key) or self._slowed.get(key)
        if track is None or now - track.last > self._options.forget_s:
            return None
        return track

    def put(self, key: _Key, track: _Track, now: float) -> None:
        """Keep `track`, the last one to go of its kind."""
        self.drop(key)
        kind = self._light if track.failures < self._options.free else self._slowed
        kind[key] = track
        if len(self) > KEYS_MAX:
            self._evict(now)

    def drop(self, key: _Key) -> None:
        """Forget `key`."""
        self._light.pop(key, None)
        self._slowed.pop(key, None)

    def _evict(self, now: float) -> None:
        oldest = next(iter(self._slowed.values()), None)
        forgotten = oldest is not None and now - oldest.last > self._options.forget_s
        kind = self._slowed if forgotten or not self._light else self._light
        kind.popitem(last=False)


class LoginThrottle(Protocol):
    """Schedules login attempts: a `Throttle`, or one in another process."""

    async def turn(self, address: str, name: str) -> None:
        """Wait until a login may be tried; see `Throttle.turn`."""

    def succeeded(self, address: str, name: str) -> None:
        """Take back what was counted; see `Throttle.succeeded`."""


class Throttle:
    """Counts failures and schedules attempts. Times are Trio's clock, in seconds."""

    def __init__(self, options: ThrottleOptions) -> None:
        self._options = options
        self._tracks = _Tracks(options)
        self._known: OrderedDict[_Key, float] = OrderedDict()

    async def turn(self, address: str, name: str) -> None:
        """Wait until a login as `name` from `address` may be tried; count it as failed until `succeeded`.

        An attempt that is refused leaves no track.

        Raises:
            TooManyAttempts: The turn is further away than `queue_s`.

        """
        wait_s = self.book(address, name)
        if wait_s > 0:
            await trio.sleep(wait_s)

    def book(self, address: str, name: str) -> float:
        """Count an attempt as failed until `succeeded`; return in how many seconds its turn is.

        An attempt that is refused leaves no track.

        Raises:
            TooManyAttempts: The turn is further away than `queue_s`.

        """
        now = trio.current_time()
        keys = list(self._keys(address, name, now))
        tracks = [self._tracks.find(key, now) for key in keys]
        start = max([now, *(track.next_free for track in tracks if track is not None)])
        if start - now > self._options.queue_s:
            raise TooManyAttempts(int(start - now) + 1)
        for key, found in zip(keys, tracks, strict=True):
            track = found or _Track()
            track.failures += 1
            track.last = start
            track.next_free = start + self._delay(track.failures)
            self._tracks.put(key, track, now)
        return start - now

    def succeeded(self, address: str, name: str) -> None:
        """Withdraw a successful attempt: the name is reset, the address gets this one attempt back."""
        now = trio.current_time()
        place = counted_address(address)
        self._tracks.drop(("name", name))
        track = self._tracks.find(("address", place), now)
        if track is not None:
            track.failures = max(0, track.failures - 1)
            track.next_free = min(track.next_free, now + self._delay(track.failures))
            if track.failures:
                self._tracks.put(("address", place), track, now)
            else:
                self._tracks.drop(("address", place))
        self._known[place, name] = now + KNOWN_S
        self._known.move_to_end((place, name))
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _keys(self, address: str, name: str, now: float) -> Iterable[_Key]:
        place = counted_address(address)
        yield "address", place
        if self._known.get((place, name), 0.0) <= now:
            yield "name", name

    def _delay(self, failures: int) -> float:
        options = self._options
        if failures < options.free:
            return 0.0
        return float(min(options.max_s, options.base_s * 2 ** min(failures - options.free, 30)))
