"""The commands on containers and accounts. Their refusals are in the table of `commands`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from retain.engine.blobs.answers import Leased, Written
from retain.engine.blobs.conditions import UNCONDITIONAL, Conditions
from retain.engine.blobs.entries import Pairs, StoredPolicy
from retain.engine.blobs.leases import LeaseRequest
from retain.engine.core.command import Command
from retain.engine.core.typed import Between, Resource

Result = TypeVar("Result")


Days = Annotated[int, Between(0, 36_500)]
"""Days from a blob's last write to its end; 0 keeps for ever."""


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
    """Create a container.

    Attributes:
        resource: 16 random bytes.
        metadata: As sent.
        public_access: `container`, `blob` or None.

    """

    resource: Resource
    metadata: Pairs = ()
    public_access: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureContainers(Command[tuple[str, ...]]):
    """Create those containers of an account that do not exist. Result: the names of the created ones.

    Existing containers are not changed.

    Attributes:
        account: The tenant's account.
        containers: Names, each with 16 random bytes.
    """

    account: str
    containers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteContainer(ContainerCommand[None]):
    """Delete a container with its contents."""

    FREES_SPACE: ClassVar[bool] = True

    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerMetadata(ContainerCommand[Written]):
    """Replace all metadata of a container."""

    metadata: Pairs
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerAccess(ContainerCommand[Written]):
    """Replace the stored access policies and the public access level (Set Container ACL)."""

    policies: tuple[StoredPolicy, ...]
    public_access: str | None
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContainerRetention(ContainerCommand[None]):
    """Set how long blobs are kept after their last write, existing ones included.

    Attributes:
        days: 0 keeps for ever, None follows the server's configuration.

    """

    days: Days | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseContainer(ContainerCommand[Leased]):
    """A lease operation on a container; `conditions.lease` is not used."""

    request: LeaseRequest
    conditions: Conditions = UNCONDITIONAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigureRetention(Command[bool]):
    """Record the configured `recordings_days`, at each start. Result: whether it changed.

    Attributes:
        days: Days from a blob's last write to its end; 0 keeps for ever.
        resource: 16 random bytes.

    """

    days: Days
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class SetServiceProperties(Command[None]):
    """Change an account's service properties (CORS rules, default version, logging …).

    Attributes:
        account: The tenant's account.
        document: The properties to change, as msgpack types; the others stay as they are. Of a property that
            is a mapping, its members alike. The interface interprets them. Never changed afterwards.
        resource: 16 random bytes.

    """

    account: str
    document: Mapping[str, Any]
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAccount(Command[int]):
    """Delete every container of an account and its service properties. Result: the number of containers."""

    FREES_SPACE: ClassVar[bool] = True

    account: str
