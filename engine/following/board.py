"""Four numbers in shared memory that the leader publishes to followers on the same machine.

Only the leader writes them, each in one aligned 64-bit store; followers read each in one load: neither tears.
A change is published before the request that caused it is answered. So a follower that reads the number after
that answer sees the change, without waiting for a message.
"""

from __future__ import annotations

import mmap
import os
import sys
from threading import Lock
from typing import Final

_DURABLE: Final = 0
_SKEW: Final = 1
_REGISTRIES: Final = 2
_RUN: Final = 3
_RUN_BYTES: Final = 4


class Board:
    """A page of memory that processes share.

    Args:
        descriptor: Refers to the page. Another process can inherit it; its owner closes it.

    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._page = mmap.mmap(descriptor, mmap.PAGESIZE)
        self._numbers = memoryview(self._page).cast("q")
        self._turn = Lock()

    @classmethod
    def create(cls) -> Board:
        """Return a new board, all zero.

        Raises:
            OSError: The system has no shared memory of this kind, or no more of it.

        """
        if not is_supported():
            raise OSError("sharing memory between processes needs Linux on a 64-bit machine")
        descriptor = os.memfd_create("retain-board", os.MFD_CLOEXEC)
        os.truncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    @property
    def durable(self) -> int:
        """Return the last record that is durable."""
        return self._numbers[_DURABLE]

    def publish_durable(self, seq: int) -> None:
        """Publish that the records up to `seq` are durable."""
        self._numbers[_DURABLE] = seq

    @property
    def run(self) -> bytes:
        """Return what the names of this run's payload files end with: see `journal.PayloadStore`."""
        return self._numbers[_RUN].to_bytes(_RUN_BYTES, "big")

    def publish_run(self, run: bytes) -> None:
        """Publish that, before there is a follower."""
        self._numbers[_RUN] = int.from_bytes(run, "big")

    @property
    def skew(self) -> int:
        """Return the present minus the monotonic clock, nanoseconds, as the leader judges it."""
        return self._numbers[_SKEW]

    def publish_skew(self, skew: int) -> None:
        """Publish the present: its distance from the monotonic clock, which is the same in all processes."""
        self._numbers[_SKEW] = skew

    @property
    def registries(self) -> int:
        """Return how often the files of account keys and users have changed."""
        return self._numbers[_REGISTRIES]

    def publish_registries(self) -> None:
        """Publish that such a file has changed. From any thread."""
        with self._turn:
            self._numbers[_REGISTRIES] += 1

    def close(self) -> None:
        """Release the memory."""
        self._numbers.release()
        self._page.close()


def is_supported() -> bool:
    """Return whether this system can share a board."""
    return hasattr(os, "memfd_create") and sys.maxsize > 2**32
