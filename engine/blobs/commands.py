"""What can be asked of containers and blobs.

Names, header values, tags and XML are validated before they come here; a command carries everything random
(``resource``) and every policy. Refusals, by class and ``reason``, beside the shared ``StorageFull``,
``StorageFailed`` and ``TooLarge(batch)``:

==================  ======================  =========================================================
class               reason                  when
==================  ======================  =========================================================
NotFound            container               the container (or its account) is not there
NotFound            blob                    it is not there, has ended, or was never committed
Conflict            container-exists        CreateContainer
Conflict            blob-exists             ``If-None-Match: *`` of a put or commit, and it is there
Conflict            block-count             StageBlock beyond 100,000 uncommitted blocks
Conflict            policy-limit            IssueTokens beyond five stored policies in a container
Conflict            lease-present           acquire: another lease is there
Conflict            lease-not-present       change or break: there is none
Conflict            lease-mismatch          renew, change or release: the lease has another id
Conflict            lease-breaking-acquire  acquire while it breaks
Conflict            lease-breaking-change   change while it breaks
Conflict            lease-broken            renew after or during a break
Forbidden           overwrite               ``may_overwrite`` is False and the blob is there
PreconditionFailed  condition               any other condition does not hold
PreconditionFailed  lease-missing           a write that names no lease, and there is one
PreconditionFailed  lease-mismatch          the lease has another id
PreconditionFailed  lease-not-present       a lease is named, and there is none
PreconditionFailed  lease-lost              the lease named has ended
Invalid             block-list              CommitBlocks names a block that is not there
Invalid             block-id                StageBlock: the blob's other ids have another length
Invalid             lease-id                a lease operation lacks an id
Invalid             lease-duration          its seconds are out of bounds
Invalid             policy-limit            SetContainerAccess with more than five policies
TooLarge            block-list              CommitBlocks with more than 50,000 blocks
==================  ======================  =========================================================

Order of judgement: container, blob, conditions, lease, then the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from engine.blobs.conditions import UNCONDITIONAL, Conditions
from engine.blobs.entries import ContentHeaders, CopyInfo, Pairs, StoredPolicy, ticks
from engine.blobs.leases import Lease, LeaseRequest
from engine.body import Body
from engine.command import Command

Result = TypeVar("Result")


class Written(NamedTuple):
    """What a write answers.

    Attributes:
        modified: When it counts as written, nanoseconds since the epoch: Last-Modified.
    """

    modified: int

    @property
    def etag(self) -> int:
        """The new ETag as a number of ticks."""
        return ticks(self.modified)


class Leased(NamedTuple):
    """What a lease operation answers.

    Attributes:
        modified: Unchanged by it; Last-Modified and ETag follow from it.
        lease: The lease after it, None after a release.
        remaining: Seconds until a breaking lease is broken.
    """

    modified: int
    lease: Lease | None
    remaining: int

    @property
    def etag(self) -> int:
        """The ETag as a number of ticks."""
        return ticks(self.modified)


class BlockSource(IntEnum):
    """Where a block list takes a block from. In records: numbers never move."""

    LATEST = 0
    COMMITTED = 1
    UNCOMMITTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCommand(Command[Result], Generic[Result]):
    """Something about a container.

    Attributes:
        account: The tenant's account.
        container: A valid container name.
    """

    account: str
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateContainer(ContainerCommand[Written]):
    """Makes a container.

    Attributes:
        resource: 16 random bytes.
        metadata: As sent.
        public_access: ``container``, ``blob`` or None.
    """

    resource: bytes
    metadata: Pairs = ()
    public_access: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureContainers(Command[tuple[str, ...]]):
    """Makes those containers of an account that are not there; answers which it made. Changes nothing that
    exists.

    Attributes:
        account: The tenant's account.
        containers: Names, each with 16 random bytes.
    """

    account: str
    containers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteContainer(ContainerCommand[None]):
    """Deletes a container with all it holds."""

    FREES_SPACE: ClassVar[bool] = True

    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerMetadata(ContainerCommand[Written]):
    """Replaces all metadata of a container."""

    metadata: Pairs
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerAccess(ContainerCommand[Written]):
    """Replaces the stored access policies and the public access level (Set Container ACL)."""

    policies: tuple[StoredPolicy, ...]
    public_access: str | None
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerRetention(ContainerCommand[None]):
    """Sets how long blobs are kept after their last write, for those there already too.

    Attributes:
        days: 0 keeps for ever, None follows the server's configuration.
    """

    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseContainer(ContainerCommand[Leased]):
    """A lease operation on a container; ``conditions.lease`` is not used."""

    request: LeaseRequest
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureRetention(Command[bool]):
    """Tells the configured ``recordings_days``, at each start; answers whether it changed.

    Attributes:
        days: Days from a blob's last write to its end; 0 keeps for ever.
        resource: 16 random bytes.
    """

    days: int
    resource: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SetServiceProperties(Command[None]):
    """Replaces an account's service properties (CORS rules, default version, logging …).

    Attributes:
        account: The tenant's account.
        document: The properties as msgpack types; what they mean is the surface's business. Never changed
            afterwards.
        resource: 16 random bytes.
    """

    account: str
    document: Mapping[str, Any]
    resource: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAccount(Command[int]):
    """Deletes every container of an account and its service properties; answers how many containers that
    were.
    """

    FREES_SPACE: ClassVar[bool] = True

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCommand(ContainerCommand[Result], Generic[Result]):
    """Something about a blob.

    Attributes:
        name: A valid blob name.
        conditions: What must hold.
    """

    name: str
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBlob(BlobCommand[Written]):
    """Writes a blob whole: Put Blob, and the destination of a copy. Staged blocks of that name go.

    Attributes:
        resource: 16 random bytes, used if the name is new.
        body: The content.
        headers: The stored content headers.
        md5: The MD5 to store: the body's, or what a copy brings along.
        metadata: As sent.
        tags: At most ten.
        tier: The access tier asked for.
        copy: Where the content was copied from.
        may_overwrite: False for a caller that may create but not overwrite.
    """

    resource: bytes
    body: Body
    headers: ContentHeaders
    md5: bytes | None
    metadata: Pairs = ()
    tags: Pairs = ()
    tier: str | None = None
    copy: CopyInfo | None = None
    may_overwrite: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBlock(BlobCommand[None]):
    """Keeps a block for a later commit; one with the same id is replaced. Of the conditions only the lease
    counts.

    Attributes:
        resource: 16 random bytes, used if the name is new.
        block_id: The decoded id, 1 to 64 bytes.
        body: The block's bytes.
    """

    resource: bytes
    block_id: bytes
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitBlocks(BlobCommand[Written]):
    """Makes a blob of blocks; uncommitted blocks that it does not name go. See :class:`PutBlob` for the rest.

    Attributes:
        blocks: Where to look and for which decoded id, in the order of the content; at most 50,000.
    """

    resource: bytes
    blocks: tuple[tuple[BlockSource, bytes], ...]
    headers: ContentHeaders
    md5: bytes | None
    metadata: Pairs = ()
    tags: Pairs = ()
    tier: str | None = None
    may_overwrite: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobHeaders(BlobCommand[Written]):
    """Replaces all stored content headers and the MD5 (Set Blob Properties)."""

    headers: ContentHeaders
    md5: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobMetadata(BlobCommand[Written]):
    """Replaces all metadata of a blob."""

    metadata: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobTags(BlobCommand[None]):
    """Replaces all tags of a blob. Neither ETag, Last-Modified nor its end change."""

    tags: Pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBlobTier(BlobCommand[None]):
    """Sets the access tier. Neither ETag, Last-Modified nor its end change."""

    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseBlob(BlobCommand[Leased]):
    """A lease operation on a blob; ``conditions.lease`` is not used."""

    request: LeaseRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteBlob(BlobCommand[None]):
    """Deletes a blob, and what is staged under its name."""

    FREES_SPACE: ClassVar[bool] = True
