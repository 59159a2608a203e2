"""The retention report: what is stored, when it falls due, and what is due but not yet erased.

Grouped by interface, tenant and container.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from retain.engine.areas.state import key_ends, split_key, text_size, value_size
from retain.engine.blobs.containers import blocks_end
from retain.engine.core.policy import RetentionPolicy, erasure_lag, oldest_due
from retain.engine.core.time import DAY
from retain.engine.state import State

BUCKETS: tuple[tuple[str, int], ...] = (
    ("due", 0),
    ("within-1-day", DAY),
    ("within-7-days", 7 * DAY),
    ("within-30-days", 30 * DAY),
    ("within-365-days", 365 * DAY),
)
"""Names, and times after the moment of the report; entries that end later or never are counted separately."""
LATER, NEVER = "later", "never"


@dataclass
class RetentionRow:
    """One row: everything of one interface, tenant and container.

    Attributes:
        interface: `areas`, `settings` or `blobs`.
        tenant: The account, the application, or the kind of area.
        container: The container; empty elsewhere.
        entries: How many keys, documents, blobs and staged blocks.
        size: Bytes of their content.
        ends: Bucket → how many of the entries end in it.
        held: Under a legal hold as a whole: no entry ends.

    """

    interface: str
    tenant: str
    container: str = ""
    entries: int = 0
    size: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    held: bool = False

    def add(self, size: int, end: int | None, now: int, count: int = 1) -> None:
        """Add `count` entries of `size` bytes together that end at `end`; None for never."""
        self.entries += count
        self.size += size
        name = bucket(end, now)
        self.ends[name] = self.ends.get(name, 0) + count


@dataclass(frozen=True)
class RetentionReport:
    """The contents of a state at a moment.

    Attributes:
        holdings: Row by row.
        waiting: Records that are no longer needed and not erased, history included.
        kept: Of these, how many a legal hold keeps.
        restating: Entries of which a part is dead, to be restated.
        oldest_due: When the oldest waiting record was, or will be, due; None if none waits.
        lag: By how many nanoseconds it is late.

    """

    holdings: tuple[RetentionRow, ...]
    waiting: int
    kept: int
    restating: int
    oldest_due: int | None
    lag: int


def bucket(end: int | None, now: int) -> str:
    """Return the name of the bucket that `end` falls into."""
    if end is None:
        return NEVER
    return next((name for name, after in BUCKETS if end <= now + after), LATER)


def report(state: State, now: int, policy: RetentionPolicy, kept: Collection[int] = ()) -> RetentionReport:
    """Report the contents of `state` at `now` (nanoseconds since the epoch). Examines every entry.

    Args:
        state: The state.
        now: The moment.
        policy: The periods.
        kept: Records that are due and remain because of a legal hold.
    """
    holdings = (*_areas(state, now), *_settings(state, now), *_blobs(state, now))
    records = state.records
    return RetentionReport(
        holdings=tuple(one for one in holdings if one.entries),
        waiting=records.waiting,
        kept=len(kept),
        restating=len(records.partly_dead),
        oldest_due=oldest_due(records, policy, kept),
        lag=erasure_lag(records, now, policy, kept),
    )


def _areas(state: State, now: int) -> Iterator[RetentionRow]:
    plain, custom = RetentionRow("areas", "plain"), RetentionRow("areas", "custom")
    for key, area in state.areas.areas.items():
        row = plain if split_key(key)[1] is None else custom
        for name, value, end in zip(area[2], area[3], key_ends(area), strict=True):
            row.add(text_size(name) + value_size(value), end, now)
    yield plain
    yield custom


def _settings(state: State, now: int) -> Iterator[RetentionRow]:
    rows: dict[str, RetentionRow] = {}
    for place, document in sorted(state.settings.documents.items()):
        row = rows.setdefault(place.application, RetentionRow("settings", place.application))
        row.add(document.size, None, now)
    yield from rows.values()


def _blobs(state: State, now: int) -> Iterator[RetentionRow]:
    for container in state.blobs.containers():
        held = state.shared.held.container(container.account, container.name)
        row = RetentionRow("blobs", container.account, container.name, held=held)
        for blob in container.blobs.values():
            row.add(blob.size, container.ends(blob), now)
        for name, pending in container.pending.items():
            size = sum(block.size for block in container.blocks(name))
            row.add(size, blocks_end(pending), now, pending.blocks)
        yield row
