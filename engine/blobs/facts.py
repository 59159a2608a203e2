"""What every event about a container or a blob that is there says of it."""

from __future__ import annotations

from typing import Any

from retain.engine.blobs.containers import Container
from retain.engine.core.event import Cause


def container_facts(container: Container, actor: str, cause: Cause) -> dict[str, Any]:
    """Return the fields of `engine.blobs.container_events.ContainerEvent`."""
    return {
        "resource": container.entry.resource,
        "actor": actor,
        "cause": cause,
        "account": container.account,
        "container": container.name,
    }


def blob_facts(container: Container, blob: str, resource: bytes, actor: str, cause: Cause) -> dict[str, Any]:
    """Return the fields of `engine.blobs.events.BlobEvent`."""
    return {**container_facts(container, actor, cause), "resource": resource, "blob": blob}
