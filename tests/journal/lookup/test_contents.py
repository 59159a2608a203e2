"""Recently read contents: kept within a bound, and never longer than the content may be known."""

from __future__ import annotations

import pytest

from retain.journal import Journal, Part
from retain.journal.lookup.contents import RECENT_EXTRA, RECENT_MOST, Contents, Recent
from retain.journal.testing.memory import MemoryDisk
from tests.kit.journals import T0, append, draft, opened


def marked() -> tuple[MemoryDisk, Journal, list[int]]:
    """A journal of three contents, and their addresses."""
    disk = MemoryDisk()
    log, _ = opened(disk)
    return disk, log, append(log, *(draft(b"", b"secret-%d" % number * 20) for number in range(3)))


def held_in_memory(log: Journal) -> set[bytes]:
    return set(log._contents._recent._kept.values())


def test_a_content_is_read_from_the_disk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _, log, addresses = marked()
    reads = []
    read = Contents._read
    monkeypatch.setattr(Contents, "_read", lambda *args: reads.append(1) or read(*args))
    assert [log.content(addresses[0]) for _ in range(3)] == [b"secret-0" * 20] * 3
    assert len(reads) == 1


def test_an_erased_content_leaves_memory_before_its_erasure_is_recorded() -> None:
    _, log, addresses = marked()
    for address in addresses:
        log.content(address)
    plan = log.plan_erasures([(2, Part.CONTENT)], 7)[0]
    log.begin_erasure(plan, T0)
    assert held_in_memory(log) == {b"secret-0" * 20, b"secret-2" * 20}
    log.content(addresses[1])  # zeros are not there yet
    log.blank(plan)
    log.end_erasure(plan, T0)
    assert b"secret-1" * 20 not in held_in_memory(log)
    assert log.content(addresses[1]) is None
    assert held_in_memory(log) == {b"secret-0" * 20, b"secret-2" * 20}


def test_what_a_read_found_that_began_before_an_erasure_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _, log, addresses = marked()
    read = Contents._read

    def erased_meanwhile(*args: object) -> bytes | None:
        found = read(*args)  # type: ignore[arg-type]
        monkeypatch.setattr(Contents, "_read", read)
        log.erase([(1, Part.CONTENT)], 7, T0)
        return found

    monkeypatch.setattr(Contents, "_read", erased_meanwhile)
    assert log.content(addresses[0]) == b"secret-0" * 20
    assert held_in_memory(log) == set()
    assert log.content(addresses[0]) is None


def test_a_closed_journal_keeps_no_content() -> None:
    _, log, addresses = marked()
    log.content(addresses[0])
    log.close()
    assert held_in_memory(log) == set()


def test_the_least_recently_read_goes_first_and_nothing_large_is_kept() -> None:
    recent = Recent(2 * (10 + RECENT_EXTRA))
    recent.keep((1, 0), b"a" * 10, 0)
    recent.keep((1, 8), b"b" * 10, 0)
    assert recent.get((1, 0)) == b"a" * 10
    recent.keep((1, 16), b"c" * 10, 0)
    assert [recent.get((1, offset)) for offset in (0, 8, 16)] == [b"a" * 10, None, b"c" * 10]
    large = Recent(1 << 20)
    large.keep((1, 0), bytes(RECENT_MOST), 0)
    large.keep((1, 8), bytes(RECENT_MOST + 1), 0)
    assert large.get((1, 0)) is not None
    assert large.get((1, 8)) is None


def test_the_bound_holds_after_drops() -> None:
    recent = Recent(10 * (10 + RECENT_EXTRA))
    for number in range(50):
        recent.keep((1, number), bytes(10), recent.drops)
        if number % 7 == 0:
            recent.drop([(1, number - 1), (1, number)])
        assert 0 <= recent._left == (10 - len(recent._kept)) * (10 + RECENT_EXTRA)
    assert len(recent._kept) == 8
