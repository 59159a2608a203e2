"""One container with its contents, and their indexes. Only the slice's apply handlers change it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any

from sortedcontainers import SortedList

from retain.engine.blobs.entries import BlobEntry, Block, ContainerEntry, StagedBlocks
from retain.engine.blobs.staged import StagedBlockIndex
from retain.engine.blobs.tagindex import TagIndex
from retain.engine.core.event import Cause
from retain.engine.core.snapshot_table import SnapshotTable
from retain.engine.core.time import DAY

UNCOMMITTED_DAYS = 7
"""Blocks are deleted this long after the last one was staged (docs/wire/blobs.md, section 5.1: "uncommitted
garbage after a week").
"""


class Container:
    """A container's entry, its blobs, and its staged blocks.

    Attributes:
        account: Its account.
        name: Its name.
        entry: Its entry.
        blobs: Every committed blob by name; readers hide those past their end, until the sweep.
        names: The names in `blobs` in order of code points.
        ages: (modified, name) of each, so the oldest is first: all blobs of a container are kept equally
            long.
        tags: The index over tags.
        pending: Names with staged blocks.
        pending_names: The same in order.
        staged: (name, block id) → block.
        restated: Name → record of a block of the blob → the same block in a newer record, until all are there
            and a list names them.
        size: Bytes in all committed blobs.
        lifetime: Nanoseconds from a blob's last write to its end, None for ever.
        armed: The end of the oldest blob in the deadline index, None if it is not there.
        closed: When it was deleted; None while it is not.

    """

    __slots__ = (
        "account",
        "ages",
        "armed",
        "blobs",
        "closed",
        "entry",
        "lifetime",
        "name",
        "names",
        "pending",
        "pending_names",
        "restated",
        "size",
        "staged",
        "tags",
    )

    def __init__(self, account: str, name: str, entry: ContainerEntry, lifetime: int | None) -> None:
        self.account = account
        self.name = name
        self.entry = entry
        self.blobs: SnapshotTable[str, BlobEntry] = SnapshotTable()
        self.names: SortedList[str] = SortedList()
        self.ages: SortedList[tuple[int, str]] = SortedList()
        self.tags = TagIndex()
        self.pending: dict[str, StagedBlocks] = {}
        self.pending_names: SortedList[str] = SortedList()
        self.staged = StagedBlockIndex()
        self.restated: dict[str, dict[int, Block]] = {}
        self.size = 0
        self.lifetime = lifetime
        self.armed: int | None = None
        self.closed: int | None = None

    def alive_after(self, now: int) -> int:
        """Return the moment after which a blob must have been modified to be alive at `now`."""
        return self.entry.ended if self.lifetime is None else max(self.entry.ended, now - self.lifetime)

    def blob(self, name: str, now: int) -> BlobEntry | None:
        """Return the blob `name` if it exists and has not expired."""
        entry = self.blobs.get(name)
        return entry if entry is not None and entry.modified > self.alive_after(now) else None

    def ends(self, entry: BlobEntry) -> int | None:
        """Return when a blob of this container expires."""
        return None if self.lifetime is None else entry.modified + self.lifetime

    def first_end(self, held: Collection[str] = ()) -> int | None:
        """Return when its oldest blob that is not among `held` expires, or should have."""
        oldest: int | None = next((modified for modified, name in self.ages if name not in held), None)
        if oldest is None:
            return None
        if oldest <= self.entry.ended:
            return oldest
        return None if self.lifetime is None else oldest + self.lifetime

    def keep(self, days: int | None, default: int, at: int) -> None:
        """Set the retention period to `days` from `at` on; blobs that ended by then stay ended."""
        ended = self.alive_after(at)
        self.entry = self.entry._replace(days=days, ended=ended)
        self.lifetime = lifetime_of(days, default)

    def uncommitted(self, name: str, now: int) -> StagedBlocks | None:
        """Return the unexpired blocks staged under `name`."""
        pending = self.pending.get(name)
        return pending if pending is not None and now < blocks_end(pending) else None

    def blocks(self, name: str) -> list[Block]:
        """Return the blocks staged under `name`, by block id."""
        return sorted(self.staged.of(name).values(), key=attrgetter("block_id"))

    def put(self, name: str, entry: BlobEntry) -> None:
        """Put `entry` under `name`, in every index."""
        old = self.blobs.get(name)
        if old is None:
            self.names.add(name)
            self.ages.add((entry.modified, name))
            self.tags.add(name, entry.tags)
            self.size += entry.size
        else:
            if old.modified != entry.modified:
                self.ages.remove((old.modified, name))
                self.ages.add((entry.modified, name))
            if old.tags != entry.tags:
                self.tags.remove(name, old.tags)
                self.tags.add(name, entry.tags)
            self.size += entry.size - old.size
        self.blobs[name] = entry

    def remove(self, name: str) -> BlobEntry:
        """Remove the blob `name` from every index, and return it."""
        entry: BlobEntry = self.blobs.pop(name)
        self.names.remove(name)
        self.ages.remove((entry.modified, name))
        self.tags.remove(name, entry.tags)
        self.size -= entry.size
        return entry

    def load(self, blobs: SnapshotTable[str, BlobEntry], staged: Mapping[tuple[str, bytes], Block]) -> None:
        """Fill an empty container and build its indexes at once."""
        self.blobs = blobs
        self.names.update(blobs)
        self.ages.update(zip(map(attrgetter("modified"), blobs.values()), blobs, strict=True))
        self.tags.load(zip(blobs, map(attrgetter("tags"), blobs.values()), strict=True))
        self.size = sum(map(attrgetter("body.size"), blobs.values()))
        self.staged.load(staged)
        self.pending_names.update(self.pending)

    def check(self) -> None:
        """Assert that the indexes agree with the entries."""
        assert list(self.names) == sorted(self.blobs)
        assert list(self.ages) == sorted((entry.modified, name) for name, entry in self.blobs.items())
        rebuilt = TagIndex()
        rebuilt.load((name, entry.tags) for name, entry in self.blobs.items())
        assert self.tags.rows() == rebuilt.rows()
        assert self.size == sum(entry.size for entry in self.blobs.values())
        assert list(self.pending_names) == sorted(self.pending)
        counts: dict[str, int] = {}
        for name, _block_id in self.staged:
            counts[name] = counts.get(name, 0) + 1
        assert counts == {name: pending.blocks for name, pending in self.pending.items()}
        self.staged.check()


def blocks_end(pending: StagedBlocks) -> int:
    """Return when the blocks staged under one name expire."""
    return pending.staged + UNCOMMITTED_DAYS * DAY


def lifetime_of(days: int | None, default: int) -> int | None:
    """Return the retention period of a container in nanoseconds; None keeps for ever.

    `days` of None means the configured period `default`; 0 keeps for ever.
    """
    effective = default if days is None else days
    return effective * DAY if effective else None


def container_facts(container: Container, actor: str, cause: Cause) -> dict[str, Any]:
    """Return the fields of `engine.blobs.container_events.ContainerEvent`."""
    return {
        "resource": container.entry.resource,
        "actor": actor,
        "cause": cause,
        "account": container.account,
        "container": container.name,
    }


def blob_facts(container: Container, blob: str, resource: bytes, actor: str, cause: Cause) -> dict[str, Any]:
    """Return the fields of `engine.blobs.events.BlobEvent`."""
    return {**container_facts(container, actor, cause), "resource": resource, "blob": blob}
