"""Detect and count shortages of the machine's resources; each is over after a while without one."""

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
STORE = "store"
"""The store of payloads that the nodes of a cluster share."""
KINDS = (DESCRIPTORS, DISK, LOCKS, MEMORY, STORE, THREADS)

SHORT_S = 10.0
"""A shortage counts as over when it has not occurred for this long, in seconds."""

FULL_S = 60.0
"""The same for a disk without space for a body: only bodies reveal that, nothing queries the disk itself."""

_ERRNO = {
    errno.EMFILE: DESCRIPTORS,
    errno.ENFILE: DESCRIPTORS,
    errno.ENOMEM: MEMORY,
    errno.ENOBUFS: MEMORY,
    errno.ENOLCK: LOCKS,
    errno.EINTR: LOCKS,
    errno.EAGAIN: THREADS,
    errno.EHOSTDOWN: STORE,
}
_NO_THREAD = "can't start new thread"
_SHORT = "the server is short of resources for the moment; try again"
_NO_STORE = "the store of large content does not answer for the moment; try again"


def shortage_in(error: BaseException) -> str:
    """Return which resource was short when `error` was raised; empty if it is another kind of error."""
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
    """The recent shortages, for the log, the metrics and readiness. Times are Trio's clock, in seconds."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def note(self, kind: str, now: float, why: str = "") -> None:
        """Count a shortage, and log its first occurrence, with what the system said."""
        self.met[kind] += 1
        if kind not in self._last:
            LOG.warning("resource shortage", extra={"facts": {"of": kind} | ({"why": why} if why else {})})
        self._last[kind] = now

    def refusal(self, error: BaseException, now: float) -> Exhausted | None:
        """Return the error for a request that a shortage ended, and note it; None if there was none."""
        kind = shortage_in(error)
        if not kind:
            return None
        self.note(kind, now, str(error))
        return Exhausted(_NO_STORE if kind == STORE else _SHORT, reason=kind)

    def over(self, kind: str) -> None:
        """Record that the shortage is over."""
        if self._last.pop(kind, None) is not None:
            LOG.info("resource shortage over", extra={"facts": {"of": kind}})

    def present(self, now: float) -> tuple[str, ...]:
        """Return what the machine is short of now, in alphabetical order."""
        for kind, last in list(self._last.items()):
            if now - last > (FULL_S if kind == DISK else SHORT_S):
                self.over(kind)
        return tuple(sorted(self._last))
