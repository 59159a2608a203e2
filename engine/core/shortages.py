"""What the machine runs short of: recognised, counted, and over when it is over."""

from __future__ import annotations

import errno
import logging
from collections import Counter

from retain import journal
from retain.engine.core.errors import Exhausted

LOG = logging.getLogger("retain.engine")

DISK = "disk"
DESCRIPTORS = "descriptors"
MEMORY = "memory"
THREADS = "threads"
LOCKS = "locks"
KINDS = (DESCRIPTORS, DISK, LOCKS, MEMORY, THREADS)

SHORT_S = 10.0
"""A shortage counts as over when it has not been met for so long."""

FULL_S = 60.0
"""Likewise for a disk that had no room for a body: nobody asks the disk itself, only for room."""

_ERRNO = {
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
    errno.ENOBUFS: MEMORY,
    errno.ENOLCK: LOCKS,
    errno.EINTR: LOCKS,
    errno.EAGAIN: THREADS,
}
_NO_THREAD = "can't start new thread"


def shortage_in(error: BaseException) -> str:
    """What the machine was short of when `error` was raised; empty if it is another kind of error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _ERRNO:
            return _ERRNO[seen.errno]
        if isinstance(seen, MemoryError):
            return MEMORY
        if isinstance(seen, RuntimeError) and str(seen) == _NO_THREAD:
            return THREADS
        seen = seen.__cause__
    return DESCRIPTORS if isinstance(error, journal.Shortage) else ""


class Shortages:
    """What was met lately, for the log, the metrics and readiness. Times are Trio's clock, in seconds."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def note(self, kind: str, now: float) -> None:
        """A shortage was met."""
        self.met[kind] += 1
        if kind not in self._last:
            LOG.warning("the machine is short of something", extra={"facts": {"of": kind}})
        self._last[kind] = now

    def refusal(self, error: BaseException, now: float) -> Exhausted | None:
        """What to refuse a request with that ended in `error`, if a shortage was the cause; it is noted."""
        kind = shortage_in(error)
        if not kind:
            return None
        self.note(kind, now)
        return Exhausted("the server is short of resources for the moment; try again", reason=kind)

    def over(self, kind: str) -> None:
        """It was seen to be over."""
        if self._last.pop(kind, None) is not None:
            LOG.info("the shortage is over", extra={"facts": {"of": kind}})

    def present(self, now: float) -> tuple[str, ...]:
        """What the machine is short of now, in the order of the alphabet."""
        for kind, last in list(self._last.items()):
            if now - last > (FULL_S if kind == DISK else SHORT_S):
                self.over(kind)
        return tuple(sorted(self._last))
