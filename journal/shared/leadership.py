"""One node's hold of the shared log: commits frames, settles lost answers, and knows how long it leads.

The lease guards reads: who no longer holds one must not answer. Writes are guarded by the term.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Final

from retain.journal.errors import Fenced, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared, SharedHead, Term

PATIENCE_S: Final = 60.0
"""How long an answer is waited for. A primary that fails is replaced in less."""
PAUSE_S: Final = 0.05
"""Between two attempts."""
MARGIN: Final = 0.2
"""The part of a lease that the leader does not count on: clocks do not run alike."""
_SECOND: Final = 1_000_000_000


class Leadership:
    """A term of this process. From any thread, one call at a time.

    Args:
        shared: A connection of its own.
        head: What `Shared.take` returned.
        taken: The monotonic clock before it was called, nanoseconds.
        lease: Seconds.
        clock: The monotonic clock, nanoseconds. It must not stand still while the machine is suspended.
        pause: Wait so many seconds.
        entropy: Random bytes.
        patience: Seconds until an unknown outcome is given up.

    Attributes:
        head: Where the log ended when it was taken: to be read and applied before the first append.

    """

    def __init__(
        self,
        shared: Shared,
        head: SharedHead,
        *,
        taken: int,
        lease: float,
        clock: Callable[[], int],
        pause: Callable[[float], None],
        entropy: Callable[[int], bytes],
        patience: float = PATIENCE_S,
    ) -> None:
        self.head = head
        self._shared = shared
        self._term = head.term
        self._lease = lease
        self._clock = clock
        self._pause = pause
        self._entropy = entropy
        self._patience = patience
        self._until = 0
        self._turn = RLock()
        self._hold(taken)

    @property
    def term(self) -> Term:
        """Return the term. Its epoch grows when a lost answer was settled."""
        return self._term

    @property
    def until(self) -> int:
        """Return up to when this node leads for certain, on its monotonic clock, nanoseconds."""
        return self._until

    def commit(self, frame: Committed, expected: int, root: bytes) -> None:
        """Commit a frame after record `expected`; the log's root is then `root`.

        Where the answer is lost, ask until it is known whether the frame is in, and send it again if not.

        Raises:
            Fenced: Another node leads. The frame was not committed.
            Unsettled: There was no answer for too long: whether the frame was committed is unknown.

        """
        with self._turn:
            batch = self._entropy(16)
            began = self._clock()
            try:
                self._append(frame, expected, root, batch)
            except Unsettled:
                self._settle(frame, expected, root, batch, began + int(self._patience * _SECOND))

    def renew(self) -> None:
        """Lead for another lease. Waits for a commit that is under way, which renews by itself.

        Raises:
            Fenced: Another node leads.
            Unsettled: There was no answer; the lease is unchanged.

        """
        with self._turn:
            began = self._clock()
            self._shared.renew(self._term, self._lease)
            self._hold(began)

    def release(self) -> None:
        """Give the lease back: another node may take over at once.

        Raises:
            Fenced, Unsettled: As `renew`; there is nothing to give back then, or it ends by itself.

        """
        with self._turn:
            self._until = 0
            self._shared.renew(self._term, 0.0)

    def close(self) -> None:
        """Close the connection; a lease that was not released ends by itself."""
        with self._turn:
            self._shared.close()

    def _append(self, frame: Committed, expected: int, root: bytes, batch: bytes) -> None:
        began = self._clock()
        self._shared.append(frame, self._term, expected, root, batch, self._lease)
        self._hold(began)

    def _settle(self, frame: Committed, expected: int, root: bytes, batch: bytes, deadline: int) -> None:
        while True:
            try:
                began = self._clock()
                head = self._shared.settle(self._term.holder, self._lease)
                self._term = head.term
                self._hold(began)
                if (head.seq, head.batch) == (frame.last, batch):
                    return
                if head.seq != expected:
                    raise Fenced(f"the shared log ends with record {head.seq}, not {expected}", seq=head.seq)
                self._append(frame, expected, root, batch)
            except Unsettled:
                if self._clock() >= deadline:
                    raise
                self._pause(PAUSE_S)
            else:
                return

    def _hold(self, began: int) -> None:
        """Count from before the statement was sent: the server's lease cannot end earlier."""
        self._until = began + int(self._lease * (1 - MARGIN) * _SECOND)


def take_leadership(
    shared: Shared,
    name: str,
    url: str,
    *,
    lease: float,
    clock: Callable[[], int],
    pause: Callable[[float], None],
    entropy: Callable[[int], bytes],
    holder: bytes,
    patience: float = PATIENCE_S,
) -> Leadership | None:
    """Take the shared log if no node leads; see `Shared.take` and `Leadership`.

    Raises:
        Unsettled: There was no answer. Call it again with the same `holder`.

    """
    taken = clock()
    head = shared.take(name, url, holder, lease)
    if head is None:
        return None
    return Leadership(
        shared, head, taken=taken, lease=lease, clock=clock, pause=pause, entropy=entropy, patience=patience
    )
