"""What happened to containers and accounts. Codes stand in ``engine/wire.py``; fields are explained at the
entries they make.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from engine.blobs.entries import Pairs, StoredPolicy
from engine.blobs.leases import Lease
from engine.event import Cause, Event, Surface, fact
from engine.records import Locator, Standing
from journal import Verb

CONTAINER, BLOB, SERVICE = "container", "blob", "service"
"""First words of locators; names follow."""


def pairs_of(rows: Any) -> Pairs:
    """Metadata or tags as msgpack gave them."""
    return tuple((name, value) for name, value in rows or ())


def lease_of(row: Any) -> Lease | None:
    """A lease as msgpack gave it."""
    return None if row is None else Lease(*row)


@fact
class AccountEvent(Event):
    """Something about an account."""

    SURFACE: ClassVar[Surface] = Surface.BLOBS

    account: str

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """``account``, ``account/container`` or ``account/container/blob``."""
        return "/".join(details[key] for key in ("account", "container", "blob") if details.get(key))


@fact
class ContainerEvent(AccountEvent):
    """Something about a container; ``resource`` is the container's."""

    container: str

    def locator(self) -> Locator:
        """Names the container."""
        return (CONTAINER, self.account, self.container)


@fact
class ContainerCreated(ContainerEvent):
    """A container was made; or, restated, stands as it is without what it holds."""

    VERB: ClassVar[Verb] = Verb.PUT

    created: int
    modified: int
    metadata: Pairs
    public_access: str | None
    policies: tuple[StoredPolicy, ...] = ()
    days: int | None = None
    ended: int = -1

    def details(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "container": self.container,
            "created": self.created,
            "modified": self.modified,
            "public_access": self.public_access,
            "policies": self.policies,
            "days": self.days,
            "ended": self.ended,
        }

    def content(self) -> Any:
        return {"metadata": self.metadata}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        policies = tuple(StoredPolicy(*policy) for policy in details.pop("policies"))
        metadata = pairs_of(content["metadata"])
        return cls(
            resource=resource, actor=actor, cause=cause, policies=policies, metadata=metadata, **details
        )


@fact
class ContainerMetadataSet(ContainerEvent):
    """All metadata of a container was replaced."""

    VERB: ClassVar[Verb] = Verb.PATCH

    modified: int
    metadata: Pairs

    def details(self) -> dict[str, Any]:
        return {"account": self.account, "container": self.container, "modified": self.modified}

    def content(self) -> Any:
        return {"metadata": self.metadata}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        metadata = pairs_of(content["metadata"])
        return cls(resource=resource, actor=actor, cause=cause, metadata=metadata, **details)


@fact
class ContainerAccessSet(ContainerEvent):
    """The stored access policies and the public access level were replaced."""

    VERB: ClassVar[Verb] = Verb.TOKEN

    modified: int
    policies: tuple[StoredPolicy, ...]
    public_access: str | None

    def details(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "container": self.container,
            "modified": self.modified,
            "policies": self.policies,
            "public_access": self.public_access,
        }

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        policies = tuple(StoredPolicy(*policy) for policy in details.pop("policies"))
        return cls(resource=resource, actor=actor, cause=cause, policies=policies, **details)


@fact
class PoliciesChanged(ContainerEvent):
    """Some stored access policies went and some came; the others stayed. A removed id kills every token that
    names it.
    """

    VERB: ClassVar[Verb] = Verb.TOKEN

    modified: int
    removed: tuple[str, ...] = ()
    added: tuple[StoredPolicy, ...] = ()

    def details(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "container": self.container,
            "modified": self.modified,
            "removed": self.removed,
            "added": self.added,
        }

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        added = tuple(StoredPolicy(*policy) for policy in details.pop("added"))
        removed = tuple(details.pop("removed"))
        return cls(resource=resource, actor=actor, cause=cause, added=added, removed=removed, **details)


@fact
class ContainerRetentionSet(ContainerEvent):
    """How long the container's blobs are kept after their last write was set.

    Attributes:
        at: When, nanoseconds since the epoch.
    """

    VERB: ClassVar[Verb] = Verb.PATCH

    days: int | None
    at: int

    def details(self) -> dict[str, Any]:
        return {"account": self.account, "container": self.container, "days": self.days, "at": self.at}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)


@fact
class ContainerLeaseSet(ContainerEvent):
    """The container's lease was set; None was a release."""

    VERB: ClassVar[Verb] = Verb.PATCH

    lease: Lease | None

    def details(self) -> dict[str, Any]:
        return {"account": self.account, "container": self.container, "lease": self.lease}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        lease = lease_of(details.pop("lease"))
        return cls(resource=resource, actor=actor, cause=cause, lease=lease, **details)


@fact
class ContainerDeleted(ContainerEvent):
    """A container went, with every blob and staged block in it."""

    VERB: ClassVar[Verb] = Verb.DELETE

    def details(self) -> dict[str, Any]:
        return {"account": self.account, "container": self.container}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)


@fact
class ServicePropertiesSet(AccountEvent):
    """An account's service properties were replaced; None: they went with the account."""

    VERB: ClassVar[Verb] = Verb.PATCH
    STANDING: ClassVar[Standing] = Standing.WHOLE

    document: dict[str, Any] | None

    def locator(self) -> Locator:
        """Names the account."""
        return (SERVICE, self.account)

    def details(self) -> dict[str, Any]:
        return {"account": self.account, "document": self.document}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)


@fact
class RetentionConfigured(Event):
    """The configured retention of containers that say nothing else changed.

    Its record is never erased, nor restated: it tells of nobody, and moments in the past depend on it.

    Attributes:
        days: Days from a blob's last write to its end; 0 keeps for ever.
        at: When, nanoseconds since the epoch.
    """

    VERB: ClassVar[Verb] = Verb.PATCH
    SURFACE: ClassVar[Surface] = Surface.BLOBS
    STANDING: ClassVar[Standing] = Standing.WHOLE

    days: int
    at: int

    def details(self) -> dict[str, Any]:
        return {"days": self.days, "at": self.at}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, **details)
