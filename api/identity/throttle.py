"""Failed logins are slowed, per address and per name.

Attempts of one key take turns: each one is given the next free moment, and every failure doubles the distance
to the one after, so that many connections guess no faster than one. Waiting is a sleep of that task; nothing
else waits with it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

import trio

from retain.api.http.addresses import counted_address
from retain.api.identity.caller import TooManyAttempts
from retain.api.identity.options import ThrottleOptions

KEYS_MAX = 20_000
"""Keys remembered at once; beyond that the one used longest ago goes. About 4 MiB."""

KNOWN_MAX = 20_000
KNOWN_S = 86_400.0
"""How long an address that has logged in under a name is spared what strangers do to that name: else anyone
could lock anyone out by guessing."""


@dataclass(slots=True)
class _Track:
    failures: int = 0
    last: float = 0.0
    next_free: float = 0.0


class Throttle:
    """Counts failures and tells each attempt when its turn is. Times are Trio's clock, in seconds."""

    def __init__(self, options: ThrottleOptions) -> None:
        self._options = options
        self._tracks: OrderedDict[tuple[str, str], _Track] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def turn(self, address: str, name: str) -> None:
        """Waits until a login as `name` from `address` may be tried, and counts it as failed until
        `succeeded` says otherwise.

        Raises:
            TooManyAttempts: The turn is further away than ``queue_s``.
        """
        now = trio.current_time()
        tracks = [self._track(key, now) for key in self._keys(address, name, now)]
        start = max([now, *(track.next_free for track in tracks)])
        if start - now > self._options.queue_s:
            raise TooManyAttempts(int(start - now) + 1)
        for track in tracks:
            track.failures += 1
            track.last = start
            track.next_free = start + self._delay(track.failures)
        if start > now:
            await trio.sleep_until(start)

    def succeeded(self, address: str, name: str) -> None:
        """The attempt was right after all: the name starts afresh, the address gets this one attempt back."""
        now = trio.current_time()
        place = counted_address(address)
        self._tracks.pop(("name", name), None)
        track = self._track(("address", place), now)
        track.failures = max(0, track.failures - 1)
        track.next_free = min(track.next_free, now + self._delay(track.failures))
        self._known[place, name] = now + KNOWN_S
        self._known.move_to_end((place, name))
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _keys(self, address: str, name: str, now: float) -> Iterable[tuple[str, str]]:
        place = counted_address(address)
        yield "address", place
        if self._known.get((place, name), 0.0) <= now:
            yield "name", name

    def _track(self, key: tuple[str, str], now: float) -> _Track:
        track = self._tracks.get(key)
        if track is None or now - track.last > self._options.forget_s:
            track = self._tracks[key] = _Track(last=now)
        self._tracks.move_to_end(key)
        if len(self._tracks) > KEYS_MAX:
            self._tracks.popitem(last=False)
        return track

    def _delay(self, failures: int) -> float:
        options = self._options
        if failures < options.free:
            return 0.0
        return float(min(options.max_s, options.base_s * 2 ** min(failures - options.free, 30)))
