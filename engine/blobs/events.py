"""What happened to blobs. Codes stand in ``engine/wire.py``; fields are explained at the entries they make.

Names, headers, tags and dates are details; bytes, metadata and digests of the bytes are content, so that
nothing by which the data could be guessed outlives it.
"""

from itertools import accumulate, pairwise
from typing import Any, ClassVar, Self

from engine.blobs.container_events import BLOB, ContainerEvent, lease_of, pairs_of
from engine.blobs.entries import ContentHeaders, CopyInfo, Pairs
from engine.blobs.leases import Lease
from engine.body import Body, pack_body, unpack_body
from engine.event import Cause, fact
from engine.records import Locator, Standing
from journal import Verb


@fact
class BlobEvent(ContainerEvent):
    """Something about a blob; ``resource`` is the blob's, the same from its first write or block until it is
    gone.
    """

    blob: str

    def locator(self) -> Locator:
        """Names the blob."""
        return (BLOB, self.account, self.container, self.blob)

    def _where(self) -> dict[str, Any]:
        return {"account": self.account, "container": self.container, "blob": self.blob}


@fact
class BlobWritten(BlobEvent):
    """A blob was written: everything about it but its bytes is new. Base of the two ways to write one.

    Attributes:
        restates: With the cause ``RESTATED``: the record of the last write until now. What was staged before
            it went with it. Else 0.
    """

    VERB: ClassVar[Verb] = Verb.PUT

    created: int
    modified: int
    headers: ContentHeaders
    md5: bytes | None
    metadata: Pairs
    tags: Pairs
    tier: str | None
    tier_changed: int | None = None
    copy: CopyInfo | None = None
    lease: Lease | None = None
    restates: int = 0

    def details(self) -> dict[str, Any]:
        return {
            **self._where(),
            "created": self.created,
            "modified": self.modified,
            "headers": self.headers,
            "tags": self.tags,
            "tier": self.tier,
            "tier_changed": self.tier_changed,
            "copy": self.copy,
            "lease": self.lease,
            "restates": self.restates,
        }

    def content(self) -> Any:
        return {"stored_md5": self.md5, "metadata": self.metadata}


def _written(details: dict[str, Any], content: Any) -> dict[str, Any]:
    return {
        **details,
        "headers": ContentHeaders(*details["headers"]),
        "tags": pairs_of(details["tags"]),
        "copy": None if details["copy"] is None else CopyInfo(*details["copy"]),
        "lease": lease_of(details["lease"]),
        "md5": content["stored_md5"],
        "metadata": pairs_of(content["metadata"]),
    }


@fact
class BlobPut(BlobWritten):
    """A blob was written whole; blocks staged under its name went."""

    body: Body

    def content(self) -> Any:
        return {**pack_body(self.body), "stored_md5": self.md5, "metadata": self.metadata}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        fields = _written(details, content)
        return cls(resource=resource, actor=actor, cause=cause, body=unpack_body(content), **fields)


@fact
class BlocksCommitted(BlobWritten):
    """A blob was made of blocks; blocks staged under its name and not named here went.

    Attributes:
        blocks: The records that hold the blocks, in the order of the content. Kept as differences: 50,000 of
            them fit a record.
    """

    blocks: tuple[int, ...]

    def details(self) -> dict[str, Any]:
        steps = [later - earlier for earlier, later in pairwise((0, *self.blocks))]
        # Python does not find a base's method by ``super()`` in a class that ``slots=True`` made anew.
        return {**BlobWritten.details(self), "blocks": steps}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        blocks = tuple(accumulate(details.pop("blocks")))
        fields = _written(details, content)
        return cls(resource=resource, actor=actor, cause=cause, blocks=blocks, **fields)


@fact
class BlockStaged(BlobEvent):
    """A block came in; one staged under the same id went.

    Attributes:
        staged: When, nanoseconds since the epoch.
        replaces: Restated: the record that holds the same block of the blob, until a restated list names this
            one. Else 0.
    """

    VERB: ClassVar[Verb] = Verb.PUT
    STANDING: ClassVar[Standing] = Standing.APART

    block_id: bytes
    body: Body
    staged: int
    replaces: int = 0

    def details(self) -> dict[str, Any]:
        return {
            **self._where(),
            "block_id": self.block_id,
            "staged": self.staged,
            "replaces": self.replaces,
        }

    def content(self) -> Any:
        return pack_body(self.body)

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, body=unpack_body(content), **details)


@fact
class BlocksDropped(BlobEvent):
    """Everything staged under a name and never committed went."""

    VERB: ClassVar[Verb] = Verb.DELETE
    STANDING: ClassVar[Standing] = Standing.NONE

    def details(self) -> dict[str, Any]:
        return self._where()

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)


@fact
class BlobHeadersSet(BlobEvent):
    """The stored content headers and the MD5 were replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH

    modified: int
    headers: ContentHeaders
    md5: bytes | None

    def details(self) -> dict[str, Any]:
        return {**self._where(), "modified": self.modified, "headers": self.headers}

    def content(self) -> Any:
        return {"stored_md5": self.md5}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        headers = ContentHeaders(*details.pop("headers"))
        md5 = content["stored_md5"]
        return cls(resource=resource, actor=actor, cause=cause, headers=headers, md5=md5, **details)


@fact
class BlobMetadataSet(BlobEvent):
    """All metadata of a blob was replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH

    modified: int
    metadata: Pairs

    def details(self) -> dict[str, Any]:
        return {**self._where(), "modified": self.modified}

    def content(self) -> Any:
        return {"metadata": self.metadata}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        metadata = pairs_of(content["metadata"])
        return cls(resource=resource, actor=actor, cause=cause, metadata=metadata, **details)


@fact
class BlobTagsSet(BlobEvent):
    """All tags of a blob were replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH

    tags: Pairs

    def details(self) -> dict[str, Any]:
        return {**self._where(), "tags": self.tags}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        tags = pairs_of(details.pop("tags"))
        return cls(resource=resource, actor=actor, cause=cause, tags=tags, **details)


@fact
class BlobTierSet(BlobEvent):
    """The access tier was set.

    Attributes:
        changed: When, nanoseconds since the epoch.
    """

    VERB: ClassVar[Verb] = Verb.PATCH

    tier: str
    changed: int

    def details(self) -> dict[str, Any]:
        return {**self._where(), "tier": self.tier, "changed": self.changed}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)


@fact
class BlobLeaseSet(BlobEvent):
    """The blob's lease was set; None was a release."""

    VERB: ClassVar[Verb] = Verb.PATCH

    lease: Lease | None

    def details(self) -> dict[str, Any]:
        return {**self._where(), "lease": self.lease}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        lease = lease_of(details.pop("lease"))
        return cls(resource=resource, actor=actor, cause=cause, lease=lease, **details)


@fact
class BlobDeleted(BlobEvent):
    """A blob went; what is staged under its name stays unless :class:`BlocksDropped` says so too."""

    VERB: ClassVar[Verb] = Verb.DELETE

    def details(self) -> dict[str, Any]:
        return self._where()

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)
