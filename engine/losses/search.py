"""Finds live bodies whose payload files are missing or damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from retain import journal
from retain.engine.areas.state import AreaFile, AreasState, split_key
from retain.engine.blobs.containers import Container
from retain.engine.blobs.entries import BlobEntry, Block, Composite
from retain.engine.blobs.state import BlobsState
from retain.journal import Payload
from retain.journal.payloads.store import CHUNK_BYTES, PayloadStore, payload_path

AREA, BLOB, BLOCK = "area", "blob", "block"


@dataclass(frozen=True, slots=True)
class LiveBody:
    """One body in a payload file, and its live entry.

    Attributes:
        kind: `AREA` (a file of one), `BLOB`, or `BLOCK` (staged, not committed).
        resource: The number of the area or blob.
        names: Of an area: name, customer or None, key. Of a blob: account, container, name.
        seq: The record that holds the key of the payload file.
        payload: The payload file.
    """

    kind: str
    resource: bytes
    names: tuple[str | None, ...]
    seq: int
    payload: Payload

    @property
    def file(self) -> str:
        """The payload file in the data folder."""
        return payload_path(self.payload.name)


@dataclass(frozen=True, slots=True)
class Lost:
    """A body that is lost, and why."""

    body: LiveBody
    reason: str


class HoldsBodies(Protocol):
    """The parts of the state with payload files."""

    @property
    def areas(self) -> AreasState:
        """See `engine.state.State`, as for the other."""

    @property
    def blobs(self) -> BlobsState: ...


def live_bodies(state: HoldsBodies) -> Iterator[LiveBody]:
    """Return every body in a payload file, without those in deleted containers: they are removed anyway."""
    for key, area in state.areas.areas.items():
        for name, value in zip(area[2], area[3], strict=True):
            if isinstance(value, AreaFile) and isinstance(value.body, Payload):
                yield LiveBody(AREA, area[0], (*split_key(key), name), value.seq, value.body)
    for container in state.blobs.containers():
        yield from _in_container(container)


def _in_container(container: Container) -> Iterator[LiveBody]:
    for name, entry in container.blobs.items():
        names = (container.account, container.name, name)
        for seq, body in _of_entry(entry):
            yield LiveBody(BLOB, entry.resource, names, seq, body)
    for name, pending in container.pending.items():
        names = (container.account, container.name, name)
        for block in container.blocks(name):
            if isinstance(block.body, Payload):
                yield LiveBody(BLOCK, pending.resource, names, block.seq, block.body)


def _of_entry(entry: BlobEntry) -> Iterator[tuple[int, Payload]]:
    blocks: Iterable[Block] = ()
    if isinstance(entry.body, Composite):
        blocks = {block.seq: block for block in entry.body.blocks}.values()
    elif isinstance(entry.body, Payload):
        yield entry.seq, entry.body
    yield from ((block.seq, block.body) for block in blocks if isinstance(block.body, Payload))


def lost_among(found: Iterable[LiveBody], store: PayloadStore, *, read: bool = False) -> list[Lost]:
    """Return those whose file is missing or has the wrong length; with `read`, also wrong bytes. Blocking.

    Raises:
        OSError: The disk cannot be read. Its contents are unknown then, so nothing counts as lost.
    """
    lost = []
    for one in found:
        reason = _wrong(store, one.payload, read=read)
        if reason:
            lost.append(Lost(one, reason))
    return lost


def _wrong(store: PayloadStore, payload: Payload, *, read: bool) -> str:
    digest = sha256()
    if read:
        store.forget_handle(payload_path(payload.name))  # the present file of that name is examined
    try:
        with store.open(payload) as reader:
            for offset in range(0, payload.size if read else 0, CHUNK_BYTES):
                digest.update(reader.read(offset, CHUNK_BYTES))
    except journal.Corrupt as error:
        return error.message
    if read and digest.digest() != payload.sha256:
        return "the payload file holds other bytes than its record says"
    return ""
