"""A start with processes that verify segments finds what a start without them finds, in the same words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from retain.journal import Corrupt, Record, scan
from retain.journal.disk.interface import Disk
from retain.journal.disk.real import RealDisk
from retain.journal.errors import JournalError
from retain.journal.format.frame import Frame
from retain.journal.open import open_journal
from retain.journal.options import JournalOptions
from retain.journal.segments.file import SegmentFile
from retain.journal.segments.files import list_segments
from retain.journal.segments.reader import SegmentReader
from retain.journal.segments.verdict import SegmentVerdict
from retain.journal.testing.memory import MemoryDisk
from retain.journal.verified.child import verdict_on
from retain.journal.verified.pool import LEAST_BYTES, Verifiers, verifiers
from tests.kit.crash import SMALL, Workload
from tests.kit.rewritten import OPTIONS, sparse


def written(seed: int, steps: int = 60) -> MemoryDisk:
    """A journal of several segments, with erasures, as a killed process leaves it."""
    disk = MemoryDisk()
    Workload(seed).run(disk, steps)
    return disk.kill()


def on_a_real_disk(disk: MemoryDisk, folder: Path) -> RealDisk:
    for name, data in disk.files().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return RealDisk(folder)


def started(disk: Disk, options: JournalOptions, children: int) -> tuple[list[Record], tuple[str, ...]]:
    """All records that a start passes on, and its notices; the journal is closed again."""
    records: list[Record] = []
    log = open_journal(disk, records.append, options=replace(options, verifiers=children))
    notices = log.notices
    log.close()
    return records, notices


def frames_of(disk: Disk, number: int, verdict: SegmentVerdict | None) -> tuple[list[Frame], SegmentReader]:
    segment = list_segments(disk)[number - 1]
    with SegmentFile(disk, segment) as file:
        reader = SegmentReader(file)
        frames = reader.sealed_frames() if verdict is None else reader.verified_frames(verdict)
        return list(frames), reader


def plain(frames: list[Frame]) -> list[Frame]:
    """Frames without what only a verifying reader knows."""
    return [frame._replace(root=b"", before=None) for frame in frames]


def until(ahead: Verifiers, reached: Callable[[], bool]) -> None:
    with ahead.changed:
        assert ahead.changed.wait_for(reached, 60)


@pytest.mark.parametrize("seed", range(12))
def test_a_verified_segment_reads_as_a_sealed_one(seed: int) -> None:
    disk = written(seed)
    sealed = list_segments(disk)[:-1]
    assert len(sealed) > 1
    holes = 0
    for segment in sealed:
        verdict = SegmentVerdict.unpack(verdict_on(disk, segment).pack())
        slow, before = frames_of(disk, segment.number, None)
        quick, after = frames_of(disk, segment.number, verdict)
        assert plain(quick) == plain(slow)
        assert (after.offset, after.last_frame_at) == (before.offset, before.last_frame_at)
        assert after.chain.frontier.peaks == before.chain.frontier.peaks
        assert after.chain.time == before.chain.time
        holes += sum(len(frame.holes) for frame in quick)
    assert holes or seed not in (0, 1), "the workload erased nothing"


def test_a_rewritten_segment_can_be_verified_ahead() -> None:
    disk, log = sparse()
    for number in log.sparse():
        log.rewrite(number)
    segment = list_segments(disk)[0]
    assert segment.file.endswith(".0001.journal")
    quick, _ = frames_of(disk, 1, verdict_on(disk, segment))
    assert plain(quick) == plain(frames_of(disk, 1, None)[0])
    assert any(frame.holes for frame in quick)


def test_other_bytes_than_those_verified_are_refused_before_they_are_passed_on() -> None:
    disk = written(3)
    segment = list_segments(disk)[1]
    verdict = verdict_on(disk, segment)
    with disk.open(segment.file, write=True) as file:
        last = file.size() - 1
        file.pwrite(last, bytes([file.pread(last, 1)[0] ^ 1]))
    with pytest.raises(Corrupt, match="two readings differ; check the disk and the memory"):
        frames_of(disk, 2, verdict)


@pytest.mark.parametrize("cut", [1, 512])
def test_a_segment_that_is_shorter_or_longer_than_verified_is_refused(cut: int) -> None:
    disk = written(3)
    segment = list_segments(disk)[1]
    verdict = verdict_on(disk, segment)
    with disk.open(segment.file, write=True) as file:
        file.truncate(file.size() - cut)
    with pytest.raises(Corrupt, match="two readings differ"):
        frames_of(disk, 2, verdict)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x01", b"\x96" + b"\x00" * 6])
def test_an_answer_that_is_no_verdict_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a verdict"):
        SegmentVerdict.unpack(data)


def test_a_start_with_children_finds_the_same_records(tmp_path: Path) -> None:
    memory, log = sparse()
    log.rewrite(log.sparse()[0])
    log.close()
    disk = on_a_real_disk(memory, tmp_path)
    expected = list(scan(disk))
    assert len(list_segments(disk)) >= 4
    assert started(disk, OPTIONS, 2) == (expected, ())
    assert started(disk, OPTIONS, 0) == (expected, ())


def test_children_are_asked_for_all_segments_but_the_first_and_the_last(tmp_path: Path) -> None:
    disk = on_a_real_disk(written(5), tmp_path)
    segments = list_segments(disk)
    with verifiers(disk, segments, 1) as ahead:
        ahead.begin(segments[1:-1])
        until(ahead, lambda: bool(ahead.answers))
        verdict = ahead.verdict(segments[1], 1)
    assert verdict is not None
    assert verdict.chain.frontier.size == segments[2].first - 1
    assert ahead.notices == []


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.parametrize("where", ["opener", "prefix", "head", "part", "end"])
def test_damage_is_told_in_the_same_words(where: str, tmp_path: Path) -> None:
    disk = on_a_real_disk(written(7), tmp_path)
    segment = list_segments(disk)[1]
    with SegmentFile(disk, segment) as opened:
        start = opened.opener().size
    file = tmp_path / segment.file
    if where == "end":
        file.write_bytes(file.read_bytes()[:-512])
    else:
        _flip(
            file,
            {"opener": 20, "prefix": start + 8, "head": start + 40, "part": file.stat().st_size - 600}[where],
        )
    told = []
    for children in (0, 1):
        with pytest.raises(JournalError) as raised:
            started(disk, SMALL, children)
        error = raised.value
        told.append((type(error), str(error), error.file, error.offset, error.seq))
    assert told[0] == told[1]
    assert told[0][0] is Corrupt


def child(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )


def test_a_child_that_ends_leaves_its_segments_to_the_reader() -> None:
    segments = list_segments(written(5))
    children = []

    def start() -> subprocess.Popen[bytes]:
        children.append(child("raise SystemExit(9)"))
        return children[-1]

    with Verifiers(start, 1) as ahead:
        ahead.begin(segments[1:-1])
        until(ahead, lambda: bool(ahead.notices))
        assert [ahead.verdict(one, 1) for one in segments[1:-1]] == [None] * (len(segments) - 2)
    assert ahead.notices == ["a process that verified segments ended with 9; this one verified them"]
    assert [one.poll() for one in children] == [9]


def test_a_child_that_hangs_is_not_waited_for_and_ends_with_the_start() -> None:
    segments = list_segments(written(5))
    children = []

    def start() -> subprocess.Popen[bytes]:
        children.append(child("import time; time.sleep(600)"))
        return children[-1]

    with Verifiers(start, 1, patience_s=0.01) as ahead:
        ahead.begin(segments[1:-1])
        until(ahead, lambda: bool(ahead.asked))
        assert [ahead.verdict(one, 1) for one in segments[1:-1]] == [None] * (len(segments) - 2)
    assert [one.poll() for one in children] == [-9]


def test_a_machine_without_processes_to_spare_verifies_by_itself() -> None:
    segments = list_segments(written(5))

    def start() -> subprocess.Popen[bytes]:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with Verifiers(start, 1) as ahead:
        ahead.begin(segments[1:-1])
        assert [ahead.verdict(one, 1) for one in segments[1:-1]] == [None] * (len(segments) - 2)
    assert ahead.notices == [
        "no process could be started to verify segments beside this one: "
        "[Errno 11] Resource temporarily unavailable"
    ]


@pytest.mark.parametrize("answer", ["-odd!", "+odd!"])
def test_what_only_a_child_found_is_a_notice(answer: str) -> None:
    segments = list_segments(written(5))
    code = f"import sys; print('\\0\\0\\0\\5{answer}', end='', flush=True); sys.stdin.read()"
    with Verifiers(lambda: child(code), 1) as ahead:
        ahead.begin(segments[1:2])
        until(ahead, lambda: bool(ahead.answers))
        assert ahead.verdict(segments[1], 1) is None
    file = segments[1].file
    reason = {"-odd!": "odd!", "+odd!": "not a verdict: unpack(b) received extra data."}[answer]
    assert ahead.notices == [f"reading {file} failed once, then succeeded; check disk and memory: {reason}"]


def test_small_journals_and_other_disks_start_no_process(tmp_path: Path) -> None:
    memory = written(5)
    disk = on_a_real_disk(memory, tmp_path)
    segments = list_segments(disk)
    assert sum((tmp_path / one.file).stat().st_size for one in segments) < LEAST_BYTES
    assert not verifiers(disk, segments, None).willing
    assert not verifiers(disk, segments[:2], 1).willing
    assert not verifiers(memory, segments, 1).willing
    assert verifiers(disk, segments, 1).willing
