"""The blobs' part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from retain.engine.blobs import (
    ahead,
    apply_blobs,
    apply_containers,
    decide_blobs,
    decide_containers,
    expiry,
    restate,
)
from retain.engine.blobs.containers import blocks_end, lifetime_of
from retain.engine.blobs.entries import Composite, payload_names
from retain.engine.blobs.rows import Loader, freeze, resources_of
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import StoredBody
from retain.engine.core.command import Command
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, LookAhead, Restater
from retain.engine.core.event import Event
from retain.engine.core.snapshot_table import Frozen


class BlobsSlice(BlobsState):
    """The blobs as `engine.core.domain.Slice`."""

    name = "blobs"

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {**apply_containers.handlers(self), **apply_blobs.handlers(self)}

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return {
            **decide_containers.deciders(self),
            **decide_blobs.deciders(self),
        }

    def looks_ahead(self) -> Mapping[type[Command[Any]], LookAhead]:
        return ahead.looks_ahead(self)

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        return {
            DeadlineKind.BLOB: partial(expiry.end_blobs, self),
            DeadlineKind.BLOCKS: partial(expiry.end_blocks, self),
        }

    def restaters(self) -> Mapping[str, Restater]:
        return restate.restaters(self)

    def resources(self) -> Iterable[bytes]:
        return resources_of(self)

    def freeze(self) -> Frozen:
        return freeze(self)

    def load(self, rows: Iterable[Any]) -> None:
        loader = Loader(self)
        for row in rows:
            loader.take(row)
        loader.finish()
        for name in loader.files:
            self.shared.keep(name)
        for container in (*self.containers(), *self.closed.values()):
            for blob, pending in container.pending.items():
                key = (container.account, container.name, blob)
                self.shared.deadlines.arm(blocks_end(pending), DeadlineKind.BLOCKS, key)
            self.rearm(container)
            newest = container.ages[-1][0] if container.ages else 0
            self.last = max(self.last, newest, container.entry.modified)

    def check(self) -> None:
        armed: set[tuple[int, int, Any]] = set()
        for account, containers in self.accounts.items():
            assert containers, "an account must have a container"
            for name, container in containers.items():
                assert (container.account, container.name) == (account, name)
                assert container.lifetime == lifetime_of(container.entry.days, self.default_days)
                container.check()
                assert container.armed == self.first_end(container)
                if container.armed is not None:
                    armed.add((container.armed, int(DeadlineKind.BLOB), (account, name)))
                for blob, pending in container.pending.items():
                    armed.add((blocks_end(pending), int(DeadlineKind.BLOCKS), (account, name, blob)))
        for key, container in self.closed.items():
            assert (container.account, container.name) == key
            assert self.find(*key) is None
            assert container.closed is not None
            container.check()
            for blob, pending in container.pending.items():
                armed.add((blocks_end(pending), int(DeadlineKind.BLOCKS), (*key, blob)))
            if container is next(iter(self.closed.values())):
                armed.add((container.closed, int(DeadlineKind.BLOB), key))
        for container in (*self.containers(), *self.closed.values()):
            bodies: list[StoredBody | Composite] = [entry.body for entry in container.blobs.values()]
            bodies += [block.body for block in container.staged.values()]
            assert all(payload_names(body) <= self.shared.payloads for body in bodies)
        kinds = (int(DeadlineKind.BLOB), int(DeadlineKind.BLOCKS))
        assert armed == {entry for entry in self.shared.deadlines.entries() if entry[1] in kinds}
