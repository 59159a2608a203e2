"""Ids of requests: each answer of an interface has one, and the log has the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REQUEST_ID: Final = "X-Request-Id"
"""The header of the interfaces whose protocols have no name for it. Proxies and frameworks use this one."""

_BYTES: Final = 16
_AT_ONCE: Final = 256
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class RequestIds:
    """Random UUIDs (RFC 9562, version 4). A client never chooses one, so none occurs twice in the log.

    Args:
        entropy: Returns that many random bytes. It is asked for large pieces: each costs a system call.

    """

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._random = b""

    def next(self) -> str:
        """Return a new id."""
        if len(self._random) < _BYTES:
            self._random = self._entropy(_BYTES * _AT_ONCE)
        one, self._random = self._random[:_BYTES].hex(), self._random[_BYTES:]
        return f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{_VARIANT[one[16]]}{one[17:20]}-{one[20:]}"
