"""Deliberate bugs of the journal, as patches. The crash tests must turn red with each: a test that cannot
fail tests nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from crc32c import crc32c

from retain.journal import Journal
from retain.journal import open as opening
from retain.journal.errors import Corrupt
from retain.journal.format import frame
from retain.journal.segments import reader
from retain.journal.segments.tail import Tear
from retain.journal.writer.appender import Appender

Patch = pytest.MonkeyPatch


def sync_again_after_an_error(patch: Patch) -> None:
    """Linux reports a failed writeback once: the second sync succeeds over lost data."""

    def sync(self: Appender) -> None:
        try:
            self._live.file.sync()
        except OSError:
            self._live.file.sync()

    patch.setattr(Appender, "_sync", sync)


def leave_tears_in_place(patch: Patch) -> None:
    patch.setattr(opening, "_cut_tear", lambda disk, last: [])


def trust_the_page_cache(patch: Patch) -> None:
    patch.setattr(opening, "_make_durable", lambda disk, last: None)


def cut_at_any_damage(patch: Patch) -> None:
    original = reader.judge

    def judge(file: Any, damage: Any) -> Tear | None:
        try:
            return original(file, damage)
        except Corrupt as error:
            name, length = file.segment.file, file.size() - damage.offset
            return Tear(name, damage.offset, length, damage.seq, error.message)

    patch.setattr(reader, "judge", judge)


class _Forgiving(int):
    """A checksum that is never another one."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def check_no_checksum(patch: Patch) -> None:
    patch.setattr(frame, "crc32c", lambda data: _Forgiving(crc32c(data)))
    patch.setattr(frame.Prefix, "covers", lambda self, head: True)


def erase_without_a_record(patch: Patch) -> None:
    patch.setattr(Journal, "begin_erasure", lambda self, plan, time: None)
    patch.setattr(Journal, "end_erasure", lambda self, plan, time: None)


FAULTS: tuple[Callable[[Patch], None], ...] = (
    sync_again_after_an_error,
    leave_tears_in_place,
    trust_the_page_cache,
    cut_at_any_damage,
    check_no_checksum,
    erase_without_a_record,
)
