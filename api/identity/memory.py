"""A short-lived cache of verified credentials, so that the costly check runs once."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable

import trio

from retain.api.identity.caller import Caller

ENTRIES_MAX = 10_000
"""Credentials remembered at once; beyond that the least recently used is evicted."""


class Memory:
    """Maps credentials to callers; stores a keyed hash instead of the credential.

    The key is random and lives in this process only: a dump of the map without it allows no guessing, and
    nothing survives a restart. Times are Trio's clock, in seconds.
    """

    def __init__(self, remember_s: float, entropy: Callable[[int], bytes]) -> None:
        self._remember_s = remember_s
        self._key = entropy(32)
        self._entries: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def digest(self, credential: bytes) -> bytes:
        """Return the keyed hash under which `credential` is remembered."""
        return hmac.digest(self._key, credential, hashlib.sha256)

    def recall(self, digest: bytes) -> Caller | None:
        """Return the caller remembered under `digest`, None if there is none any more."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        caller, until = entry
        if until <= trio.current_time():
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return caller

    def remember(self, digest: bytes, caller: Caller, at_most_s: float = float("inf")) -> None:
        """Remember `caller` for the configured time, or `at_most_s` seconds if that is shorter."""
        seconds = min(self._remember_s, at_most_s)
        if seconds <= 0:
            return
        self._entries[digest] = (caller, trio.current_time() + seconds)
        if len(self._entries) > ENTRIES_MAX:
            self._entries.popitem(last=False)
