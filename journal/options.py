"""Options of a journal: sizes that an operator or a test may choose."""

from __future__ import annotations

from dataclasses import dataclass

from retain.journal.format.limits import (
    BALLAST_BYTES,
    BATCH_BYTES,
    FRAME_ROOM,
    READ_HANDLES,
    SEGMENT_BYTES,
    STEP_BYTES,
    frame_room,
)


@dataclass(frozen=True, slots=True)
class JournalOptions:
    """Sizes in bytes.

    `segment_bytes`: from here on a segment is full (it may end up to one batch later). Smaller ones are seen
    in tests only. `reserve_bytes`: room that `Journal.reserve` guarantees, at most `limits.BATCH_BYTES`, and
    at least what the smallest batch takes; no batch may be larger than `batch_room` then. `step_bytes`: how
    much is reserved at once if the disk has it. `ballast_bytes`: kept to be given back when the disk is full;
    0 for none. `read_handles`: segments kept open for reading.

    `shared`: the folder follows a shared log (`retain.journal.shared`), and appends only while it leads.
    `identity`: of the journal that an empty folder gets; drawn if empty. A node that joins gets the others'.
    `verifiers`: most processes that verify sealed segments while this one applies their records; None: one
    for each further processor, if there is enough to verify.
    `segment_age_ns`: a segment also ends when its first record is so old, in nanoseconds; 0: by size alone.
    """

    segment_bytes: int = SEGMENT_BYTES
    reserve_bytes: int = BATCH_BYTES
    step_bytes: int = STEP_BYTES
    ballast_bytes: int = BALLAST_BYTES
    read_handles: int = READ_HANDLES
    shared: bool = False
    segment_age_ns: int = 0
    identity: bytes = b""
    verifiers: int | None = None

    def __post_init__(self) -> None:
        assert 0 < self.segment_bytes < 1 << 31, "an offset in a segment must fit into 32 bits"
        assert 0 < self.reserve_bytes <= BATCH_BYTES, "a reserve larger than the largest batch is never used"
        assert self.reserve_bytes >= frame_room(1), "not even the smallest batch fits into the reserve"

    @property
    def batch_room(self) -> int:
        """Sum of `limits.draft_room` that always fits into what is reserved; `limits.FRAME_ROOM` by default.

        Space is reserved before a batch is decided: a larger batch could fail on a full disk after it was
        applied.
        """
        return self.reserve_bytes - (BATCH_BYTES - FRAME_ROOM)
