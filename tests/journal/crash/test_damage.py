"""T1 and T2: files cut at every byte, every byte changed in three ways: refused, or nothing is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

import pytest

from retain.journal.disk.interface import SECTOR
from retain.journal.errors import JournalError
from retain.journal.format.record import Draft, Part
from retain.journal.segments.files import ANCHOR_FILE
from retain.journal.testing.memory import MemoryDisk
from tests.kit.crash import SCALE, SMALL, Parts, opened, some_drafts

FLIPS_AT_SCALE_1 = 6000


@dataclass
class Built:
    """A closed journal of several segments: its files, what it holds, and what each frame's end leaves."""

    files: dict[str, bytes]
    found: dict[int, Parts]
    live: str
    ends: list[tuple[int, dict[int, Parts]]]

    def segments(self) -> list[str]:
        return [name for name in self.files if name.endswith(".journal")]


def build(seed: int, *, last: bytes = b"", close: bool = True) -> Built:
    """Batches over three segments; the last one holds `last` as content.

    Erased are parts in the first segment only: a cut that takes an erase record away is no crash, but damage.
    """
    disk, rng = MemoryDisk(), Random(seed)
    journal, _ = opened(disk, SMALL, seed)
    ends: list[tuple[int, int]] = []
    while journal.head.segment < 3 or len(ends) < 7:
        journal.reserve()
        journal.append(some_drafts(rng), 5)
        ends = [*ends, (journal.head.segment, journal.head.offset)]
        if len(ends) % 5 == 0 and journal.head.segment == 1:
            journal.erase([(journal.head.seq, Part.CONTENT), (1, Part.DETAILS)], 7, 5)
    journal.reserve()
    journal.append([Draft(1, 1, bytes(16), 1, b"who", last or b"what")], 6)
    ends.append((journal.head.segment, journal.head.offset))
    number = journal.head.segment
    if close:
        journal.close()
    files = {name: data for name, data in disk.files().items() if not name.endswith("ballast")}
    live = next(name for name in files if name.startswith(f"journal/{number:08x}-"))
    _, found = opened(MemoryDisk(files))
    points = []
    for segment, offset in ends:
        if segment == number:
            cut = {**files, live: files[live][:offset]}
            cut.pop(ANCHOR_FILE, None)
            points.append((offset, opened(MemoryDisk(cut))[1]))
    return Built(files, found, live, points)


BUILT = build(1, last=bytes(1500))


def without_anchor(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name != ANCHOR_FILE}


def outcome(files: dict[str, bytes]) -> dict[int, Parts] | None:
    """What an opened journal holds; None if it was refused by an error that names the file."""
    try:
        journal, found = opened(MemoryDisk(files))
    except JournalError as error:
        return None if error.file else {}
    journal.close()
    return found


