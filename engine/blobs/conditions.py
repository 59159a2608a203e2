"""The conditions of a write, checked inside the decision, so that nothing changes between check and write.

The interface decides which headers may be combined, and how a read answers (docs/wire/blobs.md, section 7).
This module only checks the conditions of a write, a delete or a container operation against the present
entry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from retain.engine.blobs.entries import BlobEntry, ContainerEntry
from retain.engine.blobs.tag_condition import Expression, matches
from retain.engine.core.errors import Conflict, PreconditionFailed
from retain.engine.core.time import SECOND


@dataclass(frozen=True, slots=True)
class ETags:
    """The ETags in `If-Match` or `If-None-Match`.

    Attributes:
        any: It is `*`.
        values: Else the ETags as numbers of ticks; one that is no such number is left out, since it matches
            nothing.

    """

    any: bool = False
    values: frozenset[int] = frozenset()

    def match(self, etag: int | None) -> bool:
        """Return whether it names `etag`, None for what does not exist."""
        return etag is not None and (self.any or etag in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a write; None is no condition.

    Attributes:
        if_match: The blob or container must have one of these ETags; with `*` it must exist.
        if_none_match: It must have none of these, or with `*` not exist.
        modified_since: It must have been written after this moment; nanoseconds since the epoch, compared in
            whole seconds.
        unmodified_since: It must not have been written after this moment, as above. `if_match` takes
            precedence.
        tags: The condition on its tags (`x-ms-if-tags`).
        lease: The id of its lease.

    """

    if_match: ETags | None = None
    if_none_match: ETags | None = None
    modified_since: int | None = None
    unmodified_since: int | None = None
    tags: Expression | None = None
    lease: str | None = None

    def of_the_holder(self) -> Conditions:
        """Return the conditions for a write by the lease's holder: all but that the blob must not exist."""
        if self.if_none_match is None or not self.if_none_match.any:
            return self
        return replace(self, if_none_match=None)

    def check(self, entry: BlobEntry | ContainerEntry | None, *, creates: bool = False) -> None:
        """Refuse a request whose conditions `entry` does not meet. The lease is not checked here."""
        etag = None if entry is None else entry.etag
        if creates and self.if_none_match is not None and self.if_none_match.any and entry is not None:
            raise Conflict("the blob already exists", reason="blob-exists")
        if not (self._etags_hold(etag) and self._times_hold(entry)):
            raise PreconditionFailed(_UNMET, reason="condition")
        if not self._tags_hold(entry):
            raise PreconditionFailed(_UNMET, reason="tag-condition")

    def _etags_hold(self, etag: int | None) -> bool:
        if self.if_match is not None and not self.if_match.match(etag):
            return False
        return self.if_none_match is None or not self.if_none_match.match(etag)

    def _times_hold(self, entry: BlobEntry | ContainerEntry | None) -> bool:
        if entry is None:
            return True
        written = entry.modified // SECOND
        if (
            self.unmodified_since is not None
            and self.if_match is None
            and written > self.unmodified_since // SECOND
        ):
            return False
        return (
            self.modified_since is None
            or self.if_none_match is not None
            or written > self.modified_since // SECOND
        )

    def _tags_hold(self, entry: BlobEntry | ContainerEntry | None) -> bool:
        return self.tags is None or (isinstance(entry, BlobEntry) and matches(self.tags, dict(entry.tags)))


_UNMET = "a condition of the request is not met by the blob's present state"

UNCONDITIONAL = Conditions()
"""No conditions."""
