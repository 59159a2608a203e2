"""What another retention of a container would end: counted from its index of ages, before it is set."""

from __future__ import annotations

from typing import NamedTuple

from retain.engine.blobs.containers import lifetime_of
from retain.engine.blobs.entries import BlobEntry
from retain.engine.blobs.state import BlobsState, required


class Shortening(NamedTuple):
    """What would become of the blobs that clients see now.

    Attributes:
        ends: How many would end at once.
        held: How many of those a legal hold keeps, hidden.
        stays: How many clients would still see.
        edge: Blobs last written up to this moment would end; nanoseconds since the epoch.
        days: The days that apply now, 0 for ever.
        next_days: The days that would apply, 0 for ever.

    """

    ends: int
    held: int
    stays: int
    edge: int
    days: int
    next_days: int


def shortening(blobs: BlobsState, account: str, container: str, days: int | None, now: int) -> Shortening:
    """Return what setting `days` (0 for ever, None as configured) would end at `now`.

    What ended before stays ended.

    Raises:
        NotFound: `container`.
    """
    found = required(blobs, account, container)
    lifetime = lifetime_of(days, blobs.default_days)
    before = found.alive_after(now)
    edge = before if lifetime is None else max(before, now - lifetime)
    first, last = (found.ages.bisect_left((moment + 1, "")) for moment in (before, edge))
    whole = blobs.shared.held.container(account, container)
    alone = blobs.shared.held.blobs_in(account, container)
    held = last - first if whole else sum(_between(found.blobs.get(name), before, edge) for name in alone)
    present = blobs.default_days if found.entry.days is None else found.entry.days
    following = blobs.default_days if days is None else days
    return Shortening(last - first, held, len(found.ages) - last, edge, present, following)


def _between(entry: BlobEntry | None, before: int, edge: int) -> bool:
    return entry is not None and before < entry.modified <= edge