def test_the_last_segment_cut_at_every_byte_keeps_exactly_its_whole_batches() -> None:
    files = without_anchor(BUILT.files)
    raw = files[BUILT.live]
    opener = SECTOR * -(-next(end for end in range(len(raw)) if raw[end : end + 4] == b"RETF") // SECTOR)
    before = outcome({**files, BUILT.live: raw[:opener]})
    assert before is not None
    for length in range(len(raw) + 1):
        found = outcome({**files, BUILT.live: raw[:length]})
        if length < opener:
            assert found is None, f"cut at {length}: a segment without its opener was opened"
            continue
        assert found is not None, f"cut at {length}: a torn tail was refused"
        expected = max(((end, kept) for end, kept in BUILT.ends if end <= length), default=(0, before))[1]
        assert found == expected, f"cut at {length}"


def test_the_reserved_room_may_be_cut_anywhere() -> None:
    built = build(2, close=False)
    raw = built.files[built.live]
    end = built.ends[-1][0]
    assert len(raw) > end
    for length in range(end, len(raw), 61):
        assert outcome({**built.files, built.live: raw[:length]}) == built.found


def test_a_journal_that_ends_before_its_anchor_is_refused() -> None:
    raw = BUILT.files[BUILT.live]
    for length in chain(range(0, len(raw), 7), range(0, len(raw), SECTOR)):
        assert outcome({**BUILT.files, BUILT.live: raw[:length]}) is None, f"cut at {length}"


def test_a_sealed_segment_is_never_cut() -> None:
    files = without_anchor(BUILT.files)
    assert len(BUILT.segments()) >= 3
    for name in BUILT.segments()[:-1]:
        raw = files[name]
        for length in chain(range(0, len(raw), 7), range(0, len(raw), SECTOR)):
            assert outcome({**files, name: raw[:length]}) is None, f"{name} cut at {length}"
        assert outcome({**files, name: raw + bytes(SECTOR)}) is None
        assert outcome({other: data for other, data in files.items() if other != name}) is None


def test_an_anchor_cut_anywhere_is_refused() -> None:
    raw = BUILT.files[ANCHOR_FILE]
    for length in range(len(raw)):
        assert outcome({**BUILT.files, ANCHOR_FILE: raw[:length]}) is None


def changes(byte: int) -> tuple[int, int, int]:
    """One low bit, the highest bit, all of it to zero (or from it)."""
    return byte ^ 1, byte ^ 0x80, 0 if byte else 0xFF


def flips(files: dict[str, bytes], names: list[str], step: int, start: int) -> Iterator[tuple[str, int, int]]:
    for name in names:
        for place in range(start % step, len(files[name]), step):
            yield from ((name, place, byte) for byte in changes(files[name][place]))


@pytest.mark.parametrize("seed", range(SCALE))
def test_a_changed_byte_is_refused_or_changes_nothing(seed: int) -> None:
    built = build(seed + 1, last=bytes(1500))
    names = [*built.segments(), ANCHOR_FILE]
    total = 3 * sum(len(built.files[name]) for name in names)
    step = 1 if SCALE > 1 else -(-total // FLIPS_AT_SCALE_1)
    refused = 0
    for name, place, byte in flips(built.files, names, step, seed):
        raw = bytearray(built.files[name])
        raw[place] = byte
        found = outcome({**built.files, name: bytes(raw)})
        assert found in (None, built.found), f"seed {seed}: {name}, byte {place} set to {byte:#x}"
        refused += found is None
    # What may change unseen: zeros over erased parts, which the next start writes again.
    assert refused * 3 > total // step


@pytest.mark.parametrize("body", [bytes(1500), b"\xff" * 1500, b"short"], ids=["zeros", "ones", "short"])
def test_a_changed_byte_in_the_last_acknowledged_batch_is_not_taken_for_a_tear(body: bytes) -> None:
    built = build(3, last=body)
    files = without_anchor(built.files)
    raw = files[built.live]
    start, end = built.ends[-2][0], built.ends[-1][0]
    assert end == len(raw)
    places = islice(range(start, end), 0, None, 1 if SCALE > 1 else 2)
    for place in places:
        for byte in changes(raw[place]):
            changed = raw[:place] + bytes([byte]) + raw[place + 1 :]
            found = outcome({**files, built.live: changed})
            assert found is None, f"byte {place - start} of the frame set to {byte:#x}: opened"


def test_a_zeroed_sector_is_never_silent_below_the_anchor() -> None:
    refused = 0
    for name in BUILT.segments():
        raw = BUILT.files[name]
        for place in range(0, len(raw), SECTOR):
            changed = raw[:place] + bytes(SECTOR) + raw[place + SECTOR :]
            found = outcome({**BUILT.files, name: changed})
            assert found in (None, BUILT.found)
            refused += found is None
    assert refused > 10


def test_exchanged_segments_and_a_strange_one_are_refused() -> None:
    one, two = BUILT.segments()[:2]
    swapped = {**BUILT.files, one: BUILT.files[two], two: BUILT.files[one]}
    assert outcome(swapped) is None
    strange = build(9)
    same_place = next(name for name in strange.segments() if name.startswith("journal/00000001-"))
    assert outcome({**BUILT.files, one: strange.files[same_place]}) is None
