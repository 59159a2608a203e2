"""The slice as snapshot rows and back.

A row is a kind and fields: the slice, an account's service properties, a container, and after it its blobs
(plain ones in columns, see `engine/blobs/columns.py`), its staged names and its staged blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any

from sortedcontainers import SortedDict

from retain.engine.blobs.columns import blobs_of, rows_of
from retain.engine.blobs.container_events import lease_of, pairs_of
from retain.engine.blobs.containers import Container, lifetime_of
from retain.engine.blobs.entries import (
    ON_DISK,
    BlobEntry,
    Block,
    ContainerEntry,
    ContentHeaders,
    CopyInfo,
    StagedBlocks,
    StoredPolicy,
    pack_stored,
    payload_names,
    shared_headers,
    shared_pairs,
    unpack_block,
    unpack_stored,
)
from retain.engine.blobs.state import BlobsState
from retain.engine.core.body import OnDisk
from retain.engine.core.snapshot_table import Frozen, SnapshotTable
from retain.journal import Payload

SLICE, SERVICE, CONTAINER, BLOB, PENDING, BLOCK, RESTATED, CLOSED, COLUMNS = range(9)


def freeze(blobs: BlobsState) -> Frozen:
    head = [SLICE, blobs.default_days]
    services = sorted(blobs.services.items())
    frozen = [
        (
            [CONTAINER, container.account, container.name, *container.entry],
            container.closed,
            container.blobs.view(),
            container.pending.copy(),
            container.staged.copy(),
            {name: dict(found) for name, found in container.restated.items()},
        )
        for container in chain(blobs.containers(), blobs.closed.values())
    ]

    def rows() -> Iterator[Any]:
        yield head
        for account, (resource, document) in services:
            yield [SERVICE, account, resource, document]
        for row, closed, entries, pending, staged, restated in frozen:
            yield row
            if closed is not None:
                yield [CLOSED, closed]
            yield from rows_of(entries.items(), _row, COLUMNS)
            for name, waiting in pending.items():
                yield [PENDING, name, *waiting]
            for name in sorted(staged):
                for _, block in sorted(staged[name].items()):
                    yield [BLOCK, name, [block.block_id, pack_stored(block.body), block.seq]]
            for name, found in restated.items():
                for replaced, block in found.items():
                    yield [RESTATED, name, [block.block_id, pack_stored(block.body), block.seq], replaced]

    return Frozen(rows, tuple(view for _, _, view, *_ in frozen))


def _row(name: str, entry: BlobEntry) -> list[Any]:
    return [BLOB, name, *entry[:4], pack_stored(entry.body), *entry[5:]]


def resources_of(blobs: BlobsState) -> Iterator[bytes]:
    """Yield the resources of all accounts, containers and blobs: the objects that their entries hold."""
    for resource, _document in blobs.services.values():
        yield resource
    for container in chain(blobs.containers(), blobs.closed.values()):
        yield container.entry.resource
        yield from map(attrgetter("resource"), container.blobs.values())


class Loader:
    """Fills an empty slice from rows, one container at a time.

    Attributes:
        files: The payload files that blobs and staged blocks refer to.

    """

    def __init__(self, blobs: BlobsState) -> None:
        self.files: set[str] = set()
        self._blobs = blobs
        self._container: Container | None = None
        self._entries: SnapshotTable[str, BlobEntry] = SnapshotTable()
        self._staged: dict[tuple[str, bytes], Block] = {}

    def take(self, row: list[Any]) -> None:
        """Take the next row."""
        kind = row[0]
        if kind == COLUMNS:
            names, entries, files = blobs_of(row[1:])
            self._entries.update(zip(names, entries, strict=True))
            self.files.update(files)
        elif kind == BLOB:
            entry = self._entries[row[1]] = _blob(row)
            self.files.update(payload_names(entry.body))
        elif kind == PENDING:
            assert self._container is not None
            self._container.pending[row[1]] = StagedBlocks(*row[2:])
        elif kind == BLOCK:
            block = unpack_block(row[2])
            self._staged[row[1], block.block_id] = block
            if isinstance(block.body, Payload):
                self.files.add(block.body.name)
        elif kind == RESTATED:
            assert self._container is not None
            self._container.restated.setdefault(row[1], {})[row[3]] = unpack_block(row[2])
        elif kind == CONTAINER:
            self._next_container(row)
        elif kind == CLOSED:
            assert self._container is not None
            self._blobs.close(self._container, row[1])
        elif kind == SERVICE:
            self._blobs.services[row[1]] = (row[2], row[3])
        elif kind == SLICE:
            self._blobs.default_days = row[1]
        else:
            raise ValueError(f"a row of the unknown kind {kind}")

    def finish(self) -> None:
        """Load the container whose rows were taken."""
        if self._container is not None:
            self._container.load(self._entries, self._staged)
        self._container, self._entries, self._staged = None, SnapshotTable(), {}

    def _next_container(self, row: list[Any]) -> None:
        self.finish()
        account, name = row[1:3]
        resource, created, modified, metadata, public_access, policies, days, lease, ended = row[3:]
        entry = ContainerEntry(
            resource,
            created,
            modified,
            pairs_of(metadata),
            public_access,
            tuple(StoredPolicy(*policy) for policy in policies),
            days,
            lease_of(lease),
            ended,
        )
        self._container = Container(account, name, entry, lifetime_of(days, self._blobs.default_days))
        self._blobs.accounts.setdefault(account, SortedDict())[name] = self._container


def _blob(row: list[Any]) -> BlobEntry:
    """Return the blob in a row.

    Called for each of perhaps a million blobs at the start, so it allocates and calls little.
    """
    _, _, resource, created, modified, seq, body, md5, headers, metadata, tags, *rest = row
    tier, tier_changed, copy, lease, metadata_seq = rest
    fields = (
        resource,
        created,
        # Sharing one object for both equal numbers saves 32 MB for a million entries.
        created if modified == created else modified,
        seq,
        OnDisk(body[1], body[2]) if body[0] == ON_DISK else unpack_stored(body),
        md5,
        _headers(tuple(headers)),
        pairs_of(metadata) if metadata else (),
        shared_pairs(map(tuple, tags)) if tags else (),
        tier,
        tier_changed,
        None if copy is None else CopyInfo(*copy),
        None if lease is None else lease_of(lease),
        metadata_seq,
    )
    return tuple.__new__(BlobEntry, fields)


@lru_cache(maxsize=4096)
def _headers(fields: tuple[Any, ...]) -> ContentHeaders:
    return shared_headers(ContentHeaders(*fields))
