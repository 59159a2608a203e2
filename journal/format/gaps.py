"""Maps logical offsets of a rewritten segment to actual ones. FORMAT.md section 10.

Sans-IO.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

WHITENED = 1 << 31
"""Added to the length of a run that reads as whitened zeros."""

_LENGTH = WHITENED - 1


class Run(NamedTuple):
    """Bytes that are left out. They read as zeros, or as zeros whitened at their logical offsets."""

    offset: int
    length: int
    whitened: bool

    @property
    def stop(self) -> int:
        """The offset behind it."""
        return self.offset + self.length


class GapTable:
    """The runs left out between logical offsets `start` and `end`; the rest is stored from `data_at` on."""

    __slots__ = ("_before", "_lengths", "_offsets", "data_at", "end", "start")

    def __init__(
        self, offsets: array[int], lengths: array[int], *, start: int, end: int, data_at: int
    ) -> None:
        """Build the offsets. Raises `ValueError` if runs overlap or lie outside."""
        self.start, self.end, self.data_at = start, end, data_at
        self._offsets = offsets
        self._lengths = lengths
        plain = array("I", [length & _LENGTH for length in lengths])
        stop = start
        for offset, length in zip(offsets, plain, strict=True):
            if offset < stop or not length:
                raise ValueError("the runs must be in order")
            stop = offset + length
        if not 0 < start <= stop <= end:
            raise ValueError("the runs must lie between its start and its end")
        # How many bytes are left out before each run, and in all.
        self._before = array("Q", accumulate(plain, initial=0))

    @classmethod
    def of(cls, runs: Iterable[Run], *, start: int, end: int, data_at: int) -> GapTable:
        """Return a table of these runs, ascending."""
        offsets, lengths = array("I"), array("I")
        for run in runs:
            offsets.append(run.offset)
            lengths.append(run.length | (WHITENED if run.whitened else 0))
        return cls(offsets, lengths, start=start, end=end, data_at=data_at)

    @classmethod
    def unpack(cls, packed: bytes, *, start: int, end: int, data_at: int) -> GapTable:
        """Return the table in an opener. Raises `ValueError`."""
        words = array("I", bytes(packed))
        if sys.byteorder == "little":
            words.byteswap()
        return cls(words[::2], words[1::2], start=start, end=end, data_at=data_at)

    def packed(self) -> bytes:
        """Return the bytes for the opener."""
        words = array("I", bytes(8 * len(self._offsets)))
        words[::2], words[1::2] = self._offsets, self._lengths
        if sys.byteorder == "little":
            words.byteswap()
        return words.tobytes()

    def __len__(self) -> int:
        return len(self._offsets)

    def actual(self, offset: int) -> int:
        """Return where the byte at a logical offset is; for one left out, where the next one is."""
        index = bisect_right(self._offsets, offset) - 1
        omitted = 0
        if index >= 0:
            omitted = self._before[index] + min(offset - self._offsets[index], self._lengths[index] & _LENGTH)
        return self.data_at + offset - self.start - omitted

    def runs(self, start: int, stop: int) -> Iterator[Run]:
        """Yield the parts of runs between two logical offsets, ascending."""
        offsets, lengths = self._offsets, self._lengths
        for index in range(max(0, bisect_right(offsets, start) - 1), len(offsets)):
            offset, word = offsets[index], lengths[index]
            if offset >= stop:
                return
            first, last = max(offset, start), min(offset + (word & _LENGTH), stop)
            if first < last:
                yield Run(first, last - first, word >= WHITENED)
