"""An open journal: append, read single parts, erase. Only `open_journal` creates one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import RLock

from retain.journal.compaction.compaction import Compaction
from retain.journal.disk.interface import Disk
from retain.journal.erasure.ledger import Ledger, Range, pack_ranges, pack_seqs, ranges_of
from retain.journal.erasure.locate import Places, Spot
from retain.journal.erasure.owed import OwedErasures
from retain.journal.erasure.zero import ErasurePlan, blank, wipe
from retain.journal.errors import (
    BadTarget,
    Closed,
    Corrupt,
    Fenced,
    NoSpace,
    PositionMismatch,
    Shortage,
    Unsettled,
    WriteFailed,
)
from retain.journal.format.limits import ERASE_RANGES, PART_ALIGN, frame_room
from retain.journal.format.record import Draft, Head, Part, Position, Record, Verb, place
from retain.journal.log import Commit, Committed
from retain.journal.lookup.contents import Contents
from retain.journal.options import JournalOptions
from retain.journal.segments.anchor import anchor_at, write_anchor
from retain.journal.segments.files import FOLDER, Segment, broken_files
from retain.journal.segments.reader import SegmentReader
from retain.journal.tail import FileTail
from retain.journal.writer import ballast
from retain.journal.writer.appender import Appender

_CLOSING_BYTES = 16


class Journal:
    """An open journal. One thread at a time appends, reserves, erases and anchors; any number read content.

    After a write or sync failed, all changes raise `WriteFailed`; what is durable can still be read.

    Where the folder follows a shared log (`JournalOptions.shared`), it receives frames and appends none until
    `lead`. From then on each frame is committed there first; `Fenced` and `Unsettled` are as final.
    """

    def __init__(
        self,
        disk: Disk,
        segments: Sequence[Segment],
        last: SegmentReader,
        options: JournalOptions,
        entropy: Callable[[int], bytes],
    ) -> None:
        """Take over what `open_journal` has read; the last segment ends where `last` says."""
        self.notices: tuple[str, ...] = ()
        self._disk = disk
        self._options = options
        self._identity = last.opener.identity
        self._segments = {segment.number: segment for segment in segments}
        self._contents = Contents(disk, last.opener.identity, options.read_handles)
        self._places = Places(disk)
        self._end = Appender(
            disk, last, options, entropy, whitening=self._contents.whitening, started=self._add
        )
        self._compaction = Compaction(disk, self._changing, self._replaced)
        self._owed = OwedErasures()
        self._turned = 0
        self._lock = RLock()
        self._failure = ""
        self._closed = False

    @property
    def head(self) -> Head:
        """Where the journal ends, durably."""
        return self._end.head

    @property
    def identity(self) -> bytes:
        """16 random bytes, the same for the journal's whole life."""
        return self._identity

    def reserve(self) -> None:
        """Reserve space for the next `append`; start a new segment if this one is full.

        Raises `NoSpace`, with nothing changed; `WriteFailed`, `Closed`.
        """
        with self._changing("reserving room"):
            self._end.make_room(self._options.reserve_bytes)

    def release_ballast(self) -> bool:
        """Release the ballast. False if there was none."""
        with self._changing("giving the ballast back"):
            return ballast.release(self._disk)

    def restore_ballast(self) -> bool:
        """Reserve the ballast again. False if the disk is too full."""
        with self._changing("setting ballast aside"):
            return ballast.restore(self._disk, self._options.ballast_bytes)

    def append(self, drafts: Sequence[Draft], time: int) -> list[int]:
        """Write the drafts as one frame and sync; returns each content's address, -1 if there is none.

        All records get `time` (nanoseconds), or the last record's time if that is later.
        `limits.draft_room` and `limits.FRAME_ROOM` define what fits. Raises `ValueError` if it does not,
        with nothing changed; raises `WriteFailed`, which is final, and `Closed`.
        """
        with self._changing("appending"):
            return self._end.append(drafts, time)

    def receive(self, committed: Committed) -> list[Record]:
        """Append the next frame of the journal that this one follows, byte for byte; return its records.

        What an erase record among them names is still to be overwritten here: call `overwrite_owed`. Before a
        frame with an erased record is written, that is done at once: it says that nothing is left.

        Raises `Corrupt` (no such frame) and `NoSpace`, with nothing changed; `WriteFailed`, `Closed`.
        """
        with self._changing("following"):
            assert self._end.commit is None, "a journal that leads receives nothing"
            if not self._options.shared:
                return self._end.receive(committed).records
            records = self._end.receive(committed, self._before).records
            try:
                self._owed.note(records)
            except ValueError as error:
                raise Corrupt(f"the frame that ends with record {committed.last}: {error}") from error
            return records

    def lead(self, commit: Commit, end: Position, segment: int) -> None:
        """Append from here on, each frame committed by `commit` first.

        `end` and `segment` are where the shared log ends: all of it must have been received. Erasures that
        are open (`open_erasures`) must be closed before another one begins.

        Raises `PositionMismatch` if this journal ends elsewhere; `WriteFailed`, `Closed`.
        """
        with self._changing("beginning to lead"):
            assert self._options.shared, "a journal that stands alone has nobody to lead"
            head = self._end.head
            if head.position != end or head.segment > segment:
                raise PositionMismatch(
                    f"this folder's journal ends with record {head.seq} in segment {head.segment}, the "
                    f"shared log with record {end.seq} in segment {segment}, and they are not the same",
                    seq=head.seq,
                )
            self._end.commit, self._end.least = commit, segment
            self._keep_for_closing()

    def end_segment(self, time: int) -> bool:
        """Begin a new segment if the last one is older than `JournalOptions.segment_age_ns` at `time`.

        For a leader that nobody writes to: the shared log drops whole segments only. It begins with an erased
        record that names nothing. False where nothing was due.

        Raises `NoSpace`, with nothing changed; `WriteFailed`, `Closed`, `Fenced`, `Unsettled`.
        """
        with self._changing("ending a segment"):
            if self._end.kept or self._end.head.seq == self._turned or not self._end.is_aged(time):
                return False
            content = pack_seqs([])
            self._end.make_room(frame_room(len(content)), time)
            self._turned = self._end.append_own(Verb.ERASED, 0, content, time)
            return True

    def tail(self, after: Position | None = None) -> FileTail:
        """Return a reader of what follows `after`; see `retain.journal.log.Log`."""
        if self._closed:
            raise Closed("the journal is closed")
        return FileTail(self._disk, after)

    def content(self, address: int) -> bytes | None:
        """Return the content at an address from `append` or a record; None if it was erased. From any thread.

        Checked with the part's own CRC. Raises `Corrupt` where no sound part is at the address; `OSError`.
        """
        if self._closed:
            raise Closed("the journal is closed")
        number, offset = place(address)
        segment = self._segments.get(number)
        head = self._end.head
        if segment is None or offset % PART_ALIGN or (number == head.segment and offset >= head.offset):
            raise Corrupt(f"no content can be at address {address:#x}", offset=offset)
        return self._contents.read(segment, offset)

    # --- erasing -----------------------------------------------------------------------------------------
    #
    # The order of durability. Each step is synced before the next one begins:
    #
    # 1. `begin_erasure` appends the erase record. From its sync on, every reader takes the parts as erased.
    # 2. `blank` writes zeros over the parts in their segments.
    # 3. `end_erasure` appends the erased record: nothing of the parts is left on the disk.
    #
    # A crash before 1 leaves everything as it was. After a crash between 1 and 3, the next start finds an
    # erase record without its erased record, and repeats 2 and 3 (`finish_erasures`). Zeros without an erase
    # record would be damage, so 2 never comes before 1.

    def erase(self, targets: Sequence[tuple[int, Part]], cause: int, time: int) -> None:
        """Make the named parts of the named records unreadable for ever, from the erase record's sync on.

        Returns when zeros are durable over all of them. Calls the four methods below, one after the other,
        and raises what they raise. Many targets need several erase records, so a first portion may be erased
        when an error occurs.
        """
        self._check()
        for plan in self.plan_erasures(targets, cause):
            self.begin_erasure(plan, time)
            self.blank(plan)
            self.end_erasure(plan, time)

    def plan_erasures(self, targets: Sequence[tuple[int, Part]], cause: int) -> list[ErasurePlan]:
        """Find the places of the named parts of the named records. From any thread; changes nothing.

        `cause` is stored in the erase records' headers. Raises `BadTarget`, `Corrupt`, `OSError`.
        """
        ranges = ranges_of(targets)
        portions = (ranges[at : at + ERASE_RANGES] for at in range(0, len(ranges), ERASE_RANGES))
        return [ErasurePlan(portion, self._find(portion), cause) for portion in portions]

    def begin_erasure(self, plan: ErasurePlan, time: int) -> None:
        """Append the erase record: from here on the parts count as erased.

        Only one erasure is in progress at a time. `append` and `reserve` continue until it is ended, but no
        new segment begins.

        Raises `NoSpace`, with nothing changed; `WriteFailed`, `Closed`.
        """
        with self._changing("erasing"):
            assert not self._end.kept, "an erasure has not been ended, or closed"
            content, closing = pack_ranges(plan.ranges), frame_room(_CLOSING_BYTES)
            self._end.make_room(frame_room(len(content)) + closing)
            self._forget(plan.spots)
            plan.seq = self._end.append_own(Verb.ERASE, plan.cause, content, time)
            self._owed.begun(plan.seq, plan.ranges)
            self._end.kept = closing
            self._compaction.note(plan.spots)

    def blank(self, plan: ErasurePlan) -> None:
        """Write zeros over the parts, durably.

        May be called from any thread, between `begin_erasure` and `end_erasure`; the journal continues
        meanwhile. Raises `Shortage`: call it again; `WriteFailed`, `Closed`.
        """
        self._check()
        with self._final("erasing"), self._compaction.settled:
            try:
                blank(self._disk, plan.spots, self._segments)
            except Shortage:
                raise
            except NoSpace as error:  # copy-on-write file systems need space to overwrite; the record stays
                raise OSError(str(error)) from error
            finally:
                self._forget(plan.spots)  # also contents read since the record was appended
            self._owed.done_here(plan.seq)

    def end_erasure(self, plan: ErasurePlan, time: int) -> None:
        """Append the erased record, after `blank`; its space was reserved. Raises `WriteFailed`, `Closed`."""
        with self._changing("erasing"):
            self._end.kept = 0
            self._end.append_own(Verb.ERASED, plan.cause, pack_seqs([plan.seq]), time)
            self._owed.closed([plan.seq])

    # What follows concerns folders that follow a shared log. Each of them carries out every erasure; the
    # leader closes those that a former leader began.

    @property
    def overwritten(self) -> int:
        """The last record up to which all that was erased is overwritten in this folder."""
        seq = self._end.head.seq
        return min([erase - 1 for erase, _ in self._owed.here] or [seq])

    @property
    def open_erasures(self) -> list[int]:
        """Erase records without an erased record; a leader closes them once all nodes have overwritten."""
        return self._owed.open

    def overwrite_owed(self) -> None:
        """Overwrite what received erase records name. From any thread, one at a time.

        Raises `Shortage`: call it again; `WriteFailed`, `Closed`, `Corrupt`.
        """
        self._check()
        for seq, ranges in self._owed.here:
            plan = ErasurePlan(ranges, self._find(ranges, own=True), 0, seq)
            with self._changing("erasing"):
                self._compaction.note(plan.spots)
            self.blank(plan)

    def close_erasures(self, seqs: Sequence[int], time: int) -> None:
        """Append the erased record of erasures that a former leader began, once all nodes have overwritten.

        Raises `NoSpace`, with nothing changed; `WriteFailed`, `Closed`, `Fenced`, `Unsettled`.
        """
        with self._changing("erasing"):
            content = pack_seqs(seqs)
            self._end.make_room(frame_room(len(content)))
            self._end.append_own(Verb.ERASED, 0, content, time)
            self._owed.closed(seqs)
            self._keep_for_closing()

    def _keep_for_closing(self) -> None:
        """Begin no segment, and keep room, while an erasure is open: the last segment records it."""
        seqs = self._owed.open
        self._end.kept = frame_room(len(pack_seqs(seqs))) if seqs else 0

    def _before(self, records: Sequence[Record]) -> None:
        """Carry out what is owed before an erased record is written."""
        if any(record.header.verb == Verb.ERASED for record in records):
            self.overwrite_owed()

    def finish_erasures(self, ledger: Ledger) -> int | None:
        """Carry out the erasures that a crash interrupted; return how many parts, None if no erasure.

        `open_journal` calls it before anything else is appended. A folder that follows a shared log appends
        no erased record: the leader does. Raises `NoSpace`, `WriteFailed`, `Corrupt`.
        """
        spots = [Spot(*place(at), size) for at, size in ledger.remains]
        for ranges in ledger.interrupted.values():
            spots += self._find(ranges, own=True)
        if not spots and not ledger.interrupted:
            return None
        with self._changing("erasing"):
            blank(self._disk, spots, self._segments)
            if self._options.shared:
                self._owed.interrupted(ledger.interrupted)
            elif ledger.interrupted:
                content = pack_seqs(list(ledger.interrupted))
                self._end.make_room_here(frame_room(len(content)))
                self._end.append_own(Verb.ERASED, 0, content, self._end.head.time)
        return len(spots)

    # --- the anchor, torn tails, compaction, the end -----------------------------------------------------

    def write_anchor(self) -> None:
        """Write the journal's end durably into the anchor.

        Raises `NoSpace`: the last one remains; `WriteFailed`.
        """
        with self._changing("writing the anchor"):
            write_anchor(self._disk, anchor_at(self._end.head))

    def discard_broken(self) -> list[str]:
        """Overwrite and remove the copies of torn tails that earlier starts kept; returns their names."""
        with self._changing("discarding torn tails"):
            names = broken_files(self._disk)
            for name in names:
                wipe(self._disk, name)
            if names:
                self._disk.sync_folder(FOLDER)
            return names

    def sparse(self, most: int = 16) -> list[int]:
        """Return the numbers of sealed segments worth a `rewrite`: over a quarter of their payload is erased.

        Reads segments that it has not examined, and those with later erasures; at most `most` of them in one
        call. Call it from any thread, and again after erasures. Raises `Corrupt`, `OSError`.
        """
        return self._compaction.sparse(self._sealed(), most)

    def rewrite(self, number: int) -> int:
        """Replace a sealed segment by a file without its erased parts; returns the freed bytes.

        Addresses do not change. From any thread, one at a time; appending continues meanwhile, except during
        the change of names. A part erased from the segment meanwhile is erased from all files when this
        returns, or after the next start. Raises `NoSpace`, with nothing changed; `WriteFailed`, `Closed`,
        `Corrupt`.
        """
        segment = next((one for one in self._sealed() if one.number == number), None)
        if segment is None:
            raise BadTarget(f"there is no sealed segment {number}")
        with self._final("rewriting a segment"):
            return self._compaction.rewrite(segment)

    def build_index(self) -> bool:
        """Write the index of one sealed segment that has none; False if all have. From any thread.

        Raises `NoSpace`, `Corrupt`, `WriteFailed`, `Closed`.
        """
        with self._final("writing an index"):
            return self._compaction.build_index(self._sealed())

    def close(self) -> None:
        """Trim the reserved space, write the anchor, release the folder. May be called twice.

        Raises `WriteFailed`; the folder is released nevertheless.
        """
        with self._lock:
            if self._closed:
                return
            try:
                if not self._failure:
                    with self._final("close"), suppress(NoSpace):  # the previous anchor remains valid
                        self._end.trim()
                        write_anchor(self._disk, anchor_at(self._end.head))
            finally:
                self.abandon()
                self._disk.unlock()

    def abandon(self) -> None:
        """Close the files and nothing else, after a failed opening."""
        self._closed = True
        self._end.close()
        self._contents.close()

    @contextmanager
    def _changing(self, doing: str) -> Iterator[None]:
        """Allow one change at a time. After one that fails with an `OSError`, no more are allowed."""
        with self._lock:
            self._check()
            with self._final(doing):
                try:
                    yield
                except (Fenced, Unsettled) as error:
                    # The frame may be in the shared log, or another one in its place: only a start can tell.
                    self._failure = f"{doing} failed, the journal must be read again by a restart: {error}"
                    raise

    def _check(self) -> None:
        if self._closed:
            raise Closed("the journal is closed")
        if self._failure:
            raise WriteFailed(self._failure)

    @contextmanager
    def _final(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failure = f"{doing} failed, the journal must be read again by a restart: {error}"
            raise WriteFailed(self._failure) from error

    def _sealed(self) -> list[Segment]:
        return [
            segment for segment in list(self._segments.values()) if segment.number < self._end.head.segment
        ]

    def _add(self, segment: Segment) -> None:
        self._segments[segment.number] = segment

    def _replaced(self, old: Segment, new: Segment) -> None:
        self._segments[new.number] = new
        self._contents.forget(old)

    def _forget(self, spots: Sequence[Spot]) -> None:
        self._contents.drop([(spot.segment, spot.offset) for spot in spots])

    def _find(self, ranges: Sequence[Range], *, own: bool = False) -> list[Spot]:
        head = self._end.head
        with self._compaction.settled:
            return self._places.find(ranges, list(self._segments.values()), head, own=own)
