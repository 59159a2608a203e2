"""The anchor: the journal's end as last recorded. FORMAT.md section 8.

It detects what nothing inside a segment shows: a journal cut off exactly between two frames.
"""

from __future__ import annotations

from typing import NamedTuple

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt
from retain.journal.format.envelope import ANCHOR_MAGIC, unwrap, wrap
from retain.journal.format.frame import MALFORMED
from retain.journal.format.record import Head
from retain.journal.segments.files import ANCHOR_FILE


class Anchor(NamedTuple):
    """Record `seq` was durable, its frame ended at `offset` of `segment`, and the tree's root was `root`."""

    seq: int
    segment: int
    offset: int
    root: bytes


def anchor_at(head: Head) -> Anchor:
    """Return the anchor for a journal that ends here."""
    return Anchor(head.seq, head.segment, head.offset, head.root)


def write_anchor(disk: Disk, anchor: Anchor) -> None:
    """Replace the anchor, durably. Raises `NoSpace`, `OSError`."""
    disk.write_atomic(ANCHOR_FILE, wrap(ANCHOR_MAGIC, list(anchor)))


def read_anchor(disk: Disk) -> Anchor | None:
    """Return the anchor, or None if there is none. Raises `Corrupt`, `UnknownVersion`."""
    if not disk.exists(ANCHOR_FILE):
        return None
    data = disk.read(ANCHOR_FILE)
    body, end = unwrap(ANCHOR_MAGIC, data, file=ANCHOR_FILE)
    if end != len(data):
        raise Corrupt(f"{ANCHOR_FILE} has bytes after its end", file=ANCHOR_FILE, offset=end)
    try:
        return Anchor(*body)
    except MALFORMED as error:
        raise Corrupt(f"{ANCHOR_FILE}: {error}", file=ANCHOR_FILE, offset=0) from error
