"""Reads one segment past damage, where `reader.py` would stop, for `verify` and `repair`.

After damage the tree's state is unknown: a frame's head contains size and root before it, but not the peaks
that it takes to compute the root after it. Each such frame is checked by itself, its root is given as b"".
"""

from __future__ import annotations

from collections.abc import Iterator

from retain.journal.disk.interface import File
from retain.journal.errors import Corrupt
from retain.journal.format.codec import Decoder, Want
from retain.journal.format.frame import Chain, Damage, Frame, Prefix, parse_head, parse_prefix
from retain.journal.format.limits import PREFIX_BYTES, READ_CHUNK, SECTOR
from retain.journal.format.merkle import Believed
from retain.journal.format.whitening import Whitening
from retain.journal.segments.files import Opener, Segment
from retain.journal.segments.tail import Tear, judge


class Survey:
    """The contents of one segment, in order: frames, damage, and a tear at the end of the last segment.

    `opener` is None if it cannot be read; the frames after it can be read with the journal's `identity`.
    `border` is the end of the good part from the start, and `chain` the tree there (None without an opener).
    `lost` tells whether there was damage, so that the tree at the end is unknown.
    """

    def __init__(
        self, file: File, segment: Segment, identity: bytes, opener: Opener | None, *, last: bool
    ) -> None:
        self.chain: Chain | None = opener.chain.copy() if opener is not None else None
        self.border = opener.size if opener is not None else 0
        self.lost = opener is None
        self._file = file
        self._segment = segment
        self._last = last
        self._whitening = Whitening(identity, segment.number)
        self._decoder = self._decoder_at(self.border, self.chain) if self.chain is not None else None

    def __iter__(self) -> Iterator[Frame | Damage | Tear]:
        held: Frame | None = None
        held_chain = self.chain
        while True:
            found = self._next()
            chain = self._decoder.chain.copy() if self._decoder is not None else None
            if held is not None and (isinstance(found, Frame) or not self._is_torn(held, found)):
                yield self._good(held, held_chain)
                held = None
            if isinstance(found, Frame):
                if found.holes and self._last:
                    held, held_chain = found, chain
                else:
                    yield self._good(found, chain)
                continue
            place = self._resumption(found.offset)
            if place is None:
                end = self._end(found if held is None else _as_damage(held))
                if end is not None:
                    self.lost = self.lost or isinstance(end, Damage)
                    yield end
                return
            yield found
            self.lost = True
            self._decoder = self._adopted(*place)

    def _is_torn(self, held: Frame, following: Damage) -> bool:
        """Return whether a frame with holes is the last one, cut short by a crash."""
        if self._resumption(following.offset) is not None or self._end(following) is not None:
            return False
        return isinstance(self._end(_as_damage(held)), Tear)

    def _good(self, frame: Frame, chain: Chain | None) -> Frame:
        if not self.lost:
            self.border, self.chain = frame.offset + frame.extent, chain
        return frame

    def _next(self) -> Frame | Damage:
        if self._decoder is None:
            return Damage("the opener cannot be read", offset=0, seq=self._segment.first)
        while True:
            try:
                found = self._decoder.next()
            except Damage as damage:
                again = self._prefix_at(damage.offset)
                # After damage, each frame is checked from its own head; a gap in the sequence is still
                # damage.
                if self.lost and again is not None and again.first == damage.seq:
                    decoder = self._adopted(damage.offset, again)
                    if decoder is not None:
                        self._decoder = decoder
                        continue
                return damage
            if isinstance(found, Frame):
                return found
            data = self._file.pread(self._read, READ_CHUNK) if found is Want.MORE else b""
            if not data:
                seq = self._decoder.chain.frontier.size + 1
                return Damage(found.value, offset=self._decoder.offset, seq=seq, extent=self._decoder.extent)
            self._read += len(data)
            self._decoder.feed(data)

    def _end(self, damage: Damage) -> Tear | Damage | None:
        """Return the reason why no valid frame follows; None for a clean end."""
        if not self._last:
            return None if damage.offset == self._file.size() else damage
        try:
            return judge(self._file, damage)
        except Corrupt:
            return damage

    def _resumption(self, offset: int) -> tuple[int, Prefix] | None:
        """Return the first place from `offset` on where a frame starts that is valid in itself."""
        size = self._file.size()
        for start in range(offset, size, READ_CHUNK):
            data = self._file.pread(start, READ_CHUNK)
            for at in range(start, start + len(data), SECTOR):
                if data[at - start]:
                    prefix = self._prefix_at(at)
                    if prefix is not None and self._decodes(at, prefix):
                        return at, prefix
        return None

    def _prefix_at(self, offset: int) -> Prefix | None:
        data = self._file.pread(offset, PREFIX_BYTES)
        return parse_prefix(data) if len(data) == PREFIX_BYTES else None

    def _decodes(self, offset: int, prefix: Prefix) -> bool:
        decoder = self._adopted(offset, prefix)
        if decoder is None:
            return False
        decoder.feed(self._file.pread(offset, prefix.extent))
        try:
            return isinstance(decoder.next(), Frame)
        except Damage:
            return False

    def _adopted(self, offset: int, prefix: Prefix) -> Decoder | None:
        """Return a decoder that trusts the frame at `offset` about the tree before it."""
        head = self._file.pread(offset + PREFIX_BYTES, prefix.head_length)
        if not prefix.covers(head):
            return None
        try:
            size, root, _ = parse_head(head)
        except ValueError:
            return None
        if size != prefix.first - 1:
            return None
        return self._decoder_at(offset, Chain(Believed(size, root), 0))

    def _decoder_at(self, offset: int, chain: Chain) -> Decoder:
        self._read = offset
        return Decoder(chain, segment=self._segment.number, offset=offset, whitening=self._whitening)


def _as_damage(frame: Frame) -> Damage:
    hole = frame.holes[0]
    reason = f"a part of record {hole.seq} does not open its commitment"
    return Damage(reason, offset=frame.offset, seq=frame.records[0].header.seq, extent=frame.extent)
