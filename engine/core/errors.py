"""What the engine refuses, as typed errors.

The tree is split by who must act::

    EngineError
    ├── Refused              the caller must change the request; the state is untouched
    │   ├── Invalid          a name, value or argument breaks a rule
    │   ├── NotFound         nothing (any more) under that name, or not for this caller
    │   ├── Conflict         it exists already, or in a form that excludes the request
    │   ├── Forbidden        known caller, missing right
    │   ├── PreconditionFailed   a condition of the request does not hold
    │   ├── TooLarge         a documented bound is exceeded
    │   ├── Unsupported      the type of the content is not accepted
    │   └── QuotaExceeded    a configured quota is used up
    └── Unavailable          the operator must act
        ├── StorageFull      no room for the change; deletes still work
        ├── StorageFailed    a write or sync failed; final until a restart
        ├── Exhausted        the machine is short of descriptors, memory or threads; it passes by itself
        └── Closed           the engine is stopping or has stopped

Every class has a stable ``code``; an instance carries ``data`` that explains the refusal without secrets or
values.
Each surface maps these to its own wire form in one table.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EngineError(Exception):
    """Base of all the engine raises on purpose.

    Args:
        message: One sentence for the caller; never holds values, secrets or paths.
        reason: A short stable word that tells cases of one class apart, for the surfaces' tables.
        data: Facts that explain the refusal (names, bounds, counts).
    """

    code: ClassVar[str] = "engine"

    def __init__(self, message: str, *, reason: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.data = data


class Refused(EngineError):
    """The request cannot be done as asked; nothing was changed."""

    code = "refused"


class Invalid(Refused):
    """A name, a value or an argument breaks a rule."""

    code = "invalid"


class NotFound(Refused):
    """Nothing is there under that name, or not for this caller."""

    code = "not-found"


class Conflict(Refused):
    """The target exists already, or in a form that excludes the request."""

    code = "conflict"


class Forbidden(Refused):
    """The caller is known and lacks the right."""

    code = "forbidden"


class PreconditionFailed(Refused):
    """A condition that the request set does not hold."""

    code = "precondition-failed"


class TooLarge(Refused):
    """A documented bound on size, count or depth is exceeded."""

    code = "too-large"


class Unsupported(Refused):
    """The type of the content is not accepted here."""

    code = "unsupported"


class QuotaExceeded(Refused):
    """A configured quota is used up."""

    code = "quota-exceeded"


class Unavailable(EngineError):
    """The engine cannot serve this now; the operator must act."""

    code = "unavailable"


class StorageFull(Unavailable):
    """No room for the change. Nothing was changed, deletes still work, and writing goes on once there is
    room."""

    code = "storage-full"


class StorageFailed(Unavailable):
    """A write or sync of the journal failed. Final: only a restart reads back what is truly on disk."""

    code = "storage-failed"


class Exhausted(Unavailable):
    """The machine is short of descriptors, memory or threads. Nothing was changed; it passes by itself."""

    code = "exhausted"


class EngineClosed(Unavailable):
    """The engine is stopping or has stopped; the command was not taken."""

    code = "closed"
