"""One node's leadership of the shared log: commits frames, settles lost answers, and tracks the lease.

The lease protects reads: a node without one must not answer. The epoch of the term, a fencing token, protects
writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Final

from retain.journal.errors import Fenced, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared, SharedHead, Succession, Term

PATIENCE_S: Final = 60.0
"""Longest time to wait for an answer. The standby of a failed primary takes over in less."""
PAUSE_S: Final = 0.05
"""Seconds between two attempts."""
MARGIN: Final = 0.2
"""The part of a lease that the leader does not use, because clocks run at different rates."""
_SECOND: Final = 1_000_000_000
_UNKNOWN: Final = "whether the last change was committed before is unknown"


class Leadership:
    """A term of this process. Any thread may call it; the calls run one at a time.

    Args:
        shared: A connection for this object alone.
        head: The result of `Shared.take`.
        taken: The monotonic clock before that call, nanoseconds.
        lease: The length of the lease, seconds.
        clock: Returns the monotonic clock, nanoseconds. It must advance while the machine is suspended.
        pause: Waits a number of seconds.
        entropy: Returns random bytes.
        patience: Seconds after which a commit with an unknown outcome is given up.

    Attributes:
        head: The end of the log when the term began. Read and apply all up to it before the first append.

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
        self._successor: Succession | None = None
        self._over = ""
        self._turn = RLock()
        self._hold(taken)

    @property
    def term(self) -> Term:
        """Return the term. Its epoch grows when a lost answer is settled."""
        return self._term

    @property
    def until(self) -> int:
        """Return until when this node certainly leads, on its monotonic clock, nanoseconds."""
        return self._until

    def commit(self, frame: Committed, expected: int, root: bytes) -> None:
        """Commit a frame after record `expected`; the log's root is then `root`.

        If the answer is lost, find out whether the frame was committed, and send it again if not.

        Raises:
            Fenced: Another node leads, or an earlier commit has failed. The frame was not committed, and will
                never be.
            Unsettled: There was no answer for `patience` seconds, or another node leads and nobody has told
                where the log ended when it began: whether the frame was committed is unknown.

        """
        with self._turn:
            self._check()
            batch = self._entropy(16)
            deadline = self._clock() + int(self._patience * _SECOND)
            with self._final():
                try:
                    self._append(frame, expected, root, batch)
                except Unsettled:
                    self._settle(frame, expected, root, batch, deadline)

    def renew(self) -> None:
        """Renew the lease. Waits for a commit in progress, which renews it as well.

        Raises:
            Fenced: Another node leads, or a commit has failed: this leadership has ended.
            Unsettled: There was no answer; the lease is unchanged.

        """
        while not self._turn.acquire(blocking=False):
            self._pause(PAUSE_S)
        try:
            self._check()
            began = self._clock()
            self._shared.renew(self._term, self._lease)
            self._hold(began)
        except Fenced as error:
            self._end(str(error))
            raise
        finally:
            self._turn.release()

    def succeed(self, news: Succession) -> bool:
        """End this leadership, because the term of another node has begun; return whether that is news.

        A commit whose answer was lost is settled by where the log ended when that term began, without waiting
        for an answer any longer. This call waits for nothing.
        """
        if news.term.holder == self._term.holder or news.term.epoch <= self._term.epoch:
            return False
        self._successor = news
        self._end(f"another node leads, in epoch {news.term.epoch}")
        self._shared.interrupt()
        return True

    def release(self) -> None:
        """Return the lease, so that another node may take over at once.

        Raises:
            Fenced: Another node leads; there is no lease to return.
            Unsettled: There was no answer; the lease ends by itself.

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
        while self._successor is None:
            try:
                began = self._clock()
                head = self._shared.settle(self._term.holder, self._lease)
            except Fenced as error:
                raise Unsettled(f"{error}; {_UNKNOWN}") from error
            except Unsettled:
                if self._was_last(deadline):
                    raise
                continue
            self._term = head.term
            self._hold(began)
            if (head.seq, head.batch) == (frame.last, batch):
                return
            if head.seq != expected:
                end = f"the shared log ends with record {head.seq}, not {expected}"
                raise Unsettled(f"{end}, in this node's own term; {_UNKNOWN}")
            try:
                self._append(frame, expected, root, batch)
            except Unsettled:
                if self._was_last(deadline):
                    raise
            else:
                return
        self._judge(self._successor, frame, expected, batch)

    def _was_last(self, deadline: int) -> bool:
        """Return whether an attempt without an answer was the last one; if not, pause."""
        if self._successor is not None:
            return False
        if self._clock() >= deadline:
            return True
        self._pause(PAUSE_S)
        return False

    @staticmethod
    def _judge(news: Succession, frame: Committed, expected: int, batch: bytes) -> None:
        """Settle a frame whose answer was lost by where the log ended when another node's term began.

        Until then only this leader appended, one frame after the other, so the log ended with this frame or
        with the one before it. It may have grown since, if the news is of a later term than the next one.

        Raises:
            Fenced: The frame was not committed, and never will be.
            Unsettled: It may have been committed.

        """
        if (news.seq, news.batch) == (frame.last, batch):
            return
        if news.seq == expected:
            raise Fenced(
                f"another node leads, in epoch {news.term.epoch}; the change was not committed", seq=news.seq
            )
        raise Unsettled(f"another node leads, in epoch {news.term.epoch}; {_UNKNOWN}")

    def _check(self) -> None:
        if self._over:
            raise Fenced(self._over)

    @contextmanager
    def _final(self) -> Iterator[None]:
        """End this leadership if a commit fails: what follows would be built on it."""
        try:
            yield
        except (Fenced, Unsettled) as error:
            self._end(str(error))
            raise

    def _end(self, why: str) -> None:
        self._over = self._over or why
        self._until = 0

    def _hold(self, began: int) -> None:
        """Count the lease from before the statement was sent, so that it ends here first."""
        if not self._over:
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
        Unsettled: There was no answer. Call this again with the same `holder`.

    """
    taken = clock()
    head = shared.take(name, url, holder, lease)
    if head is None:
        return None
    return Leadership(
        shared, head, taken=taken, lease=lease, clock=clock, pause=pause, entropy=entropy, patience=patience
    )
