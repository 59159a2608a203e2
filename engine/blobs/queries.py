"""Reading containers and blobs: pure functions over the slice, for use inside `engine.read`.

Results are immutable values that stay valid. They never contain data past its end, swept or not. Refusals are
`NotFound(container)` and `NotFound(blob)`, and those of `engine.blobs.leases.check_read`.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple

from retain.engine.blobs import leases
from retain.engine.blobs.containers import Container, lifetime_of
from retain.engine.blobs.entries import BlobEntry, Block, Composite, ContainerEntry
from retain.engine.blobs.state import BlobsState, required
from retain.engine.core.errors import NotFound

ADDED_UP = 20_000
"""Blobs whose sizes are added up at most, so that a preview takes some milliseconds and not a second."""


class ContainerItem(NamedTuple):
    """A container in a list."""

    name: str
    entry: ContainerEntry


class ContainerPage(NamedTuple):
    """A page of containers.

    Attributes:
        next: The name with which the next page starts, None if this is the last.

    """

    items: tuple[ContainerItem, ...]
    next: str | None


class BlockList(NamedTuple):
    """The blocks of a blob.

    Attributes:
        entry: The committed blob, None if there are only uncommitted blocks.
        committed: In the order of the content; empty for a blob that was written whole.
        uncommitted: By id.

    """

    entry: BlobEntry | None
    committed: tuple[Block, ...]
    uncommitted: tuple[Block, ...]


class ContainerTotals(NamedTuple):
    """The totals of a container, for the console.

    Attributes:
        blobs: Committed ones, with those past their end that were not swept yet.
        size: Their bytes.
        days: The retention that applies, 0 for ever.
        first_end: When the oldest blob expires; nanoseconds since the epoch, None for never.

    """

    name: str
    entry: ContainerEntry
    blobs: int
    size: int
    days: int
    first_end: int | None


def get_container(
    blobs: BlobsState, account: str, name: str, now: int, *, lease: str | None = None
) -> ContainerEntry:
    """Return a container; `lease` is the lease id that the request names."""
    entry = required(blobs, account, name).entry
    leases.check_read(entry.lease, lease, now)
    return entry


def get_blob(
    blobs: BlobsState, account: str, container: str, name: str, now: int, *, lease: str | None = None
) -> BlobEntry:
    """Return a committed blob; `lease` is the lease id that the request names."""
    entry = required(blobs, account, container).blob(name, now)
    if entry is None:
        raise NotFound("the blob does not exist", reason="blob")
    leases.check_read(entry.lease, lease, now)
    return entry


def ends_at(blobs: BlobsState, account: str, container: str, name: str, now: int) -> int | None:
    """Return when a blob expires; nanoseconds since the epoch, None for never."""
    found = required(blobs, account, container)
    return found.ends(get_blob(blobs, account, container, name, now))


def block_list(blobs: BlobsState, account: str, container: str, name: str, now: int) -> BlockList:
    """Return the committed and uncommitted blocks of a blob."""
    found = required(blobs, account, container)
    entry = found.blob(name, now)
    uncommitted: tuple[Block, ...] = ()
    if found.uncommitted(name, now) is not None:
        uncommitted = tuple(found.blocks(name))
    if entry is None and not uncommitted:
        raise NotFound("the blob does not exist", reason="blob")
    committed = entry.body.blocks if entry is not None and isinstance(entry.body, Composite) else ()
    return BlockList(entry, committed, uncommitted)


def list_containers(
    blobs: BlobsState, account: str, *, prefix: str = "", start: str = "", limit: int
) -> ContainerPage:
    """Return a page of an account's containers whose names begin with `prefix`, from `start` on.

    The page has at most `limit` containers.
    """
    containers = blobs.accounts.get(account)
    if containers is None:
        return ContainerPage((), None)
    names = [
        name for name in islice(containers.irange(max(prefix, start)), limit + 1) if name.startswith(prefix)
    ]
    items = tuple(ContainerItem(name, containers[name].entry) for name in names[:limit])
    return ContainerPage(items, names[limit] if len(names) > limit else None)


def container_totals(blobs: BlobsState, account: str) -> tuple[ContainerTotals, ...]:
    """Return the totals of each container of an account."""
    return tuple(_holdings(blobs, container) for container in blobs.accounts.get(account, {}).values())


def totals_of(blobs: BlobsState, account: str, name: str) -> ContainerTotals:
    """Return the totals of one container."""
    return _holdings(blobs, required(blobs, account, name))


def _holdings(blobs: BlobsState, container: Container) -> ContainerTotals:
    days = container.entry.days
    return ContainerTotals(
        name=container.name,
        entry=container.entry,
        blobs=len(container.blobs),
        size=container.size,
        days=blobs.default_days if days is None else days,
        first_end=container.first_end(),
    )


def service_properties(blobs: BlobsState, account: str) -> dict[str, Any] | None:
    """Return the document last set, None if there is none. It must not be changed."""
    return blobs.services.get(account, (b"", None))[1]


class Shortening(NamedTuple):
    """The effect of a shorter retention on the blobs that clients see now.

    Attributes:
        ends: How many would end at once.
        held: How many of those a legal hold keeps, hidden.
        stays: How many clients would still see.
        edge: Blobs last written up to this moment would end; nanoseconds since the epoch.
        days: The days that apply now, 0 for ever.
        next_days: The days that would apply, 0 for ever.
        size: Bytes of the blobs that would end; None if they are more than `ADDED_UP`.

    """

    ends: int
    held: int
    stays: int
    edge: int
    days: int
    next_days: int
    size: int | None


def shortening(blobs: BlobsState, account: str, container: str, days: int | None, now: int) -> Shortening:
    """Return what setting `days` (0 for ever, None as configured) would end at `now`.

    Blobs that ended before stay ended.

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
    size = None
    if last - first <= ADDED_UP:
        size = sum(found.blobs[name].size for _, name in found.ages.islice(first, last))
    present = blobs.default_days if found.entry.days is None else found.entry.days
    following = blobs.default_days if days is None else days
    return Shortening(last - first, held, len(found.ages) - last, edge, present, following, size)


def _between(entry: BlobEntry | None, before: int, edge: int) -> bool:
    return entry is not None and before < entry.modified <= edge
