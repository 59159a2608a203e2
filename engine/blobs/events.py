"""The events of blobs. The codes are in `engine/wire.py`; the fields are explained at the entries.

Names, headers, tags and dates are details; bytes, metadata and digests of the bytes are content, so that
nothing from which the data could be guessed survives its erasure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import ClassVar

from retain.engine.blobs.container_events import BLOB, ContainerEvent, pairs_of
from retain.engine.blobs.entries import ContentHeaders, CopyInfo, Pairs
from retain.engine.blobs.leases import Lease
from retain.engine.blobs.lists import MadeList
from retain.engine.core.body import Body, pack_body, unpack_body
from retain.engine.core.event import fact
from retain.engine.core.fields import beside, datum, detail, row_of
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.journal import Verb


@fact
class BlobEvent(ContainerEvent):
    """An event of a blob; `resource` is the blob's number from its first write or block to its end."""

    DATA: ClassVar[Data] = Data.BLOB

    blob: str

    def locator(self) -> Locator:
        """Return the locator of the blob."""
        return (BLOB, self.account, self.container, self.blob)


@fact
class BlobWritten(BlobEvent):
    """A blob was written: everything about it but its bytes is new. Base of the two ways to write one.

    Attributes:
        restates: With the cause `RESTATED`: the record of the last write until now. What was staged before
            it was deleted with it. Else 0.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.BLOB
    VALUES: ClassVar[str] = "metadata"

    created: int
    modified: int
    headers: ContentHeaders = detail(row_of(ContentHeaders))
    md5: bytes | None = datum(key="stored_md5")
    metadata: Pairs = datum(pairs_of)
    tags: Pairs = detail(pairs_of)
    tier: str | None
    tier_changed: int | None = None
    copy: CopyInfo | None = detail(row_of(CopyInfo), default=None)
    lease: Lease | None = detail(row_of(Lease), default=None)
    restates: int = 0


@fact
class BlobPut(BlobWritten):
    """A blob was written in full; blocks staged under its name were removed."""

    body: Body = datum(unpack_body, pack_body, spread=True)


def _to_steps(blocks: Sequence[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise((0, *blocks))]


def _from_steps(steps: Sequence[int]) -> tuple[int, ...]:
    return tuple(accumulate(steps))


@fact
class BlocksCommitted(BlobWritten):
    """A blob was made of blocks; other blocks staged under its name were removed.

    Attributes:
        blocks: The records that hold the blocks, in the order of the content. Kept as differences: 50,000 of
            them fit a record.
        made: What the list comes to, where the decision has found it already. Not part of the fact.

    """

    blocks: tuple[int, ...] = detail(_from_steps, _to_steps)
    made: MadeList | None = beside(default=None, compare=False)


@fact
class BlockStaged(BlobEvent):
    """A block was staged, replacing one with the same id.

    Attributes:
        staged: When, nanoseconds since the epoch.
        replaces: Restated: the record that holds the same block of the blob, until a restated list names this
            one. Else 0.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.APART

    block_id: bytes
    body: Body = datum(unpack_body, pack_body, spread=True)
    staged: int
    replaces: int = 0


@fact
class BlocksDropped(BlobEvent):
    """Everything staged under a name and never committed was removed."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.NONE


@fact
class BlobHeadersSet(BlobEvent):
    """The stored content headers and the MD5 were replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    modified: int
    headers: ContentHeaders = detail(row_of(ContentHeaders))
    md5: bytes | None = datum(key="stored_md5")


@fact
class BlobMetadataSet(BlobEvent):
    """All metadata of a blob was replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = "metadata"

    modified: int
    metadata: Pairs = datum(pairs_of)


@fact
class BlobTagsSet(BlobEvent):
    """All tags of a blob were replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    tags: Pairs = detail(pairs_of)


@fact
class BlobTierSet(BlobEvent):
    """The access tier was set.

    Attributes:
        changed: When, nanoseconds since the epoch.

    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    tier: str
    changed: int


@fact
class BlobLeaseSet(BlobEvent):
    """The blob's lease was set; None was a release."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    lease: Lease | None = detail(row_of(Lease))


@fact
class BlobDeleted(BlobEvent):
    """A blob was deleted; what is staged under its name stays, unless `BlocksDropped` follows."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.BLOB
    VALUES: ClassVar[str] = ""
