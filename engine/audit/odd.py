"""Records whose events do not replay, for the tools that report and repair them."""

from __future__ import annotations

from collections.abc import Iterable

from retain import journal
from retain.engine.audit.log import Progress, state_at
from retain.engine.wire import UnknownEvent
from retain.journal import Disk, Part, Verb
from retain.journal.erasure.ledger import unpack_ranges


def odd_records(disk: Disk, progress: Progress | None = None) -> dict[int, Part]:
    """Return the records whose events do not replay, and the part of each that must be erased to skip it.

    None for a journal that cannot be read to its end: damage is repaired first. None for one that a newer
    version wrote: this version cannot check its events.

    Raises:
        OSError: The disk cannot be read.
    """
    odd: list[int] = []
    try:
        state_at(disk, None, progress, odd)
        return parts_to_erase(disk, odd)
    except (journal.JournalError, UnknownEvent):
        return {}


def parts_to_erase(disk: Disk, odd: Iterable[int]) -> dict[int, Part]:
    """Return the part of each of these records that must be erased, without those that an erase record names.

    The content is enough: replay skips a record without it. The details, which name an actor, stay.

    Raises:
        journal.Corrupt: The journal is damaged.
        OSError: The disk cannot be read.
    """
    left = set(odd)
    found: dict[int, Part] = {}
    for record in journal.scan(disk) if left else ():
        header = record.header
        if header.seq in left:
            found[header.seq] = Part.CONTENT if header.content_size else Part.DETAILS
        elif header.verb == Verb.ERASE:
            for parts, first, last in unpack_ranges(record):
                for seq in [seq for seq, part in found.items() if first <= seq <= last and part & parts]:
                    del found[seq]
    return found
