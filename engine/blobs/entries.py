"""The entries of containers and blobs in memory: immutable tuples that are replaced, never changed.

There may be a million `BlobEntry` in memory, so they are plain tuples, small bodies stay on disk and
everything that repeats from blob to blob (content headers, tags of few values) is shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from retain.engine.blobs.leases import Lease
from retain.engine.core.body import Inline, OnDisk, StoredBody, stored_bytes
from retain.engine.core.ledger import size_class
from retain.journal import Payload

MAX_POLICIES = 5
"""Stored access policies of one container (docs/wire/blobs.md, section 2.3)."""
MAX_BLOCKS = 50_000
"""Blocks of one list (docs/wire/blobs.md, section 5.1)."""
MAX_UNCOMMITTED = 100_000
"""Uncommitted blocks of one blob (docs/wire/blobs.md, section 5.1)."""

NANOSECONDS_A_TICK = 100
UNIX_EPOCH_TICKS = 621_355_968_000_000_000
"""1970-01-01 in ticks of 100 ns since 0001-01-01, the unit of Azure's ETags (docs/wire/blobs.md, section
7)."""

Pairs = tuple[tuple[str, str], ...]
"""Metadata or tags: names and values in the order in which they were sent."""


def ticks(modified: int) -> int:
    """Return the ETag of a write at `modified` nanoseconds, as a number (docs/wire/blobs.md, section 7)."""
    return modified // NANOSECONDS_A_TICK + UNIX_EPOCH_TICKS


class ContentHeaders(NamedTuple):
    """The five content headers, besides the MD5, that a client stores with a blob; None is unset."""

    content_type: str | None = None
    encoding: str | None = None
    language: str | None = None
    disposition: str | None = None
    cache_control: str | None = None


class CopyInfo(NamedTuple):
    """The facts of a copy, kept at its destination until the next write (docs/wire/blobs.md, section 5.2).

    Attributes:
        copy_id: The id of the finished copy.
        source: The source's URL without its query, so without any token.
        completed: When, in nanoseconds since the epoch.
        size: Bytes copied.

    """

    copy_id: str
    source: str
    completed: int
    size: int


class Block(NamedTuple):
    """One block: staged, or part of a committed list.

    Attributes:
        block_id: The decoded id, 1 to 64 bytes.
        body: Its bytes.
        seq: The record that holds them, or the key of their payload file.

    """

    block_id: bytes
    body: StoredBody
    seq: int

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.body.size


class BlockSources(NamedTuple):
    """The records and payload files that blocks depend on, each once.

    Attributes:
        records: By the size class of their contents, as the ledger counts them.
        files: Names, sorted.

    """

    records: Mapping[int, Sequence[int]]
    files: Sequence[str]

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> BlockSources:
        """Return the sources of `blocks`."""
        files: set[str] = set()
        records: dict[int, dict[int, None]] = {}
        of_size: dict[int, dict[int, None]] = {}  # there may be 100,000 blocks, but of few sizes
        for _, body, seq in blocks:
            size = body.size
            if isinstance(body, Payload):
                files.add(body.name)
                size = stored_bytes(body)
            seqs = of_size.get(size)
            if seqs is None:
                seqs = of_size[size] = records.setdefault(size_class(size), {})
            seqs[seq] = None
        return cls({size: tuple(seqs) for size, seqs in records.items()}, tuple(sorted(files)))

    def without(self, kept: BlockSources) -> BlockSources:
        """Return these without those that are also in `kept`."""
        seqs = set(chain.from_iterable(kept.records.values()))
        files = set(kept.files)
        records = {size: [seq for seq in found if seq not in seqs] for size, found in self.records.items()}
        left = {size: found for size, found in records.items() if found}
        return BlockSources(left, [name for name in self.files if name not in files])


class GrowingSources:
    """The sources of blocks that come and go: 50,000 of them may go in one step."""

    __slots__ = ("_files", "_records")

    def __init__(self) -> None:
        self._records: dict[int, dict[int, None]] = {}
        self._files: Counter[str] | None = None

    def add(self, block: Block) -> None:
        """Add the source of `block`."""
        body = block.body
        self._records.setdefault(size_class(stored_bytes(body)), {})[block.seq] = None
        if isinstance(body, Payload):
            if self._files is None:
                self._files = Counter()
            self._files[body.name] += 1

    def remove(self, block: Block) -> None:
        """Remove the source of `block`, which was added."""
        body = block.body
        size = size_class(stored_bytes(body))
        del self._records[size][block.seq]
        if not self._records[size]:
            del self._records[size]
        if isinstance(body, Payload):
            assert self._files is not None
            self._files[body.name] -= 1
            if not self._files[body.name]:
                del self._files[body.name]

    def all(self) -> BlockSources:
        """Return the present sources."""
        records = {size: tuple(seqs) for size, seqs in self._records.items()}
        return BlockSources(records, tuple(sorted(self._files or ())))


LONG_LIST = 1_000
"""A list of more blocks than these keeps its sources, so that it ends in one short step."""


@dataclass(frozen=True, slots=True)
class Composite:
    """The body of a blob that was committed as a list of blocks; the same block may occur more than once."""

    blocks: tuple[Block, ...]
    size: int
    _sources: BlockSources | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> Composite:
        """Return the body that consists of `blocks`."""
        blocks = tuple(blocks)
        sources = BlockSources.of(blocks) if len(blocks) > LONG_LIST else None
        return cls(blocks, sum([body.size for _, body, _ in blocks]), sources)

    @property
    def sources(self) -> BlockSources:
        """Return what the blocks depend on."""
        return BlockSources.of(self.blocks) if self._sources is None else self._sources

    def placed(self, addresses: Mapping[int, int]) -> Composite:
        """Return the same body with the addresses of these records in it."""
        blocks = tuple(
            block._replace(body=OnDisk(addresses[block.seq], block.size)) if block.seq in addresses else block
            for block in self.blocks
        )
        return Composite(blocks, self.size, self._sources)


class BlobEntry(NamedTuple):
    """One committed blob.

    Attributes:
        resource: The id of its records.
        created: When its name was first written since it was last absent; nanoseconds since the epoch.
        modified: The last write that counts (content, content headers, metadata, copy), as `created`; it
            makes the ETag.
        seq: The record of the last write of the content.
        body: The content.
        md5: The stored Content-MD5; None if the client set none with a block list or cleared it.
        headers: The stored content headers.
        metadata: As sent, names in the client's case.
        tags: At most ten.
        tier: The access tier that a client set, None if it is the account's.
        tier_changed: When a client set it after the write, else None.
        copy: Set by a copy, dropped by the next write.
        lease: The lease in any of its states, None if there was none since the last write after it ended.
        metadata_seq: The record of the last change of metadata after `seq`, else 0.

    """

    resource: bytes
    created: int
    modified: int
    seq: int
    body: StoredBody | Composite
    md5: bytes | None
    headers: ContentHeaders
    metadata: Pairs
    tags: Pairs
    tier: str | None
    tier_changed: int | None
    copy: CopyInfo | None
    lease: Lease | None
    metadata_seq: int

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return self.body.size

    @property
    def etag(self) -> int:
        """The ETag as a number of ticks."""
        return ticks(self.modified)


class StagedBlocks(NamedTuple):
    """The staged and uncommitted blocks of a blob name.

    Attributes:
        resource: The id of its records.
        staged: When the last block was staged, nanoseconds since the epoch; all of them are deleted seven
            days later.
        blocks: How many blocks are staged.
        id_length: Length in bytes of each uncommitted id of the blob (docs/wire/blobs.md, section 5.1).

    """

    resource: bytes
    staged: int
    blocks: int
    id_length: int


class StoredPolicy(NamedTuple):
    """A stored access policy of a container (docs/wire/blobs.md, section 2.3).

    None means that the token must specify the field.

    Attributes:
        policy_id: 1 to 64 characters, unique in its container.
        start: From when, nanoseconds since the epoch.
        expiry: Until when, nanoseconds since the epoch.
        permissions: Permission letters, as they were set.
    """

    policy_id: str
    start: int | None = None
    expiry: int | None = None
    permissions: str | None = None


class ContainerEntry(NamedTuple):
    """One container, without its contents.

    Attributes:
        resource: The id of its records.
        created: Nanoseconds since the epoch.
        modified: The last change of metadata or access policies; it makes the ETag.
        metadata: As sent.
        public_access: `container`, `blob` or None for private. Kept for clients that read it back.
        policies: At most five.
        days: Days from a blob's last write to its end; 0 keeps for ever, None follows the server's
            configuration.
        lease: As with a blob.
        ended: Blobs last modified up to this moment have ended, whatever `days` says now: a longer
            retention does not bring back what a shorter one ended.

    """

    resource: bytes
    created: int
    modified: int
    metadata: Pairs
    public_access: str | None
    policies: tuple[StoredPolicy, ...]
    days: int | None
    lease: Lease | None
    ended: int = -1

    @property
    def etag(self) -> int:
        """The ETag as a number of ticks."""
        return ticks(self.modified)


NO_SOURCES = BlockSources({}, ())


def sources_of(body: StoredBody | Composite | None) -> BlockSources:
    """Return the sources of a body besides the record of its blob."""
    if isinstance(body, Composite):
        return body.sources
    return BlockSources({}, (body.name,)) if isinstance(body, Payload) else NO_SOURCES


def payload_names(body: StoredBody | Composite) -> set[str]:
    """Return the names of the payload files that a body needs."""
    if isinstance(body, Composite):
        return set(body.sources.files)
    return {body.name} if isinstance(body, Payload) else set()


def pieces(entry: BlobEntry, start: int, stop: int) -> list[tuple[StoredBody, int, int]]:
    """Return which range of which body makes up the bytes from `start` to before `stop`, in order."""
    if not isinstance(entry.body, Composite):
        return [(entry.body, start, stop)]
    found: list[tuple[StoredBody, int, int]] = []
    at = 0
    for block in entry.body.blocks:
        end = at + block.size
        if end > start and at < stop:
            found.append((block.body, max(start - at, 0), min(stop - at, block.size)))
        if end >= stop:
            break
        at = end
    return found


@lru_cache(maxsize=4096)
def shared_headers(headers: ContentHeaders) -> ContentHeaders:
    """Return the one copy shared by recent entries with equal headers."""
    return headers


@lru_cache(maxsize=16384)
def _shared_pair(pair: tuple[str, ...]) -> tuple[str, str]:
    key, value = pair
    return key, value


def shared_pairs(pairs: Iterable[tuple[str, ...]]) -> Pairs:
    """Return equal pairs, each the one copy that recent entries share."""
    return tuple(map(_shared_pair, pairs))


ON_DISK, PAYLOAD, COMPOSITE, INLINE = range(4)


def pack_stored(body: StoredBody | Composite) -> list[Any]:
    """Return a body as a snapshot row: a kind, then its fields."""
    if isinstance(body, OnDisk):
        return [ON_DISK, body.address, body.size]
    if isinstance(body, Payload):
        return [PAYLOAD, body.name, body.key, body.size, body.md5, body.sha256]
    if isinstance(body, Composite):
        return [COMPOSITE, [[block.block_id, pack_stored(block.body), block.seq] for block in body.blocks]]
    return [INLINE, body.data, body.md5]


def unpack_stored(row: list[Any]) -> StoredBody | Composite:
    """Return the body in a row of `pack_stored`."""
    kind, *fields = row
    if kind == ON_DISK:
        return OnDisk(*fields)
    if kind == PAYLOAD:
        name, key, size, md5, sha256 = fields
        return Payload(name=name, key=key, size=size, md5=md5, sha256=sha256)
    if kind == COMPOSITE:
        return Composite.of(map(unpack_block, fields[0]))
    return Inline(*fields)


def unpack_block(row: list[Any]) -> Block:
    """Return a block from `[id, body, seq]`."""
    body = unpack_stored(row[1])
    assert not isinstance(body, Composite)
    return Block(row[0], body, row[2])
