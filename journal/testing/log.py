"""A journal without files, for tests of code that uses `retain.journal.log`: frames in a list.

Its frames are, byte for byte, those that segment files would hold: the same places, salts and whitening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from retain.journal.errors import Corrupt, PositionMismatch, WriteFailed
from retain.journal.format.codec import Decoder, encode_batch, salts_needed
from retain.journal.format.frame import Chain, Damage, Frame
from retain.journal.format.limits import SECTOR
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import Draft, Head, Position, Record
from retain.journal.format.whitening import Whitening
from retain.journal.log import Committed

SEGMENT_BYTES = 64 << 20
_FIRST = SECTOR
"""Where the first frame of the first segment starts: after its opener, a sector."""


class MemoryLog:
    """A journal in memory.

    Args:
        identity: 16 bytes.
        entropy: Salts.
        opener_bytes: Return the length of a segment's opener, by its number and the tree before it.
        segment_bytes: From here on a segment is full.

    Attributes:
        fails: The next append or receive fails as a broken disk does, and so do all later ones.

    """

    def __init__(
        self,
        identity: bytes,
        entropy: Callable[[int], bytes],
        *,
        opener_bytes: Callable[[bytes, int, Chain], int] = lambda *_: _FIRST,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.identity = identity
        self.fails = False
        self._entropy = entropy
        self._opener_bytes = opener_bytes
        self._segment_bytes = segment_bytes
        self._chain = Chain(Frontier(), 0)
        self._frames: list[tuple[Committed, list[Record], Head]] = []
        self._contents: dict[int, bytes] = {}
        first = opener_bytes(identity, 1, self._chain)
        self._head = Head(0, 0, self._chain.frontier.root(), 1, first)

    @property
    def head(self) -> Head:
        """Return where the journal ends."""
        return self._head

    def append(self, drafts: Sequence[Draft], time: int) -> list[int]:
        """Append the drafts as one frame; see `retain.journal.log.Log.append`."""
        head, time = self._head, max(time, self._head.time)
        number, offset = head.segment, head.offset
        if offset >= self._segment_bytes:
            number, offset = number + 1, self._opener_bytes(self.identity, number + 1, self._chain)
        batch = encode_batch(
            drafts,
            Chain(self._chain.frontier, time),
            head.root,
            segment=number,
            offset=offset,
            whitening=Whitening(self.identity, number),
            salts=self._entropy(salts_needed(drafts)),
        )
        self.receive(Committed(number, offset, head.seq + len(drafts), batch.data))
        return batch.addresses

    def receive(self, committed: Committed) -> list[Record]:
        """Append a frame of the journal that this one follows; see `retain.journal.log.Log.receive`."""
        if self.fails:
            raise WriteFailed("the memory journal was told to fail")
        number, offset, last, data = committed
        head = self._head
        turned = (head.segment + 1, self._opener_bytes(self.identity, head.segment + 1, self._chain))
        if (number, offset) not in ((head.segment, head.offset), turned):
            raise Corrupt(f"the frame does not follow record {head.seq}", seq=head.seq + 1)
        chain = Chain(self._chain.frontier.copy(), head.time)
        decoder = Decoder(chain, segment=number, offset=offset, whitening=Whitening(self.identity, number))
        decoder.feed(data)
        try:
            frame = decoder.next()
        except Damage as damage:
            raise Corrupt(str(damage), seq=head.seq + 1) from damage
        if not isinstance(frame, Frame) or frame.holes or frame.extent != len(data):
            raise Corrupt("the frame is not whole", seq=head.seq + 1)
        if decoder.chain.frontier.size != last:
            raise Corrupt(f"the frame does not end with record {last}", seq=head.seq + 1)
        self._chain = decoder.chain
        time = decoder.chain.time
        self._head = Head(last, time, frame.root, number, offset + len(data))
        self._frames.append((committed, frame.records, self._head))
        for record in frame.records:
            if record.content:
                self._contents[record.content_at] = record.content
        return frame.records

    def tail(self, after: Position | None = None) -> MemoryTail:
        """Return a reader of what follows `after`; see `retain.journal.log.Log.tail`."""
        return MemoryTail(self, self._frames, after)

    def content(self, address: int) -> bytes | None:
        """Return the content at an address."""
        if address not in self._contents:
            raise Corrupt(f"no content can be at address {address:#x}")
        return self._contents[address]


class MemoryTail:
    """A place between two frames of a `MemoryLog`."""

    def __init__(
        self,
        log: MemoryLog,
        frames: Sequence[tuple[Committed, list[Record], Head]],
        after: Position | None,
    ) -> None:
        self._frames = frames
        self._next = 0
        empty = Frontier()
        self._head = Head(0, 0, empty.root(), 1, _FIRST) if frames else log.head
        if after is None or after == self._head.position:
            return
        for at, (_, _, head) in enumerate(frames, 1):
            if head.position == after:
                self._next, self._head = at, head
                return
        raise PositionMismatch(f"the journal never had that root at record {after.seq}", seq=after.seq)

    @property
    def head(self) -> Head:
        """Return the end of the last frame that was taken."""
        return self._head

    def frames(self, until: int) -> Iterator[tuple[Committed, list[Record]]]:
        """Yield the frames up to record `until`."""
        while self._head.seq < until:
            if self._next == len(self._frames):
                raise Corrupt(f"record {until} was reported durable, but no frame is there")
            committed, records, self._head = self._frames[self._next]
            self._next += 1
            yield committed, records

    def close(self) -> None:
        """Do nothing: nothing is open."""
