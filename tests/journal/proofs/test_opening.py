"""A part with its salt, for those who have a header and nothing else."""

from __future__ import annotations

import pytest

from retain import journal
from retain.journal import BadTarget, Corrupt, Draft, JournalOptions, Part
from retain.journal.format.limits import PREFIX_BYTES
from retain.journal.lookup.index import write_indexes
from retain.journal.proofs.opening import exhibit, opened
from retain.journal.segments.files import list_segments
from retain.journal.testing.memory import MemoryDisk

SMALL = JournalOptions(
    segment_bytes=12 << 10, reserve_bytes=16 << 10, step_bytes=4 << 10, ballast_bytes=8 << 10
)


@pytest.fixture
def disk() -> MemoryDisk:
    """Several segments of three records a frame."""
    disk = MemoryDisk()
    log = journal.open_journal(disk, lambda record: None, options=SMALL)
    for number in range(60):
        drafts = [Draft(1, 1, bytes(16), 1, b"\x01", bytes([number, part]) * 300) for part in range(3)]
        log.reserve()
        log.append(drafts, 1)
    log.close()
    return disk


def test_every_part_opens_its_own_commitment(disk: MemoryDisk) -> None:
    records = list(journal.scan(disk))
    assert len(records) == 180
    for record in records[::7]:
        header = record.header
        for part, body, commitment in (
            (Part.DETAILS, record.details, header.details_commitment),
            (Part.CONTENT, record.content, header.content_commitment),
        ):
            shown = exhibit(disk, header.seq, part)
            assert shown is not None
            assert opened(shown, commitment) == body
            assert opened(shown, bytes(32)) is None
            assert opened(shown[:-1], commitment) is None


def test_a_part_that_was_never_there_has_no_exhibit() -> None:
    disk = MemoryDisk()
    log = journal.open_journal(disk, lambda record: None, options=SMALL)
    log.append([Draft(1, 1, bytes(16), 1, b"who", b""), Draft(1, 1, bytes(16), 1, b"", b"what")], 1)
    assert exhibit(disk, 1, Part.CONTENT) is None
    assert exhibit(disk, 2, Part.DETAILS) is None
    assert exhibit(disk, 1, Part.DETAILS) is not None


def test_a_damaged_head_is_told_also_where_an_index_leads_to_it(disk: MemoryDisk) -> None:
    assert write_indexes(disk) > 0
    segment = list_segments(disk)[0]
    with disk.open(segment.file, write=True) as file:
        place = 512 + PREFIX_BYTES + 5
        file.pwrite(place, bytes([file.pread(place, 1)[0] ^ 1]))
    with pytest.raises(Corrupt, match="no frame starts here"):
        exhibit(disk, 1, Part.CONTENT)


@pytest.mark.parametrize("seq", [0, 181, 10**6])
def test_there_is_no_exhibit_of_a_record_that_is_not_there(disk: MemoryDisk, seq: int) -> None:
    with pytest.raises(BadTarget):
        exhibit(disk, seq, Part.CONTENT)
