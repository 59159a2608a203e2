"""The results of commands about containers and blobs."""

from __future__ import annotations

from typing import NamedTuple

from retain.engine.blobs.entries import ticks
from retain.engine.blobs.leases import Lease


class Written(NamedTuple):
    """The result of a write.

    Attributes:
        modified: When it counts as written, nanoseconds since the epoch: Last-Modified.

    """

    modified: int

    @property
    def etag(self) -> int:
        """The new ETag as a number of ticks."""
        return ticks(self.modified)


class Leased(NamedTuple):
    """The result of a lease operation.

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
