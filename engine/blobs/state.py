"""The blobs' slice of the state: accounts, containers, blobs, and how events change them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sortedcontainers import SortedDict

from engine.blobs import (
    apply_blobs,
    apply_containers,
    decide_blobs,
    decide_blocks,
    decide_containers,
    restate,
)
from engine.blobs.containers import Container, blocks_end, lifetime_of
from engine.blobs.entries import BlobEntry, Block, Composite, ContainerEntry, payload_names
from engine.blobs.events import BlobDeleted, BlocksDropped
from engine.blobs.rows import Loader, frozen_rows, resources_of
from engine.body import Held, Inline, OnDisk, stored_bytes
from engine.command import Command
from engine.deadlines import Kind
from engine.event import Cause, Event, Stamp
from engine.slice import Apply, Decide, Expire, Ground, Restater
from journal import NO_RESOURCE, Payload

ACTOR = "retain"
"""Who ends things, in the audit log."""
DEFAULT_DAYS = 30
"""Days from a blob's last write to its end before any configuration said otherwise (the Genesys page: 30
days).
"""
EXPIRIES = 64
"""Most blobs that one look at a container ends, so that other requests come between two looks."""


class BlobsSlice:
    """All accounts.

    Attributes:
        ground: Deadlines and payload files, shared with the other slices.
        accounts: Account → container name → container; an account appears with its first container.
        services: Account → resource and service properties.
        default_days: The configured retention.
        last: The newest ``modified`` seen; the next is later, so no two writes share an ETag. Not part of
            snapshots: after a restart the newest of what is left does as well.
    """

    name = "blobs"

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.accounts: dict[str, SortedDict[str, Container]] = {}
        self.services: dict[str, tuple[bytes, dict[str, Any]]] = {}
        self.default_days = DEFAULT_DAYS
        self.last = 0
        self._placing: dict[int, tuple[str, str, str, bytes]] = {}

    def handlers(self) -> Mapping[type[Event], Apply]:
        """See :class:`engine.slice.Slice`."""
        return {**apply_containers.handlers(self), **apply_blobs.handlers(self)}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """See :class:`engine.slice.Slice`."""
        return {
            **decide_containers.deciders(self),
            **decide_blobs.deciders(self),
            **decide_blocks.deciders(self),
        }

    def expirers(self) -> Mapping[Kind, Expire]:
        """See :class:`engine.slice.Slice`."""
        return {Kind.BLOB: self._end_blobs, Kind.BLOCKS: self._end_blocks}

    def _end_blobs(self, key: Any, now: int) -> Sequence[Event]:
        account, name = key
        container = self.find(account, name)
        assert container is not None
        edge = container.alive_after(now)
        held = self.ground.held.blobs_in(account, name)
        ended: list[Event] = []
        for modified, blob in container.ages:
            if modified > edge or len(ended) == EXPIRIES:
                break
            if blob not in held:
                ended.append(self.expiry(container, blob))
        return ended

    def expiry(self, container: Container, blob: str) -> BlobDeleted:
        """The event that ends a blob whose time has come."""
        return BlobDeleted(
            resource=container.blobs[blob].resource,
            actor=ACTOR,
            cause=Cause.EXPIRED,
            account=container.account,
            container=container.name,
            blob=blob,
        )

    def _end_blocks(self, key: Any, now: int) -> Sequence[Event]:
        account, name, blob = key
        container = self.find(account, name)
        assert container is not None
        return [self.blocks_expiry(container, blob)]

    def blocks_expiry(self, container: Container, blob: str) -> BlocksDropped:
        """The event that ends what was staged too long ago."""
        return BlocksDropped(
            resource=container.pending[blob].resource,
            actor=ACTOR,
            cause=Cause.EXPIRED,
            account=container.account,
            container=container.name,
            blob=blob,
        )

    def find(self, account: str, name: str) -> Container | None:
        """A container, None if it is not there."""
        containers = self.accounts.get(account)
        return None if containers is None else containers.get(name)

    def ghost(self, account: str, name: str) -> Container:
        """A container for blobs whose container is restated later, or ends later: its older records were
        erased. Nobody sees one, because by the end of a replay one of the two has come."""
        entry = ContainerEntry(NO_RESOURCE, 0, 0, (), None, (), None, None)
        container = Container(account, name, entry, lifetime_of(None, self.default_days))
        self.accounts.setdefault(account, SortedDict())[name] = container
        return container

    def containers(self) -> Iterator[Container]:
        """All containers of all accounts, in order."""
        for account in sorted(self.accounts):
            yield from self.accounts[account].values()

    def next_modified(self, now: int) -> int:
        """The time a write counts as: ``now`` in whole ticks, but after every earlier one, so its ETag is
        new.
        """
        return max(now - now % 100, self.last + 100)

    def rearm(self, container: Container) -> None:
        """Makes the deadline index say when the oldest blob of ``container`` ends."""
        end = self.first_end(container)
        if end != container.armed:
            key = (container.account, container.name)
            if container.armed is not None:
                self.ground.deadlines.disarm(container.armed, Kind.BLOB, key)
            if end is not None:
                self.ground.deadlines.arm(end, Kind.BLOB, key)
            container.armed = end

    def first_end(self, container: Container) -> int | None:
        """When its oldest blob that is not under a legal hold ends, or should have."""
        held = self.ground.held
        if not held:
            return container.first_end()
        if held.container(container.account, container.name):
            return None
        return container.first_end(held.blobs_in(container.account, container.name))

    def hold(self, container: Container, blob: str, block_id: bytes, event_body: Any, stamp: Stamp) -> Held:
        """What live state keeps of an event's body: a small one goes to disk as soon as its address is known.

        Until then it stays in memory, so that whoever reads the state meanwhile can read the body.
        """
        if not isinstance(event_body, Inline):
            assert isinstance(event_body, Payload)
            self.ground.keep(event_body.name)
            return event_body
        if stamp.address >= 0:
            return OnDisk(stamp.address, event_body.size)
        self._placing[stamp.seq] = (container.account, container.name, blob, block_id)
        return event_body

    def leave(
        self, resource: bytes, body: Held | Composite, stamp: Stamp, cause: Cause, remaining: object = None
    ) -> None:
        """Live state no longer stands on a blob's ``body``, but for what of it is in ``remaining``."""
        kept: set[str] = set()
        seqs: set[int] = set()
        if isinstance(remaining, Composite):
            seqs = {block.seq for block in remaining.blocks}
        if isinstance(remaining, Composite | Payload):
            kept = payload_names(remaining)
        for name in sorted(payload_names(body) - kept):
            self.ground.release(name)
        if isinstance(body, Composite):
            for seq, block in {block.seq: block for block in body.blocks}.items():
                if seq not in seqs:
                    self.ground.records.leave(stamp, seq, stored_bytes(block.body), resource, cause)

    def leave_block(self, resource: bytes, block: Block, stamp: Stamp, cause: Cause) -> None:
        """Live state no longer stands on a block that was staged."""
        self.leave(resource, Composite((block,), block.size), stamp, cause)

    def leave_restated(self, container: Container, resource: bytes, blob: str, stamp: Stamp) -> None:
        """Blocks of ``blob`` that were being restated are not needed any more; their payload files are those
        of the blob itself."""
        for block in container.restated.pop(blob, {}).values():
            size = stored_bytes(block.body)
            self.ground.records.leave(stamp, block.seq, size, resource, Cause.OVERWRITTEN)

    def restaters(self) -> Mapping[str, Restater]:
        """See :class:`engine.slice.Slice`."""
        return restate.restaters(self)

    def resources(self) -> Iterable[bytes]:
        """See :class:`engine.slice.Slice`."""
        return resources_of(self)

    def place(self, seq: int, address: int) -> None:
        """See :class:`engine.slice.Slice`."""
        where = self._placing.pop(seq, None)
        if where is None:
            return
        account, name, blob, block_id = where
        container = self.find(account, name)
        if container is None:
            return
        staged = container.staged.get((blob, block_id))
        if staged is not None and staged.seq == seq:
            container.staged[blob, block_id] = staged._replace(body=OnDisk(address, staged.size))
            return
        for replaced, block in container.restated.get(blob, {}).items():
            if block.seq == seq:
                container.restated[blob][replaced] = block._replace(body=OnDisk(address, block.size))
                return
        entry = container.blobs.get(blob)
        if entry is not None:
            container.blobs[blob] = entry._replace(body=_placed(entry, seq, address))

    def freeze(self) -> Callable[[], Iterator[Any]]:
        """See :class:`engine.slice.Slice`."""
        return frozen_rows(self)

    def load(self, rows: Iterable[Any]) -> None:
        """See :class:`engine.slice.Slice`."""
        loader = Loader(self)
        for row in rows:
            loader.take(row)
        loader.finish()
        for container in self.containers():
            for entry in container.blobs.values():
                if not isinstance(entry.body, OnDisk):
                    self._keep(entry.body)
            for block in container.staged.values():
                self._keep(block.body)
            for blob, pending in container.pending.items():
                key = (container.account, container.name, blob)
                self.ground.deadlines.arm(blocks_end(pending), Kind.BLOCKS, key)
            self.rearm(container)
            newest = container.ages[-1][0] if container.ages else 0
            self.last = max(self.last, newest, container.entry.modified)

    def _keep(self, body: Held | Composite) -> None:
        for name in payload_names(body):
            self.ground.keep(name)

    def check(self) -> None:
        """See :class:`engine.slice.Slice`."""
        armed: set[tuple[int, int, Any]] = set()
        for account, containers in self.accounts.items():
            assert containers, "an account without containers is none"
            for name, container in containers.items():
                assert (container.account, container.name) == (account, name)
                assert container.lifetime == lifetime_of(container.entry.days, self.default_days)
                container.check()
                assert container.armed == self.first_end(container)
                if container.armed is not None:
                    armed.add((container.armed, int(Kind.BLOB), (account, name)))
                for blob, pending in container.pending.items():
                    armed.add((blocks_end(pending), int(Kind.BLOCKS), (account, name, blob)))
                bodies: list[Held | Composite] = [entry.body for entry in container.blobs.values()]
                bodies += [block.body for block in container.staged.values()]
                assert all(payload_names(body) <= self.ground.payloads for body in bodies)
        kinds = (int(Kind.BLOB), int(Kind.BLOCKS))
        assert armed == {entry for entry in self.ground.deadlines.entries() if entry[1] in kinds}


def _placed(entry: BlobEntry, seq: int, address: int) -> Held | Composite:
    if isinstance(entry.body, Composite):
        blocks = tuple(
            block._replace(body=OnDisk(address, block.size)) if block.seq == seq else block
            for block in entry.body.blocks
        )
        return entry.body._replace(blocks=blocks)
    return OnDisk(address, entry.size) if entry.seq == seq else entry.body
