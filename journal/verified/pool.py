"""Child processes that verify sealed segments ahead of the process that opens the journal.

A child only saves time: a segment without a verdict is verified by the opening process itself. So a child
that dies, hangs, cannot be started or finds damage changes neither the outcome nor the words of an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from types import TracebackType
from typing import Self

import msgpack

from retain.journal.disk.interface import Disk
from retain.journal.disk.real import RealDisk
from retain.journal.format.limits import MIB
from retain.journal.segments.files import Segment
from retain.journal.segments.verdict import SegmentVerdict
from retain.journal.verified.child import BAD, GOOD, receive, send

MODULE = "retain.journal.verified.child"
LEAST_BYTES = 32 * MIB
"""Less than this beyond the first segment is verified sooner than a child has started."""
MOST_CHILDREN = 4
"""Verifying takes less time than making and applying events, so more children would only wait."""
AHEAD = 2
"""Segments that children are ahead of the reader, beyond one each; bounds the verdicts in memory."""
SLOWEST_BYTES = 16 * MIB
"""A child that verifies less in a second, a quarter of the usual, is not waited for."""
PATIENCE_S = 1.0


class Verifiers:
    """Verdicts of child processes on segments, in the order in which they are read.

    `notices` says what an operator must know. `asked` has the numbers of the segments that a child is
    verifying, `answers` what children said of others; `changed` guards and announces all three. One thread
    calls the methods.
    """

    def __init__(
        self,
        start: Callable[[], subprocess.Popen[bytes]] | None,
        children: int,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Start no process yet. `start` starts a child; without it, there are no verdicts.

        `patience_s`: seconds to wait for a child that is verifying, beside those that the segment takes it.
        """
        self.notices: list[str] = []
        self._start = start
        self._most = children
        self._patience_s = patience_s
        self.changed = Condition()
        self._queue: deque[Segment] = deque()
        self.asked: set[int] = set()
        self.answers: dict[int, bytes] = {}
        self._reached = 0
        self._closed = False
        self._children: list[subprocess.Popen[bytes]] = []
        self._threads: list[Thread] = []

    @property
    def willing(self) -> bool:
        """Whether `begin` starts children."""
        return self._start is not None

    def begin(self, segments: Sequence[Segment]) -> None:
        """Have these sealed segments verified, which will be read in this order, after another one."""
        if self._start is None or not segments:
            return
        firsts, rest = segments[: self._most], segments[self._most :]
        self._queue.extend(rest)
        self.asked.update(segment.number for segment in firsts)
        self._reached = segments[0].number - 1
        for first in firsts:
            thread = Thread(target=self._work, args=(first,), name="verifier", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                self._given_up(first, f"no thread could be started to verify segments: {error}")
            else:
                self._threads.append(thread)

    def verdict(self, segment: Segment, size: int) -> SegmentVerdict | None:
        """Return the verdict on the next segment, of `size` bytes; None if the caller must verify it."""
        number = segment.number
        with self.changed:
            self._reached = number
            if self._queue and self._queue[0].number == number:
                self._queue.popleft()
            self.changed.notify_all()
            self.changed.wait_for(lambda: number not in self.asked, self._patience_s + size / SLOWEST_BYTES)
            self.asked.discard(number)
            answer = self.answers.pop(number, b"")
        if answer[:1] == BAD:
            self._doubt(segment, answer[1:].decode(errors="replace"))
        elif answer[:1] == GOOD:
            try:
                return SegmentVerdict.unpack(answer[1:])
            except ValueError as error:
                self._doubt(segment, str(error))
        return None

    def _doubt(self, segment: Segment, reason: str) -> None:
        """Log the damage that a child reported, if the start does not find it and goes on."""
        self.notices.append(
            f"reading {segment.file} failed once, then succeeded; check disk and memory: {reason}"
        )

    def close(self) -> None:
        """End the children. They only read, so they can be killed at any moment."""
        with self.changed:
            self._closed = True
            self._queue.clear()
            for child in self._children:
                child.kill()
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self, segment: Segment | None) -> None:
        """Start a child, and pass it one segment after the other, beginning with this one."""
        assert self._start is not None, "a thread is started only with a way to start a child"
        assert segment is not None, "a child is started for a segment"
        try:
            child = self._start()
        except (OSError, subprocess.SubprocessError) as error:
            self._given_up(
                segment, f"no process could be started to verify segments beside this one: {error}"
            )
            return
        with child:
            with self.changed:
                self._children.append(child)
                if self._closed:
                    child.kill()
            while segment is not None and (answer := self._asked_of(child, segment)):
                with self.changed:
                    if segment.number in self.asked:
                        self.answers[segment.number] = answer
                    self.asked.discard(segment.number)
                    self.changed.notify_all()
                segment = self._next()
            child.kill()

    def _given_up(self, segment: Segment, notice: str) -> None:
        """Leave a segment to the reader."""
        with self.changed:
            self.asked.discard(segment.number)
            if not self._closed:
                self.notices.append(notice)
            self.changed.notify_all()

    def _next(self) -> Segment | None:
        """Return the next segment for a child, once the reader is near; None when there is none left."""

        def due() -> bool:
            far = self._reached + self._most + AHEAD
            return self._closed or not self._queue or self._queue[0].number <= far

        with self.changed:
            self.changed.wait_for(due)
            if self._closed or not self._queue:
                return None
            segment = self._queue.popleft()
            self.asked.add(segment.number)
            return segment

    def _asked_of(self, child: subprocess.Popen[bytes], segment: Segment) -> bytes:
        """Return a child's answer, b"" if it ended."""
        assert child.stdin is not None, "a child's input is a pipe"
        assert child.stdout is not None, "a child's output is a pipe"
        try:
            send(child.stdin, msgpack.packb(tuple(segment)))
            return receive(child.stdout)
        except (OSError, EOFError):
            ended = f"a process that verified segments ended with {child.wait()}; this one verified them"
            self._given_up(segment, ended)
            return b""


def verifiers(disk: Disk, segments: Sequence[Segment], children: int | None) -> Verifiers:
    """Return the verifiers for a start that reads these segments, all but the first and the last of them.

    `children`: how many at most; None: one for each further processor, if there is enough to verify.
    """
    if not isinstance(disk, RealDisk) or len(segments) < 3:
        return Verifiers(None, 0)
    if children is None:
        children = min(_processors() - 1, MOST_CHILDREN)
        if children and _bytes_in(disk, segments[1:-1], LEAST_BYTES) < LEAST_BYTES:
            children = 0
    path = str(disk.path)

    def start() -> subprocess.Popen[bytes]:
        # Children must import the same modules as this process, whatever folder it was started in.
        return subprocess.Popen(  # noqa: S603 - this module, and a folder
            [sys.executable, "-P", "-m", MODULE, path],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    return Verifiers(start if children else None, children)


def _bytes_in(disk: Disk, segments: Sequence[Segment], enough: int) -> int:
    """Return the total size of these segments; stop counting once it is `enough`."""
    total = 0
    for segment in segments:
        with disk.open(segment.file) as file:
            total += file.size()
        if total >= enough:
            break
    return total


def _processors() -> int:
    """Return how many processors this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
