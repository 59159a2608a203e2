"""Events: facts that happened, in the past tense, with their author and their cause.

The events of each domain are in `engine/<domain>/events.py`; `engine/wire.py` has the one table of their
codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from retain.engine.core.fields import Layout, beside, datum, detail, read_part, write_part
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.journal import Verb


class Interface(IntEnum):
    """The interface a record belongs to. On disk: numbers never change."""

    ENGINE = 0
    AREAS = 1
    SETTINGS = 2
    BLOBS = 3


class Cause(IntEnum):
    """Why a change happened. On disk, in the header that is retained for ever: numbers never change."""

    REQUEST = 1
    """A client's request."""
    EXPIRED = 2
    """The deadline passed."""
    ERASURE_REQUEST = 3
    """A data subject or operator asked for erasure (GDPR article 17)."""
    RESTATED = 4
    """The same value rewritten, so that older records may be erased."""
    OVERWRITTEN = 5
    """A newer value replaced it."""
    REVOKED = 6
    """An operator revoked it."""
    CONFIGURATION = 7
    """The server's configuration requires it."""
    RETENTION = 8
    """Its retention period is over."""
    IMPORT = 9
    """An import of earlier data."""
    LOST = 10
    """The content was lost with its file, and an operator accepted that."""


class Stamp(NamedTuple):
    """The position and time of an event in the journal. A tuple because replay creates one per record.

    Attributes:
        seq: Sequence number, from 1, without gaps.
        time: Nanoseconds since the epoch, never decreasing along the journal.
        address: Address of the record's content, -1 if it has none or is not written yet.
        size: Bytes of the content on disk.

    """

    seq: int
    time: int
    address: int
    size: int = 0


_BY_VERB = {
    Verb.PUT: RecordRole.WHOLE,
    Verb.PATCH: RecordRole.PART,
    Verb.DELETE: RecordRole.END,
    Verb.TOKEN: RecordRole.PART,
}

Fact = TypeVar("Fact", bound="Event")
_new = object.__new__


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(field, beside, datum, detail)
)
def fact(cls: type[Fact]) -> type[Fact]:
    """Turn a class into an event class: keyword fields, compared by value, immutable by convention.

    The type checker enforces the immutability, not the class: replay creates one event per record, in
    `Event.restore`, which costs a third of calling a frozen class with slots.
    """
    made = dataclass(kw_only=True)(cls)
    made.LAYOUT = Layout.of(made, ("resource", "actor", "cause"))
    return made


@fact
class Event:
    """Base of all events.

    A subclass declares its `VERB`, its `INTERFACE`, and its effects on holds and persons; without these its
    module does not import. Each of its fields is in one of two parts: `details` contain names and actors, and
    are retained for the audit period; `content` is the data itself, retained until its deadline (FORMAT.md,
    section 5). Nothing of either is in the header.

    Attributes:
        resource: 16 random bytes that name the resource for ever, without revealing its owner.
        actor: The author, for example `user:operator`, `anonymous` or `retain`.
        cause: The cause.

    """

    VERB: ClassVar[Verb]
    INTERFACE: ClassVar[Interface]
    VERSION: ClassVar[int] = 1
    """Version of the two parts' shapes; `engine/wire.py` upcasts older ones on reading."""
    ROLE: ClassVar[RecordRole]
    """The role of the record among those of its resource; by default, that of the verb."""
    ON_HOLD: ClassVar[OnHold]
    """The effect that a legal hold may forbid. Each class with a verb declares it."""
    VALUES: ClassVar[str]
    """The field with short values that an export shows, empty for none. Each class with a verb declares it.
    """
    DATA: ClassVar[Data]
    """The kind of data it is about. Each class with a verb declares it, or inherits it."""
    HISTORY: ClassVar[bool] = False
    """Whether what an event of this kind overwrites is retained as history for a while."""
    LAYOUT: ClassVar[Layout]
    """Where each field is stored."""

    resource: bytes
    actor: str
    cause: Cause

    def __init_subclass__(cls) -> None:
        if "VERB" not in cls.__dict__:
            return
        unsaid = [name for name in ("ON_HOLD", "VALUES") if name not in cls.__dict__]
        unsaid += [name for name in ("DATA", "INTERFACE") if not hasattr(cls, name)]
        if unsaid:
            raise TypeError(f"the event {cls.__name__} must declare {', '.join(unsaid)}")
        if "ROLE" not in cls.__dict__:
            cls.ROLE = _BY_VERB[cls.VERB]

    def locator(self) -> Locator:
        """Return where the slice finds what the event is about. Empty: it is never restated."""
        return ()

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return an operator's name of the resource; empty if the details do not name it.

        It is made from the details because they outlive the content.
        """
        return ""

    def details(self) -> dict[str, Any]:
        """Return the details part, msgpack types only."""
        part: dict[str, Any] = write_part(self, self.LAYOUT.details)
        return part

    def content(self) -> Any:
        """Return the content part, msgpack types only; None if the event has none."""
        return write_part(self, self.LAYOUT.content) or None

    @classmethod
    def complete(cls, found: dict[str, Any], content: Any) -> None:
        """Add the fields declared with `beside` to those `found`, which still contains the other details.

        Only classes with such fields implement it.
        """
        raise NotImplementedError

    @classmethod
    def restore(
        cls, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """Return the event that `details` and `content` were made from: `restore(...parts of e...) == e`.

        Take ownership of both. A field that an older record lacks gets its default.

        Raises:
            ValueError: A required field is missing.

        """
        layout = cls.LAYOUT
        found = details  # most fields are stored there unconverted
        if layout.changed:
            read_part(details, layout.changed, found)
        if content is not None:
            if layout.whole:
                found[layout.whole] = content
            else:
                read_part(content, layout.content, found)
        if layout.beside:
            cls.complete(found, content)
        found["resource"] = resource
        found["actor"] = actor
        found["cause"] = cause
        if len(found) != layout.total:
            layout.check(found)
        event = _new(cls)
        event.__dict__ = found
        return event
