"""The growing end of an open journal: appends frames in space reserved before.

It takes no lock; `journal.journal` does.

Where the folder follows a shared log, a frame is committed there between its encoding and its writing here.
A new segment then begins with the frame that is its first, and only once that is committed: so no folder ever
ends in a segment that the others do not have.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt, NoSpace
from retain.journal.format.codec import Decoder, encode_batch, salts_needed
from retain.journal.format.frame import Chain, Damage, Frame
from retain.journal.format.limits import OFFSET_LIMIT
from retain.journal.format.merkle import Frontier
from retain.journal.format.record import NO_RESOURCE, Draft, Head, Record, Verb
from retain.journal.format.whitening import Whitening
from retain.journal.log import Commit, Committed
from retain.journal.options import JournalOptions
from retain.journal.segments.files import Segment, create_segment, pack_opener
from retain.journal.segments.reader import SegmentReader
from retain.journal.writer import ballast
from retain.journal.writer.live import LiveSegment


class Appender:
    """Start at the end of the journal. `started` receives each new segment, while it is still empty.

    `kept` bytes behind the end are for a record that closes what was begun: no room that is found counts
    them, and no new segment begins meanwhile.

    `commit` is where frames are committed first; None where this journal stands alone, or only receives.
    `least` is the segment that the next frame must not be before.
    """

    def __init__(
        self,
        disk: Disk,
        last: SegmentReader,
        options: JournalOptions,
        entropy: Callable[[int], bytes],
        *,
        whitening: Callable[[int], Whitening],
        started: Callable[[Segment], None],
    ) -> None:
        self.kept = 0
        self.commit: Commit | None = None
        self.least = 0
        self._turns = False
        self._disk = disk
        self._options = options
        self._entropy = entropy
        self._whitening = whitening
        self._started = started
        self._identity = last.opener.identity
        self._frontier = last.chain.frontier
        size, root = self._frontier.size, self._frontier.root()
        self.head = Head(size, last.chain.time, root, last.segment.number, last.offset)
        self._since = (last.opener.chain.time or last.chain.time) if size >= last.segment.first else 0
        self._live = LiveSegment(disk, last.segment, last.offset)

    def make_room(self, need: int, time: int = 0) -> None:
        """Find room for frames of `need` bytes, in a new segment where this one is full or, at `time`, old.

        Raises `NoSpace`, with nothing changed; `OSError`.
        """
        options = self._options
        is_full = self.head.offset >= options.segment_bytes or self.is_aged(max(time, self.head.time))
        is_due = is_full and self.head.seq >= self._live.segment.first and not self.kept
        if is_due and not options.shared:
            self._roll()
        self._turns = options.shared and (is_due or self.head.segment < self.least)
        need += self._opener_bytes() if self._turns else 0  # found here, and given to the next segment
        offset = self.head.offset
        self._live.reserve(offset + need + self.kept, min(offset + options.step_bytes, options.segment_bytes))

    def is_aged(self, time: int) -> bool:
        """Return whether the segment has records of which the first is too old at `time`."""
        age = self._options.segment_age_ns
        return bool(age and self._since and time - self._since >= age)

    def make_room_here(self, need: int) -> None:
        """Append in this segment even if it is full, with the ballast if necessary."""
        end = self.head.offset + need
        try:
            self._live.reserve(end, end)
        except NoSpace:
            if not ballast.release(self._disk):
                raise
            self._live.reserve(end, end)

    def append(self, drafts: Sequence[Draft], time: int) -> list[int]:
        """Append one frame and sync; see `Journal.append`.

        Raises `ValueError`, `OSError`: the latter is final, a full disk included.
        """
        head, turns = self.head, self._turns
        assert self.commit or not self._options.shared, "a journal that follows appends nothing of its own"
        time = max(time, head.time)
        number, offset = (head.segment + 1, self._opener_bytes()) if turns else (head.segment, head.offset)
        batch = encode_batch(
            drafts,
            Chain(self._frontier, time),
            head.root,
            segment=number,
            offset=offset,
            whitening=self._whitening(number),
            salts=self._entropy(salts_needed(drafts)),
        )
        assert offset + len(batch.data) < OFFSET_LIMIT, "reserve() was not called in time"
        frontier = self._frontier
        if self.commit is not None:
            frontier = frontier.copy()
            for leaf in batch.leaves:
                frontier.append(leaf)
            self.commit(Committed(number, offset, frontier.size, batch.data), head.seq, frontier.root())
        try:
            if turns:
                self._roll()
                self._live.reserve(offset + len(batch.data), offset + len(batch.data))
            self._live.file.pwrite(offset, batch.data)
            self._sync()
        except NoSpace as error:  # after the state has changed there is no way back: as final as any other
            raise OSError(str(error)) from error
        if self.commit is None:
            for leaf in batch.leaves:
                frontier.append(leaf)
        self._frontier = frontier
        self._end(Head(frontier.size, time, frontier.root(), number, offset + len(batch.data)))
        return batch.addresses

    def receive(self, committed: Committed, met: Callable[[Sequence[Record]], None] | None = None) -> Frame:
        """Append a frame of another journal; see `Log.receive`. `met` gets its records before it is written.

        Raises `Corrupt`, with nothing written; `NoSpace`, `OSError`.
        """
        number, offset, last, data = committed
        head = self.head
        follows = number == head.segment + 1 and head.seq >= self._live.segment.first
        start = self._opener_bytes() if follows else 0
        if (number, offset) != (head.segment + follows, start if follows else head.offset):
            place = f"{number:08x}, offset {offset}"
            raise Corrupt(f"the frame of segment {place} does not follow record {head.seq}", seq=head.seq + 1)
        whitening = self._whitening(number)
        chain = Chain(self._frontier.copy(), head.time)
        frame, frontier, time = checked(data, chain, segment=number, offset=offset, whitening=whitening)
        if frontier.size != last:
            raise Corrupt(f"the frame ends with record {frontier.size}, not {last}", seq=head.seq + 1)
        if met is not None:
            met(frame.records)
        if follows:
            self._roll()
        self._live.reserve(offset + len(data), offset + max(len(data), self._options.step_bytes))
        try:
            self._live.file.pwrite(offset, data)
            self._sync()
        except NoSpace as error:
            raise OSError(str(error)) from error
        self._frontier = frontier
        self._end(Head(frontier.size, time, frame.root, number, offset + len(data)))
        return frame

    def append_own(self, verb: Verb, cause: int, content: bytes, time: int) -> int:
        """Append a record of the journal's own; returns its number. Raises `OSError`."""
        self.append([Draft(verb, 0, NO_RESOURCE, cause, b"", content)], time)
        return self.head.seq

    def trim(self) -> None:
        """Give back the room after the end, durably. Raises `OSError`."""
        self._live.trim(self.head.offset)

    def close(self) -> None:
        """Close the segment's file."""
        self._live.file.close()

    def _roll(self) -> None:
        """Seal the live segment and start a new one. `NoSpace` leaves it sealed; the next call retries."""
        head = self.head
        self.trim()
        segment, size = create_segment(
            self._disk, self._identity, head.segment + 1, Chain(self._frontier, head.time)
        )
        live = LiveSegment(self._disk, segment, size)
        self._live.file.close()
        self._live = live
        self._started(segment)
        self.head = head._replace(segment=segment.number, offset=size)

    def _end(self, head: Head) -> None:
        if self.head.seq < self._live.segment.first:
            self._since = head.time
        self.head = head
        self._turns = False

    def _opener_bytes(self) -> int:
        """Return the length of the next segment's opener."""
        head = self.head
        return len(pack_opener(self._identity, head.segment + 1, Chain(self._frontier, head.time)))

    def _sync(self) -> None:
        self._live.file.sync()


def checked(
    data: bytes, chain: Chain, *, segment: int, offset: int, whitening: Whitening
) -> tuple[Frame, Frontier, int]:
    """Return the frame that `data` is, which must continue `chain`, and the tree and time after it.

    Raises `Corrupt` where it is no good and whole frame: with a part that was erased it is none.
    """
    seq = chain.frontier.size + 1
    decoder = Decoder(chain, segment=segment, offset=offset, whitening=whitening)
    decoder.feed(data)
    try:
        frame = decoder.next()
    except Damage as damage:
        raise Corrupt(
            f"the frame of record {seq} does not continue this journal: {damage}", seq=seq
        ) from damage
    if not isinstance(frame, Frame) or frame.holes or frame.extent != len(data):
        raise Corrupt(f"the frame of record {seq} is not whole", seq=seq)
    return frame, decoder.chain.frontier, decoder.chain.time
