"""The engine's refusals, as typed errors.

The tree is split by who must respond:

    EngineError
    ├── Refused              the caller must change the request; the state is untouched
    │   ├── Invalid          a name, value or argument breaks a rule
    │   ├── NotFound         nothing has that name (any more), or nothing this caller may see
    │   ├── Conflict         the target exists already, or in a form that excludes the request
    │   ├── Forbidden        the caller is known but lacks the right
    │   ├── PreconditionFailed   a condition of the request is not met
    │   ├── TooLarge         a documented bound is exceeded
    │   ├── Unsupported      the type of the content is not accepted
    │   └── QuotaExceeded    a configured quota is used up
    └── Unavailable          the operator must respond
        ├── StorageFull      no space for the change; deletes still work
        ├── StorageFailed    a write or sync failed; final until a restart
        ├── Exhausted        the machine is short of descriptors, memory or threads, for a while
        │   └── NodeNotReady this node of a cluster may not answer, for a while
        └── EngineClosed     the engine is stopping or has stopped

Every class has a stable `code`; an instance carries `data` that explains the refusal without secrets or
values. Each interface maps these to its own wire form in one table.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EngineError(Exception):
    """Base of all errors that the engine raises on purpose.

    Args:
        message: One sentence for the caller, without stored values, secrets and paths.
        reason: A short stable word that distinguishes the cases of one class, for the interfaces' tables.
        data: Facts that explain the refusal (names, bounds, counts).

    """

    code: ClassVar[str] = "engine"

    def __init__(self, message: str, *, reason: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.data = data


class Refused(EngineError):
    """A request that cannot be done as asked; nothing was changed."""

    code = "refused"


class Invalid(Refused):
    """A name, a value or an argument that breaks a rule."""

    code = "invalid"


class NotFound(Refused):
    """A name that does not exist, or not for this caller."""

    code = "not-found"


class Conflict(Refused):
    """A target that exists already, or in a form that excludes the request."""

    code = "conflict"


class Forbidden(Refused):
    """A known caller who lacks the right."""

    code = "forbidden"


class PreconditionFailed(Refused):
    """A condition of the request that is not met."""

    code = "precondition-failed"


class TooLarge(Refused):
    """A size, count or depth above its documented bound."""

    code = "too-large"


class Unsupported(Refused):
    """A content type that is not accepted here."""

    code = "unsupported"


class QuotaExceeded(Refused):
    """A configured quota that is used up."""

    code = "quota-exceeded"


class Unavailable(EngineError):
    """A state in which the engine cannot serve the request; the operator must respond."""

    code = "unavailable"


class StorageFull(Unavailable):
    """No space for the change.

    Nothing was changed, deletes still work, and writing resumes once there is space.
    """

    code = "storage-full"


class StorageFailed(Unavailable):
    """A failed write or sync of the journal. Final: only a restart restores the durable state."""

    code = "storage-failed"


class Exhausted(Unavailable):
    """A temporary lack of descriptors, memory or threads. Nothing was changed."""

    code = "exhausted"


class NodeNotReady(Exhausted):
    """A node of a cluster has no lease: no node leads, or it cannot reach the leader. Nothing changed."""

    code = "not-ready"


class EngineClosed(Unavailable):
    """An engine that is stopping or has stopped; the command was not accepted."""

    code = "closed"
