"""A legal hold, and what it protects."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from retain.engine.areas.events import AreaEvent
from retain.engine.blobs.container_events import AccountEvent
from retain.engine.settings.events import SettingsEvent


class HoldKind(StrEnum):
    """The kind of resource that is held. On disk: words never change."""

    AREA = "area"
    DOCUMENT = "document"
    BLOB = "blob"
    CONTAINER = "container"
    TENANT = "tenant"
    RESOURCE = "resource"
    """Something of which only records are left: known by its number alone."""


NAMES: dict[HoldKind, tuple[str, ...]] = {
    HoldKind.AREA: ("name", "user"),
    HoldKind.DOCUMENT: ("application", "level", "device", "user"),
    HoldKind.BLOB: ("account", "container", "blob"),
    HoldKind.CONTAINER: ("account", "container"),
    HoldKind.TENANT: ("account",),
    HoldKind.RESOURCE: (),
}
"""What names a resource of each kind: the fields of `HoldTarget.names`, as in its own events' details."""


class HoldTarget(NamedTuple):
    """What is held.

    Attributes:
        kind: Its kind.
        resource: The number of its records; `NO_RESOURCE` for a tenant, which has none.
        names: The values of `NAMES` for the kind. An area's user is None if it is a plain one.

    """

    kind: HoldKind
    resource: bytes
    names: tuple[Any, ...]

    def named(self) -> dict[str, Any]:
        """Return the names with what they are."""
        return dict(zip(NAMES[self.kind], self.names, strict=True))

    @property
    def subject(self) -> str:
        """Its name as the audit log writes it; words with its number if it has none."""
        return subject_of(self.kind, self.resource, self.named())


def subject_of(kind: HoldKind, resource: bytes, names: Mapping[str, Any]) -> str:
    """Return a resource's name as the audit log writes it; words with its number if only that is known."""
    match kind:
        case HoldKind.AREA:
            return AreaEvent.subject(names)
        case HoldKind.DOCUMENT:
            return SettingsEvent.subject(names)
        case HoldKind.RESOURCE:
            return f"deleted resource {resource.hex()}"
        case _:
            return AccountEvent.subject(names)


class Hold(NamedTuple):
    """A hold that has not been lifted.

    Attributes:
        hold_id: 16 random bytes, also the resource of its records.
        target: The held target.
        reason: The operator's reason, such as a case number.
        actor: The actor who set it.
        time: When, nanoseconds since the epoch.

    """

    hold_id: bytes
    target: HoldTarget
    reason: str
    actor: str
    time: int
