"""The contents at a moment, counted and partly listed, for the page *State at*. Blocking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from retain.engine.audit.contents import holdings
from retain.engine.audit.log import Progress, state_at
from retain.engine.core.pattern import Wanted
from retain.journal import Disk

ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Held:
    """The contents at a moment.

    Attributes:
        at: The moment, nanoseconds since the epoch.
        seq: The last record up to then.
        counts: How many resources of each kind.
        size: Bytes in the blobs.
        holds: How many legal holds were in force.
        rows: The first few, as `retain audit state` shows them.

    """

    at: int
    seq: int
    counts: Mapping[str, int]
    size: int
    holds: int
    rows: tuple[Mapping[str, Any], ...]


def held_at(disk: Disk, at: int, resource: Wanted | None, progress: Progress) -> Held:
    """Replay the journal up to a moment and count its contents.

    Raises:
        journal.Corrupt, wire.UnknownEvent, OSError: The journal cannot be read.

    """
    state = state_at(disk, at, progress)
    counts: Counter[str] = Counter()
    rows: list[Mapping[str, Any]] = []
    size = 0
    for holding in holdings(state, at, resource=resource):
        counts[holding["kind"]] += 1
        if holding["kind"] == "blob":
            size += holding["size"]
        if len(rows) < ROWS:
            rows.append(holding)
    return Held(at, state.seq, counts, size, len(state.holds.holds), tuple(rows))
