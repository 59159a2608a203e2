"""The facts of a segment's index: read frame by frame, and continued while the segment grows."""

from __future__ import annotations

import sys
from array import array
from typing import Any

from retain.journal.errors import Corrupt
from retain.journal.format.frame import parse_head, parse_header
from retain.journal.format.limits import PREFIX_BYTES
from retain.journal.format.merkle import Frontier, leaf_hash
from retain.journal.format.record import NO_RESOURCE
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.heads import FrameHead, good_heads

BLOCK = 256
"""Leaves under one of the subtrees whose hashes an index holds."""

KEY_BYTES = 8
"""Bytes of a resource by which it is looked up."""


class Growth:
    """Facts from the heads of one segment, as far as they were read.

    About 8 bytes a record and 16 a frame. After an error it must not be continued. Not for two threads.
    """

    def __init__(self, file: SegmentFile) -> None:
        """Begin where the segment does. Raises `Corrupt`, `UnknownVersion`."""
        opener = file.opener()
        self.segment = file.segment
        self.first = opener.first
        self.end = opener.size
        self.frontier = opener.chain.frontier.copy()
        self.firsts, self.offsets, self.times = array("I"), array("I"), array("Q")
        self.keys = bytearray()
        self.subtrees = bytearray()
        self._nameless: set[int] = set()
        self._identity = opener.identity
        self._heads = 0
        self._time = opener.chain.time
        self._block, self._whole = Frontier(), self.frontier.size % BLOCK == 0

    @property
    def last(self) -> int:
        """Return the last record that was read."""
        return self.frontier.size

    def extend(self, file: SegmentFile, *, growing: bool, most: int | None = None) -> None:
        """Read on, to the segment's end.

        Args:
            file: The segment.
            growing: Its last frame counts only if it is whole.
            most: Only frames until so many records were read; of a growing segment.

        Raises:
            Corrupt, OSError: The segment cannot be read.
        """
        stop = None if most is None else self.last + most
        for head in good_heads(file, self.end, growing=growing):
            if stop is not None and self.last >= stop:
                return
            try:
                self._add(head)
            except ValueError as error:
                text = f"{file.name}, offset {head.offset}: {error}"
                raise Corrupt(text, file=file.name, offset=head.offset, seq=self.last + 1) from error
        if not growing and self.end != file.size():
            text = f"{file.name}, offset {self.end}: no frame starts here"
            raise Corrupt(text, file=file.name, offset=self.end, seq=self.last + 1)

    def facts(self) -> dict[str, Any]:
        """Return an index's facts (FORMAT.md section 11)."""
        return {
            "journal": self._identity,
            "segment": self.segment.number,
            "first": self.first,
            "last": self.last,
            "times": [self.times[0] if self.times else self._time, self._time],
            "end": self.end,
            "heads": self._heads,
            "peaks": list(self.frontier.peaks),
        }

    def sections(self) -> list[bytes]:
        """Return an index's sections (FORMAT.md section 11)."""
        columns = b"".join(packed(column[:]) for column in (self.firsts, self.offsets, self.times))
        entries = [
            bytes(self.keys[at : at + KEY_BYTES]) + number.to_bytes(4, "big")
            for number, at in enumerate(range(0, len(self.keys), KEY_BYTES))
            if number not in self._nameless
        ]
        entries.sort()
        return [columns, b"".join(entries), bytes(self.subtrees)]

    def numbers_of(self, resource: bytes, records: int) -> list[int]:
        """Return which of the first `records` records, from 0, have a resource with the same first bytes."""
        key, stop = resource[:KEY_BYTES], records * KEY_BYTES
        found: list[int] = []
        at = self.keys.find(key, 0, stop)
        while at >= 0:
            number, beside = divmod(at, KEY_BYTES)
            if not beside and number not in self._nameless:
                found.append(number)
            at = self.keys.find(key, at + KEY_BYTES - beside, stop)
        return found

    def _add(self, head: FrameHead) -> None:
        size = self.last
        if parse_head(head.data)[:2] != (size, self.frontier.root()):
            raise ValueError("the frame does not continue the tree")
        self.firsts.append(size + 1 - self.first)
        self.offsets.append(head.offset)
        for at, data in enumerate(head.headers()):
            seq, self._time, _, _, resource, *_ = parse_header(data)
            if seq != size + 1:
                raise ValueError(f"the header of record {size + 1} is out of order")
            if not at:
                self.times.append(self._time)
            if resource == NO_RESOURCE:
                self._nameless.add(size + 1 - self.first)
            self.keys += resource[:KEY_BYTES]
            leaf = leaf_hash(data)
            self.frontier.append(leaf)
            self._block.append(leaf)
            size += 1
            if not size % BLOCK:
                if self._whole:
                    self.subtrees += self._block.root()
                self._block, self._whole = Frontier(), True
        self._heads += PREFIX_BYTES + head.prefix.head_length
        self.end = head.stop


def packed(words: array[int]) -> bytes:
    """Return the words in network byte order; `words` is changed by it."""
    if sys.byteorder == "little":
        words.byteswap()
    return words.tobytes()
