"""The present contents, and how many of them expire in the coming days.

Counted from indexes: as fast with a million entries as with ten.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from retain.engine.blobs.containers import Container, blocks_end
from retain.engine.core.time import DAY
from retain.engine.state import State

DAYS = 30
"""Days of an outlook."""


@dataclass(frozen=True, slots=True)
class ContainerOutlook:
    """A container.

    Attributes:
        account: Its account.
        name: Its name.
        blobs: How many blobs it contains.
        size: Their bytes.
        days: For how many days it retains a blob; 0 for ever.
        next_end: When its next blob ends, nanoseconds since the epoch; None if none does.
        held: Under a legal hold as a whole.
        due: How many of its blobs end on each of the coming days.

    """

    account: str
    name: str
    blobs: int
    size: int
    days: int
    next_end: int | None
    held: bool
    due: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outlook:
    """The totals of all data.

    Attributes:
        containers: The blobs, by account and container.
        areas: How many areas there are.
        areas_due: How many of them have a key that ends next on each of the coming days.
        applications: Application → bytes of its settings.
        documents: How many settings documents there are.
        holds: How many legal holds there are.
        tokens: How many tokens have not expired.

    """

    containers: tuple[ContainerOutlook, ...]
    areas: int
    areas_due: tuple[int, ...]
    applications: dict[str, int]
    documents: int
    holds: int
    tokens: int

    @property
    def blobs_due(self) -> tuple[int, ...]:
        """Return how many blobs end on each of the coming days."""
        return tuple(sum(one.due[day] for one in self.containers) for day in range(DAYS))


def outlook(state: State, now: int) -> Outlook:
    """Return the outlook of `state` at `now`.

    Areas and containers under a legal hold do not end; a blob with a hold of its own is counted on the day on
    which it is hidden.
    """
    edges = [now + day * DAY for day in range(DAYS + 1)]
    containers = tuple(_container(state, one, edges, now) for one in state.blobs.containers())
    return Outlook(
        containers=containers,
        areas=len(state.areas.areas),
        areas_due=_areas_due(state, edges),
        applications=dict(state.settings.usage),
        documents=len(state.settings.documents),
        holds=len(state.holds.holds),
        tokens=len(state.tokens.records),
    )


def _container(state: State, container: Container, edges: Sequence[int], now: int) -> ContainerOutlook:
    held = state.shared.held.container(container.account, container.name)
    lifetime, ages = container.lifetime, container.ages
    hidden = ages.bisect_left((container.alive_after(now) + 1, ""))
    due = (0,) * DAYS
    if lifetime is not None and not held:
        due = _between([ages.bisect_left((edge - lifetime + 1, "")) for edge in edges])
    first = ages[hidden][0] if hidden < len(ages) else None
    days = container.entry.days
    return ContainerOutlook(
        account=container.account,
        name=container.name,
        blobs=len(ages) - hidden,
        size=container.size,
        days=state.blobs.default_days if days is None else days,
        next_end=None if first is None or lifetime is None or held else first + lifetime,
        held=held,
        due=due,
    )


def _areas_due(state: State, edges: Sequence[int]) -> tuple[int, ...]:
    """Return how many areas have a deadline on each day.

    These are all deadlines without those of the other kinds, which are few and known to their owners.
    """
    containers = [*state.blobs.containers(), *state.blobs.closed.values()]
    others = [one.armed for one in containers if one.armed is not None]
    others += [blocks_end(pending) for one in containers for pending in one.pending.values()]
    others += [record.expiry for record in state.tokens.records.values()]
    others.sort()
    return _between([state.deadlines.count_until(edge) - bisect_right(others, edge) for edge in edges])


def _between(counts: Sequence[int]) -> tuple[int, ...]:
    return tuple(after - before for before, after in pairwise(counts))
