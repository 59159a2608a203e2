"""The blobs' slice of the state: accounts, containers, blobs, and how events change them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sortedcontainers import SortedDict

from retain.engine.blobs.containers import Container, lifetime_of
from retain.engine.blobs.entries import (
    NO_SOURCES,
    BlobEntry,
    BlockSources,
    Composite,
    ContainerEntry,
    sources_of,
)
from retain.engine.core.body import Inline, OnDisk, StoredBody, stored_bytes
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import SharedState
from retain.engine.core.errors import NotFound
from retain.engine.core.event import Cause, Stamp
from retain.journal import NO_RESOURCE, Payload

DEFAULT_DAYS = 30
"""Days from a blob's last write to its end before any configuration said otherwise (the Genesys page: 30
days).
"""


Name = tuple[str, str, str]
"""Account, container and blob."""


class _Unplaced(NamedTuple):
    """A small body whose record is not written yet.

    Attributes:
        name: The blob that it belongs to.
        block_id: The block; empty for the blob's own body.
        replaces: The record that holds the same block, if this one restates it; else 0.

    """

    name: Name
    block_id: bytes
    replaces: int


class BlobsState:
    """All accounts.

    Attributes:
        shared: Deadlines and payload files, shared with the other slices.
        accounts: Account → container name → container; an account appears with its first container.
        closed: Account and name → deleted container whose contents still exist, in that order.
        services: Account → resource and service properties.
        default_days: The configured retention.
        last: The newest `modified` seen; the next is later, so no two writes share an ETag. Not part of
            snapshots: after a restart the newest remaining one suffices.

    """

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.accounts: dict[str, SortedDict[str, Container]] = {}
        self.closed: dict[tuple[str, str], Container] = {}
        self.services: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.default_days = DEFAULT_DAYS
        self.last = 0
        self._placing: dict[int, _Unplaced] = {}
        self._unplaced: dict[Name, int] = {}
        self._placed: dict[Name, dict[int, int]] = {}

    def find(self, account: str, name: str) -> Container | None:
        """Return a container, None if it does not exist."""
        containers = self.accounts.get(account)
        return None if containers is None else containers.get(name)

    def trace(self, account: str, name: str) -> Container | None:
        """Return a container, also a deleted one whose contents still exist, which no reader sees."""
        return self.find(account, name) or self.closed.get((account, name))

    def close(self, container: Container, at: int) -> None:
        """Hide `container`, deleted at `at`, from all readers."""
        self.drop(container)
        container.closed = at
        self.closed[container.account, container.name] = container
        self.rearm(container)

    def drop(self, container: Container) -> None:
        """Remove `container` from the tables and the deadline index."""
        key = (container.account, container.name)
        if container.armed is not None:
            self.shared.deadlines.disarm(container.armed, DeadlineKind.BLOB, key)
            container.armed = None
        if container.closed is not None:
            del self.closed[key]
            for following in self.closed.values():
                self.rearm(following)
                break
        else:
            containers = self.accounts[container.account]
            del containers[container.name]
            if not containers:
                del self.accounts[container.account]

    def ghost(self, account: str, name: str) -> Container:
        """Return a container for blobs whose container is restated or ended by a later record.

        Its older records were erased. No reader sees one, because the later record follows before the end of
        a replay.
        """
        entry = ContainerEntry(NO_RESOURCE, 0, 0, (), None, (), None, None)
        container = Container(account, name, entry, lifetime_of(None, self.default_days))
        self.accounts.setdefault(account, SortedDict())[name] = container
        return container

    def containers(self) -> Iterator[Container]:
        """Yield all containers of all accounts, in order."""
        for account in sorted(self.accounts):
            yield from self.accounts[account].values()

    def next_modified(self, now: int) -> int:
        """Return the time that a write is recorded with.

        It is `now` in whole ticks, but after every earlier write, so that its ETag is new; after a restore,
        it is later than that of any write that may have been lost.
        """
        return max(now - now % 100, self.last + 100, self.shared.modified)

    def rearm(self, container: Container) -> None:
        """Update the deadline index to when the oldest blob of `container` expires."""
        end = self.first_end(container)
        if end != container.armed:
            key = (container.account, container.name)
            if container.armed is not None:
                self.shared.deadlines.disarm(container.armed, DeadlineKind.BLOB, key)
            if end is not None:
                self.shared.deadlines.arm(end, DeadlineKind.BLOB, key)
            container.armed = end

    def first_end(self, container: Container) -> int | None:
        """Return when its oldest blob that is not under a legal hold expires, or should have."""
        if container.closed is not None:
            return container.closed if container is next(iter(self.closed.values())) else None
        held = self.shared.held
        if not held:
            return container.first_end()
        if held.container(container.account, container.name):
            return None
        return container.first_end(held.blobs_in(container.account, container.name))

    def hold(
        self,
        container: Container,
        blob: str,
        block_id: bytes,
        event_body: Any,
        stamp: Stamp,
        replaces: int = 0,
    ) -> StoredBody:
        """Return what live state keeps of an event's body: of a small one its address, once that is known.

        Until then the body stays in memory, so that it can be read meanwhile.
        """
        if not isinstance(event_body, Inline):
            assert isinstance(event_body, Payload)
            self.shared.keep(event_body.name)
            return event_body
        if stamp.address >= 0:
            return OnDisk(stamp.address, event_body.size)
        name = (container.account, container.name, blob)
        self._placing[stamp.seq] = _Unplaced(name, block_id, replaces)
        self._unplaced[name] = self._unplaced.get(name, 0) + 1
        return event_body

    def leave(
        self,
        resource: bytes,
        body: StoredBody | Composite,
        stamp: Stamp,
        cause: Cause,
        remaining: StoredBody | Composite | None = None,
    ) -> None:
        """Release a blob's `body`, except for its parts in `remaining`."""
        if isinstance(body, Composite):
            self.shared.bury(body.blocks)
        left, kept = sources_of(body), sources_of(remaining)
        if kept is not NO_SOURCES:
            left = left.without(kept)
        self.leave_sources(resource, left, stamp, cause)

    def leave_sources(self, resource: bytes, sources: BlockSources, stamp: Stamp, cause: Cause) -> None:
        """Release the records and payload files of a body or of staged blocks."""
        for name in sources.files:
            self.shared.release(name)
        self.shared.records.discard_all(stamp, sources.records, resource, cause)

    def leave_restated(self, container: Container, resource: bytes, blob: str, stamp: Stamp) -> None:
        """Release the blocks of `blob` that were being restated.

        Their payload files are those of the blob itself.
        """
        for block in container.restated.pop(blob, {}).values():
            size = stored_bytes(block.body)
            self.shared.records.discard(stamp, block.seq, size, resource, Cause.OVERWRITTEN)

    def is_placed(self, container: Container, blob: str) -> bool:
        """Return whether the records of all bodies under a name are written."""
        return not self._unplaced.get((container.account, container.name, blob))

    def place(self, seq: int, address: int) -> None:
        """Note where the record of a block or body is.

        A list of blocks is replaced as a whole. So the addresses of its blocks are gathered, until no body
        under its name is without one: a frame may bring thousands for a list of 50,000.
        """
        unplaced = self._placing.pop(seq, None)
        if unplaced is None:
            return
        name = unplaced.name
        self._unplaced[name] -= 1
        container = self.trace(*name[:2])
        if container is not None and not _place_block(container, unplaced, seq, address):
            self._placed.setdefault(name, {})[seq] = address
        if self._unplaced[name]:
            return
        del self._unplaced[name]
        addresses = self._placed.pop(name, None)
        entry = None if container is None else container.blobs.get(name[2])
        if container is not None and entry is not None and addresses:
            container.blobs[name[2]] = entry._replace(body=_placed(entry, addresses))


def _place_block(container: Container, unplaced: _Unplaced, seq: int, address: int) -> bool:
    """Give a block that is staged, or is being restated, its address; return whether it is one."""
    _, _, blob = unplaced.name
    staged = container.staged.get((blob, unplaced.block_id))
    if staged is not None and staged.seq == seq:
        container.staged.place(blob, staged._replace(body=OnDisk(address, staged.size)))
        return True
    restated = container.restated.get(blob, {})
    block = restated.get(unplaced.replaces)
    if block is not None and block.seq == seq:
        restated[unplaced.replaces] = block._replace(body=OnDisk(address, block.size))
        return True
    return False


def _placed(entry: BlobEntry, addresses: dict[int, int]) -> StoredBody | Composite:
    """Return the body of `entry` with the addresses of these records in it."""
    if isinstance(entry.body, Composite):
        return entry.body.placed(addresses)
    return OnDisk(addresses[entry.seq], entry.size) if entry.seq in addresses else entry.body


def required(blobs: BlobsState, account: str, name: str) -> Container:
    """Return the container.

    Raises:
        NotFound: `container`.

    """
    container = blobs.find(account, name)
    if container is None:
        raise NotFound(f"the container {name} does not exist", reason="container")
    return container
