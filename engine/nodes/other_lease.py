"""Judges whether the lease of another node has ended: by two clocks, as neither is enough."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from retain.engine.core.time import SECOND
from retain.journal.shared.interface import SharedHead, Term

_NEVER: Final = (Term(-1, b""), inf)


class OtherLease:
    """The lease in the shared log, as this node has seen it.

    The shared log's server ends it by its own clock. If that is set forward, the leader and its followers
    still answer. So a lease has ended only if it was also not renewed for its whole length on this node's
    clock, counted from when this node first saw it. The holder began to count before that.

    Args:
        elapsed: Returns the monotonic clock, nanoseconds. It must advance while the machine is suspended.
        length: The length of a lease, seconds.

    """

    def __init__(self, elapsed: Callable[[], int], length: float) -> None:
        self._elapsed = elapsed
        self._length = round(length * SECOND)
        self._seen: tuple[Term, float] = _NEVER
        self._since = 0

    def saw(self, head: SharedHead) -> None:
        """Note what has just been read."""
        if (head.term, head.ends) != self._seen:
            self._seen, self._since = (head.term, head.ends), self._elapsed()

    def is_over(self, head: SharedHead) -> bool:
        """Return whether nobody can have a lease any more; `head` is the last that this node saw."""
        if not head.leader or head.remaining == -inf:
            return True
        return head.remaining <= 0 and self._elapsed() - self._since >= self._length
