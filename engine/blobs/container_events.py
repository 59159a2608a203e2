"""The events of containers and accounts.

The codes are in `engine/wire.py`; the fields are explained at the entries they create.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from retain.engine.blobs.entries import Pairs, StoredPolicy
from retain.engine.blobs.leases import Lease
from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.fields import datum, detail, row_of, rows_of
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.journal import Verb

CONTAINER, BLOB, SERVICE = "container", "blob", "service"
"""First words of locators; names follow."""


def pairs_of(rows: Any) -> Pairs:
    """Return metadata or tags from their msgpack value."""
    return tuple((name, value) for name, value in rows or ())


def lease_of(row: Any) -> Lease | None:
    """Return a lease from its msgpack value."""
    return None if row is None else Lease(*row)


@fact
class AccountEvent(Event):
    """Something about an account."""

    INTERFACE: ClassVar[Interface] = Interface.BLOBS
    DATA: ClassVar[Data] = Data.NONE

    account: str

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return `account`, `account/container` or `account/container/blob`."""
        return "/".join(details[key] for key in ("account", "container", "blob") if details.get(key))


@fact
class ContainerEvent(AccountEvent):
    """Something about a container; `resource` is the container's."""

    container: str

    def locator(self) -> Locator:
        """Return the locator of the container."""
        return (CONTAINER, self.account, self.container)


@fact
class ContainerCreated(ContainerEvent):
    """A container was created; or, restated, recorded again without its contents."""

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    created: int
    modified: int
    metadata: Pairs = datum(pairs_of)
    public_access: str | None
    policies: tuple[StoredPolicy, ...] = detail(rows_of(StoredPolicy), default=())
    days: int | None = None
    ended: int = -1


@fact
class ContainerMetadataSet(ContainerEvent):
    """All metadata of a container was replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    modified: int
    metadata: Pairs = datum(pairs_of)


@fact
class ContainerAccessSet(ContainerEvent):
    """The stored access policies and the public access level were replaced."""

    VERB: ClassVar[Verb] = Verb.TOKEN
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    modified: int
    policies: tuple[StoredPolicy, ...] = detail(rows_of(StoredPolicy))
    public_access: str | None


@fact
class PoliciesChanged(ContainerEvent):
    """Some stored access policies were removed and some added; the others are unchanged.

    A removed id revokes every token that names it.
    """

    VERB: ClassVar[Verb] = Verb.TOKEN
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    modified: int
    removed: tuple[str, ...] = ()
    added: tuple[StoredPolicy, ...] = detail(rows_of(StoredPolicy), default=())


@fact
class ContainerRetentionSet(ContainerEvent):
    """How long the container's blobs are kept after their last write was set.

    Attributes:
        at: When, nanoseconds since the epoch.

    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    days: int | None
    at: int


@fact
class ContainerLeaseSet(ContainerEvent):
    """The container's lease was set; None was a release."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    lease: Lease | None = detail(row_of(Lease))


@fact
class ContainerDeleted(ContainerEvent):
    """A container was deleted, with every blob and staged block in it."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.CONTAINER
    VALUES: ClassVar[str] = ""


def _with_lists(value: Any) -> Any:
    """Restore the interface's own document: arrays are tuples in events, but lists in the document."""
    match value:
        case tuple():
            return [_with_lists(one) for one in value]
        case dict():
            return {key: _with_lists(one) for key, one in value.items()}
    return value


@fact
class ContainerClosed(ContainerEvent):
    """A container with many blobs or staged blocks was deleted, for all readers at once.

    Its contents are removed step by step, and the container itself with the last of them.

    Attributes:
        staged: Whether its contents include staged blocks. If not, as in the oldest records, those were
            removed at once.
    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.CONTAINER
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.PART

    staged: bool = False


@fact
class BlobsFreed(ContainerEvent):
    """Blobs or staged blocks of a deleted container were removed.

    Attributes:
        through: The blobs last modified up to then; nanoseconds since the epoch, -1 for none.
        blocks: The staged blocks that records up to this one hold; 0 for none.

    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.REST
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    through: int
    blocks: int = 0


@fact
class ServicePropertiesSet(AccountEvent):
    """An account's service properties were replaced; None: they were deleted with the account."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.WHOLE

    document: dict[str, Any] | None = detail(_with_lists)

    def locator(self) -> Locator:
        """Return the locator of the account."""
        return (SERVICE, self.account)


@fact
class RetentionConfigured(Event):
    """The configured retention of containers without their own changed.

    Its record is never erased, nor restated: it names no person, and moments in the past depend on it.

    Attributes:
        days: Days from a blob's last write to its end; 0 keeps for ever.
        at: When, nanoseconds since the epoch.

    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.BLOBS
    ROLE: ClassVar[RecordRole] = RecordRole.WHOLE

    days: int
    at: int
