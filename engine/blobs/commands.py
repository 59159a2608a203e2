"""The commands on blobs; those on containers and accounts are in `container_commands`.

Names, header values, tags and XML are validated earlier; a command carries all random bytes (`resource`) and
policies. Refusals, by class and `reason`, beside the shared `StorageFull`, `StorageFailed` and
`TooLarge(batch)`:

==================  ======================  =========================================================
class               reason                  when
==================  ======================  =========================================================
NotFound            container               the container (or its account) is not there
NotFound            blob                    it is not there, has ended, or was never committed
Conflict            container-exists        CreateContainer
Conflict            being-deleted           CreateContainer: one of that name is being deleted
Conflict            blob-exists             `If-None-Match: *` of a put or commit, and it is there
Conflict            block-count             StageBlock beyond 100,000 uncommitted blocks
Conflict            policy-limit            IssueTokens beyond five stored policies in a container
Conflict            lease-present           acquire: another lease is there
Conflict            lease-not-present       change or break: there is none
Conflict            lease-mismatch          renew, change or release: the lease has another id
Conflict            lease-breaking-acquire  acquire while it breaks
Conflict            lease-breaking-change   change while it breaks
Conflict            lease-broken            renew after or during a break
Forbidden           overwrite               `may_overwrite` is False and the blob is there
PreconditionFailed  tag-condition           the condition on tags does not hold
PreconditionFailed  condition               any other condition does not hold
PreconditionFailed  lease-missing           a write that names no lease, and there is one
PreconditionFailed  lease-mismatch          the lease has another id
PreconditionFailed  lease-not-present       a lease is named, and there is none
PreconditionFailed  lease-lost              the lease named has ended
Invalid             block-list              CommitBlocks names a block that is not there
Invalid             block-id                StageBlock: other uncommitted ids have another length
Invalid             lease-id                a lease operation lacks an id
Invalid             lease-duration          its seconds are out of bounds
Invalid             policy-limit            SetContainerAccess with more than five policies
TooLarge            block-list              CommitBlocks with more than 50,000 blocks
==================  ======================  =========================================================

Order of judgement: container, blob, conditions, lease, then the rest. A write over a leased blob asks for the
lease first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Generic, TypeVar

from retain.engine.blobs.answers import Leased, Written
from retain.engine.blobs.conditions import UNCONDITIONAL, Conditions
from retain.engine.blobs.container_commands import ContainerCommand
from retain.engine.blobs.entries import ContentHeaders, CopyInfo, Pairs
from retain.engine.blobs.leases import LeaseRequest
from retain.engine.core.body import Body
from retain.engine.core.typed import Resource

Result = TypeVar("Result")


class BlockSource(IntEnum):
    """The place from which a block list takes a block. In records: numbers never change."""

    LATEST = 0
    COMMITTED = 1
    UNCOMMITTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCommand(ContainerCommand[Result], Generic[Result]):
    """Something about a blob.

    Attributes:
        name: A valid blob name.
        conditions: Its conditions.

    """

    name: str
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBlob(BlobCommand[Written]):
    """Write a blob. Blocks staged under its name are removed.

    Attributes:
        resource: 16 random bytes, used if the name is new.
        headers: The stored content headers.
        md5: The MD5 to store: the body's, or what a copy or a list of blocks brings along.
        metadata: As sent.
        tags: At most ten.
        tier: The access tier asked for.
        may_overwrite: False for a caller that may create but not overwrite.

    """

    resource: Resource
    headers: ContentHeaders
    md5: bytes | None
    metadata: Pairs = ()
    tags: Pairs = ()
    tier: str | None = None
    may_overwrite: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBlob(WriteBlob):
    """Write a blob in full: Put Blob, and the destination of a copy.

    Attributes:
        body: The content.
        copy: The facts of the copy.

    """

    body: Body
    copy: CopyInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBlock(BlobCommand[None]):
    """Stage a block for a later commit, replacing one with the same id. Only the lease condition counts.

    Attributes:
        resource: 16 random bytes, used if the name is new.
        block_id: The decoded id, 1 to 64 bytes.
        body: The block's bytes.
    """

    resource: Resource
    block_id: bytes
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitBlocks(WriteBlob):
    """Make a blob of blocks; uncommitted blocks that it does not name are removed.

    Attributes:
        blocks: Where to look and for which decoded id, in the order of the content; at most 50,000.

    """

    blocks: tuple[tuple[BlockSource, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobHeaders(BlobCommand[Written]):
    """Replace all stored content headers and the MD5 (Set Blob Properties)."""

    headers: ContentHeaders
    md5: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobMetadata(BlobCommand[Written]):
    """Replace all metadata of a blob."""

    metadata: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobTags(BlobCommand[None]):
    """Replace all tags of a blob. Neither ETag, Last-Modified nor its end change."""

    tags: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobTier(BlobCommand[None]):
    """Set the access tier. Neither ETag, Last-Modified nor its end change."""

    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseBlob(BlobCommand[Leased]):
    """A lease operation on a blob; `conditions.lease` is not used."""

    request: LeaseRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBlob(BlobCommand[None]):
    """Delete a blob, and the blocks staged under its name."""

    FREES_SPACE: ClassVar[bool] = True
