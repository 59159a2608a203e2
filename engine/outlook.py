"""The present contents, and how many of them expire in the coming days.

Counted from indexes: as fast with a million entries as with ten.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from retain.engine.blobs.container_pages import Position, page_of_containers
from retain.engine.blobs.containers import Container, blocks_end
from retain.engine.core.time import DAY
from retain.engine.holds.target import HoldKind
from retain.engine.state import State

DAYS = 30
"""Days of an outlook."""
SLICE = 250
"""Most containers that are added up in one step, so that requests are answered in between."""


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
        under_hold: How many of its blobs are under a legal hold, on themselves or on the whole.

    """

    account: str
    name: str
    blobs: int
    size: int
    days: int
    next_end: int | None
    held: bool
    under_hold: int


@dataclass(slots=True)
class BlobTotals:
    """The totals of all containers, added up in steps.

    Attributes:
        containers: How many there are.
        blobs: How many blobs they contain.
        size: Their bytes.
        held: How many of them are under a legal hold.
        due: How many blobs end on each of the coming days.

    """

    containers: int = 0
    blobs: int = 0
    size: int = 0
    held: int = 0
    due: list[int] = field(default_factory=lambda: [0] * DAYS)


@dataclass(frozen=True, slots=True)
class Outlook:
    """The totals of all data but blobs.

    Attributes:
        areas: How many areas there are.
        areas_due: How many of them have a key that ends next on each of the coming days.
        areas_held: How many areas are under a legal hold.
        applications: How many applications have settings.
        settings_size: Bytes of all settings.
        documents: How many settings documents there are.
        documents_held: How many of an application's are under a legal hold.
        versions_due: How many earlier versions of settings are to be erased on each of the coming days.
        holds: How many legal holds there are.
        tokens: How many tokens have not expired.

    """

    areas: int
    areas_due: tuple[int, ...]
    areas_held: int
    applications: int
    settings_size: int
    documents: int
    documents_held: Mapping[str, int]
    versions_due: tuple[int, ...]
    holds: int
    tokens: int


def outlook(state: State, now: int, history: int) -> Outlook:
    """Return the outlook of `state` at `now`. What is under a legal hold does not end.

    Args:
        state: The present state.
        now: Nanoseconds since the epoch.
        history: How long earlier versions of settings are retained, in nanoseconds.
    """
    edges = _edges(now)
    held = {hold.target for hold in state.holds.holds.values()}
    overwritten = [edge - history for edge in edges]
    return Outlook(
        areas=len(state.areas.areas),
        areas_due=_areas_due(state, edges),
        areas_held=sum(target.kind is HoldKind.AREA for target in held),
        applications=len(state.settings.usage),
        settings_size=sum(state.settings.usage.values()),
        documents=len(state.settings.documents),
        documents_held=Counter(target.names[0] for target in held if target.kind is HoldKind.DOCUMENT),
        versions_due=_between(state.records.past_until(overwritten, state.shared.held.resources)),
        holds=len(state.holds.holds),
        tokens=len(state.tokens.records),
    )


def container_outlook(state: State, container: Container, now: int) -> ContainerOutlook:
    """Return the outlook of one container."""
    held = state.shared.held.container(container.account, container.name)
    lifetime, ages = container.lifetime, container.ages
    hidden = _hidden(container, now)
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
        under_hold=_under_hold(state, container),
    )


def add_containers(totals: BlobTotals, state: State, now: int, start: Position) -> Position | None:
    """Add the containers from `start` on to `totals`, at most `SLICE`; return where to go on.

    A container under a legal hold does not end; a blob with a hold of its own is counted on the day on which
    it is hidden. `start` is `container_pages.START` at first.
    """
    page = page_of_containers(state.blobs, sorted(state.blobs.accounts), start=start, limit=SLICE)
    edges = _edges(now)
    for _, container in page.items:
        if container is not None:
            totals.containers += 1
            totals.blobs += len(container.ages) - _hidden(container, now)
            totals.size += container.size
            totals.held += _under_hold(state, container)
            _add_due(totals.due, state, container, edges)
    return page.next


def _under_hold(state: State, container: Container) -> int:
    held = state.shared.held
    if held.container(container.account, container.name):
        return len(container.ages)
    return len(held.blobs_in(container.account, container.name))


def _add_due(due: list[int], state: State, container: Container, edges: Sequence[int]) -> None:
    """Add how many blobs of a container end on each day to `due`."""
    lifetime, ages = container.lifetime, container.ages
    if lifetime is None or state.shared.held.container(container.account, container.name):
        return
    start = ages.bisect_left((edges[0] - lifetime + 1, ""))
    end = ages.bisect_left((edges[-1] - lifetime + 1, ""))
    if end - start <= len(due):  # to look at them is faster than to search for each day
        for modified, _ in ages.islice(start, end):
            due[(modified + lifetime - edges[0] - 1) // DAY] += 1
        return
    for day, count in enumerate(_between([ages.bisect_left((edge - lifetime + 1, "")) for edge in edges])):
        due[day] += count


def _hidden(container: Container, now: int) -> int:
    """Return how many blobs of a container have ended and are still there."""
    return container.ages.bisect_left((container.alive_after(now) + 1, ""))


def _edges(now: int) -> list[int]:
    return [now + day * DAY for day in range(DAYS + 1)]


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
