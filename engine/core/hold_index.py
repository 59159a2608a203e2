"""The index of legal holds, which every slice can query. The holds' slice updates it from its events.

A hold keeps data from being erased: no deadline ends it, no client deletes or overwrites it, and the eraser
skips its records. It makes nothing visible: data past its deadline stays hidden from clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any


class HoldIndex:
    """Counters of holds; several holds may cover one resource.

    Attributes:
        resources: Resource → number of holds on it alone.
        containers: (account, container) → number of holds on the whole container.
        tenants: Account → number of holds on all its containers.

    """

    __slots__ = ("_blobs", "containers", "resources", "tenants")

    def __init__(self) -> None:
        self.resources: Counter[bytes] = Counter()
        self.containers: Counter[tuple[str, str]] = Counter()
        self.tenants: Counter[str] = Counter()
        self._blobs: dict[tuple[str, str], Counter[str]] = {}

    def __bool__(self) -> bool:
        """Return whether there is any hold. Called on every change, so it must be quick."""
        return bool(self.resources or self.containers or self.tenants)

    def __eq__(self, other: object) -> bool:
        """Return whether both count the same holds."""
        if not isinstance(other, HoldIndex):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def resource(self, resource: bytes) -> bool:
        """Return whether a hold names this resource; its container or tenant may be held besides."""
        return resource in self.resources

    def container(self, account: str, container: str) -> bool:
        """Return whether the container is held as a whole, by a hold on itself or on its tenant."""
        return (account, container) in self.containers or account in self.tenants

    def blobs_in(self, account: str, container: str) -> Collection[str]:
        """Return the names of the blobs that have holds of their own."""
        return self._blobs.get((account, container), ())

    def record(self, resource: bytes, details: Mapping[str, Any] | None) -> bool:
        """Return whether a record must not be erased.

        Args:
            resource: From its header.
            details: Its details as `engine.wire.about` returns them; None if they were erased, or if
                `needs_details` is false.

        """
        if resource in self.resources:
            return True
        if not details or "account" not in details:
            return False
        return self.container(details["account"], details.get("container") or "")

    @property
    def needs_details(self) -> bool:
        """Return whether `record` needs the details, which alone name a record's container."""
        return bool(self.containers or self.tenants)

    def add_blob(self, account: str, container: str, blob: str) -> None:
        """Count one more hold on this blob."""
        self._blobs.setdefault((account, container), Counter())[blob] += 1

    def remove_blob(self, account: str, container: str, blob: str) -> None:
        """Count one hold less on this blob."""
        names = self._blobs[account, container]
        less(names, blob)
        if not names:
            del self._blobs[account, container]


def less(counts: Counter[Any], key: Any) -> None:
    """Decrement the count of `key`; drop the entry at zero."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
