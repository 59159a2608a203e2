"""Leases of blobs and containers: who may write, for how long (docs/wire/blobs.md, sections 2.2 and 5).

A lease is kept as it was last set; its state follows from the time, so no event is needed when it ends. The
states are those of Azure's lease state diagram, and the outcomes those of Azure's "Lease Blob" page, table
"Outcomes of lease operations on blobs by lease state".
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from retain.engine.core.errors import Conflict, Invalid, PreconditionFailed
from retain.engine.core.time import SECOND

INFINITE = -1
"""A duration that does not run out."""
SHORTEST, LONGEST = 15, 60
"""Bounds of any other duration, in seconds."""


class LeaseState(StrEnum):
    """The states a client sees in `x-ms-lease-state`."""

    AVAILABLE = "available"
    LEASED = "leased"
    EXPIRED = "expired"
    BREAKING = "breaking"
    BROKEN = "broken"


class LeaseAction(StrEnum):
    """The actions on a lease, as `x-ms-lease-action` names them."""

    ACQUIRE = "acquire"
    RENEW = "renew"
    CHANGE = "change"
    RELEASE = "release"
    BREAK = "break"


class Lease(NamedTuple):
    """A lease as it was last set.

    Attributes:
        lease_id: A GUID in the client's form; compared without regard to case.
        duration: 15 to 60 seconds, or -1 for one that does not run out.
        until: When it runs out, or with `breaking` when it is broken; nanoseconds since the epoch, None for
            never.
        breaking: Whether a break was requested.

    """

    lease_id: str
    duration: int
    until: int | None
    breaking: bool = False

    def state(self, now: int) -> LeaseState:
        """Return its state at `now`."""
        if self.breaking:
            return LeaseState.BREAKING if self.until is not None and now < self.until else LeaseState.BROKEN
        return LeaseState.LEASED if self.until is None or now < self.until else LeaseState.EXPIRED

    def holds(self, now: int) -> bool:
        """Return whether writing needs its id at `now`."""
        return self.state(now) in (LeaseState.LEASED, LeaseState.BREAKING)

    def is_named(self, lease_id: str) -> bool:
        """Return whether `lease_id` is its id."""
        return self.lease_id.lower() == lease_id.lower()


def state_of(lease: Lease | None, now: int) -> LeaseState:
    """Return the state of a lease at `now`; `AVAILABLE` if there is none."""
    return LeaseState.AVAILABLE if lease is None else lease.state(now)


def locked(lease: Lease | None, now: int) -> bool:
    """Return whether `x-ms-lease-status` is `locked`."""
    return lease is not None and lease.holds(now)


def surviving(lease: Lease | None, now: int) -> Lease | None:
    """Return the lease after a successful write: one that has ended is dropped."""
    return lease if lease is not None and lease.holds(now) else None


def check_write(lease: Lease | None, given: str | None, now: int) -> None:
    """Refuse a write that the lease excludes.

    Raises:
        PreconditionFailed: `lease-missing`, `lease-mismatch`, `lease-not-present` or `lease-lost`.
    """
    if lease is None or not lease.holds(now):
        if given is not None:
            _refuse_ended(lease, given)
    elif given is None:
        raise PreconditionFailed(
            "the resource is leased; the request must name the lease id", reason="lease-missing"
        )
    elif not lease.is_named(given):
        raise PreconditionFailed(
            "the request does not name the id of the active lease", reason="lease-mismatch"
        )


def check_read(lease: Lease | None, given: str | None, now: int) -> None:
    """Refuse a read that names a lease which does not exist; without a lease id, no read is refused.

    Raises:
        PreconditionFailed: `lease-mismatch`, `lease-not-present` or `lease-lost`.
    """
    if given is not None:
        check_write(lease, given, now)


def _refuse_ended(lease: Lease | None, given: str) -> None:
    if lease is None:
        raise PreconditionFailed(
            "the request names a lease id, but the resource has no lease", reason="lease-not-present"
        )
    if not lease.is_named(given):
        raise PreconditionFailed(
            "the request does not name the id of the active lease", reason="lease-mismatch"
        )
    raise PreconditionFailed("the lease has expired or was broken; acquire a new one", reason="lease-lost")


class LeaseRequest(NamedTuple):
    """One lease operation.

    Attributes:
        action: The action.
        lease_id: The present id: needed to renew, change and release, ignored by a break.
        proposed: The new id: needed to acquire and change.
        duration: Seconds, 15 to 60 or -1: needed to acquire.
        break_after: Seconds until a break takes effect, 0 to 60; None for what is left of the lease, or at
            once if it is infinite.

    """

    action: LeaseAction
    lease_id: str | None = None
    proposed: str | None = None
    duration: int | None = None
    break_after: int | None = None


def changed(lease: Lease | None, request: LeaseRequest, now: int) -> Lease | None:
    """Return the lease after `request`; None after a release.

    Raises:
        Invalid: `lease-id` or `lease-duration`: a part of the request is missing or out of its bounds.
        Conflict: `lease-present`, `lease-not-present`, `lease-mismatch`, `lease-breaking-acquire`,
            `lease-breaking-change` or `lease-broken`.
    """
    match request.action:
        case LeaseAction.ACQUIRE:
            return _acquired(lease, request, now)
        case LeaseAction.RENEW:
            return _renewed(lease, request, now)
        case LeaseAction.CHANGE:
            return _renamed(lease, request, now)
        case LeaseAction.RELEASE:
            _named(lease, request)
            return None
    return _broken(lease, request, now)


def _acquired(lease: Lease | None, request: LeaseRequest, now: int) -> Lease:
    if request.proposed is None:
        raise Invalid("an acquire must propose a lease id", reason="lease-id")
    duration = request.duration
    if duration is None or not (duration == INFINITE or SHORTEST <= duration <= LONGEST):
        raise Invalid(
            "a lease duration must be 15 to 60 seconds, or -1 for an infinite lease", reason="lease-duration"
        )
    state = state_of(lease, now)
    if state is LeaseState.LEASED and lease is not None and not lease.is_named(request.proposed):
        raise Conflict("the resource already has an active lease", reason="lease-present")
    if state is LeaseState.BREAKING:
        raise Conflict("the lease is breaking and cannot be acquired yet", reason="lease-breaking-acquire")
    return Lease(request.proposed, duration, _ends(duration, now))


def _renewed(lease: Lease | None, request: LeaseRequest, now: int) -> Lease:
    held = _named(lease, request)
    if held.breaking:
        raise Conflict("a broken lease cannot be renewed", reason="lease-broken")
    return Lease(held.lease_id, held.duration, _ends(held.duration, now))


def _renamed(lease: Lease | None, request: LeaseRequest, now: int) -> Lease:
    if request.proposed is None or request.lease_id is None:
        raise Invalid("a change must name the present lease id and the proposed one", reason="lease-id")
    state = state_of(lease, now)
    if state is LeaseState.BREAKING:
        raise Conflict("the lease is breaking; its id cannot be changed", reason="lease-breaking-change")
    if lease is None or state is not LeaseState.LEASED:
        raise Conflict("the resource has no active lease", reason="lease-not-present")
    if not lease.is_named(request.lease_id) and not lease.is_named(request.proposed):
        raise Conflict("the request does not name the id of the active lease", reason="lease-mismatch")
    return lease._replace(lease_id=request.proposed)


def _broken(lease: Lease | None, request: LeaseRequest, now: int) -> Lease:
    if lease is None:
        raise Conflict("the resource has no active lease", reason="lease-not-present")
    after = request.break_after
    if after is not None and not 0 <= after <= LONGEST:
        raise Invalid("a break period must be 0 to 60 seconds", reason="lease-duration")
    if not lease.holds(now):
        return lease._replace(until=now, breaking=True)
    remaining = lease.until
    asked = None if after is None else now + after * SECOND
    ends = min((at for at in (remaining, asked) if at is not None), default=now)
    return lease._replace(until=ends, breaking=True)


def _named(lease: Lease | None, request: LeaseRequest) -> Lease:
    if request.lease_id is None:
        raise Invalid("the request must name a lease id", reason="lease-id")
    if lease is None or not lease.is_named(request.lease_id):
        raise Conflict("the request does not name the id of the active lease", reason="lease-mismatch")
    return lease


def _ends(duration: int, now: int) -> int | None:
    return None if duration == INFINITE else now + duration * SECOND


def break_seconds(lease: Lease | None, now: int) -> int:
    """Return the seconds until a breaking lease is broken, rounded up: `x-ms-lease-time`."""
    if lease is None or lease.until is None or lease.until <= now:
        return 0
    return -(-(lease.until - now) // SECOND)
