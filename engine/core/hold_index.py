"""What is under a legal hold, as sets that every slice can ask. The holds' slice keeps them by its events.

A hold keeps what there is from being erased: no deadline ends it, no client deletes or overwrites it, no
eraser touches its records. It makes nothing visible: what is past its deadline stays hidden from clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any


class HoldIndex:
    """Counts, because several holds may keep one thing.

    Attributes:
        resources: Resource → holds on it alone.
        containers: (account, container) → holds on all it holds.
        tenants: Account → holds on all its containers.
    """

    __slots__ = ("_blobs", "containers", "resources", "tenants")

    def __init__(self) -> None:
        self.resources: Counter[bytes] = Counter()
        self.containers: Counter[tuple[str, str]] = Counter()
        self.tenants: Counter[str] = Counter()
        self._blobs: dict[tuple[str, str], Counter[str]] = {}

    def __bool__(self) -> bool:
        """Whether anything is held at all: asked on every change, so it is quick."""
        return bool(self.resources or self.containers or self.tenants)

    def __eq__(self, other: object) -> bool:
        """Whether the same is held as often."""
        if not isinstance(other, HoldIndex):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def resource(self, resource: bytes) -> bool:
        """Whether a hold names this resource; it may also be held with its container or tenant."""
        return resource in self.resources

    def container(self, account: str, container: str) -> bool:
        """Whether a container is held with everything in it, by itself or with its tenant."""
        return (account, container) in self.containers or account in self.tenants

    def blobs_in(self, account: str, container: str) -> Collection[str]:
        """Names of blobs that are held by themselves."""
        return self._blobs.get((account, container), ())

    def record(self, resource: bytes, details: Mapping[str, Any] | None) -> bool:
        """Whether a record must not be erased.

        Args:
            resource: From its header.
            details: Its details as :func:`engine.wire.about` tells them; None if they were erased, or if
                :attr:`needs_details` says that they do not matter.
        """
        if resource in self.resources:
            return True
        if not details or "account" not in details:
            return False
        return self.container(details["account"], details.get("container") or "")

    @property
    def needs_details(self) -> bool:
        """Whether :meth:`record` needs the details to answer: only they tell a container."""
        return bool(self.containers or self.tenants)

    def add_blob(self, account: str, container: str, blob: str) -> None:
        """A hold names this blob."""
        self._blobs.setdefault((account, container), Counter())[blob] += 1

    def remove_blob(self, account: str, container: str, blob: str) -> None:
        """One hold on this blob less."""
        names = self._blobs[account, container]
        less(names, blob)
        if not names:
            del self._blobs[account, container]


def less(counts: Counter[Any], key: Any) -> None:
    """One less of ``key``; none of it is no entry."""
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
