"""What an event is: a fact that happened, in the past tense, with who did it and why.

The events of each domain stand in ``engine/<domain>/events.py``; ``engine/wire.py`` holds the one table of
their codes.
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
    """The interface a record belongs to. On disk: numbers never move."""

    ENGINE = 0
    AREAS = 1
    SETTINGS = 2
    BLOBS = 3


class Cause(IntEnum):
    """Why a change happened. On disk, in the header that is kept for ever: numbers never move."""

    REQUEST = 1
    """A client's request."""
    EXPIRED = 2
    """The deadline passed."""
    ERASURE_REQUEST = 3
    """A data subject or operator asked for erasure (GDPR article 17)."""
    RESTATED = 4
    """The same value written again, so that older records may be erased."""
    OVERWRITTEN = 5
    """A newer value took its place."""
    REVOKED = 6
    """An operator revoked it."""
    CONFIGURATION = 7
    """The server's configuration demands it."""
    RETENTION = 8
    """The retention policy is due for it."""
    IMPORT = 9
    """An import of earlier data."""
    LOST = 10
    """The content was lost with its file, and an operator accepted that."""


class Stamp(NamedTuple):
    """Where an event stands in the journal. A tuple because replay makes one per record.

    Attributes:
        seq: Sequence number, from 1, without gaps.
        time: Nanoseconds since the epoch, never going back along the journal.
        address: Where the record's content lies, -1 if it has none or is not written yet.
        size: Bytes that the content takes up on disk.
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
    """Makes a class of events: keyword fields, compared by value, and not to be changed.

    That nobody changes one is the type checker's to enforce, not the class's: replay makes one per record, in
    :meth:`Event.restore`, which costs a third of calling a frozen class with slots.
    """
    made = dataclass(kw_only=True)(cls)
    made.LAYOUT = Layout.of(made, ("resource", "actor", "cause"))
    return made


@fact
class Event:
    """Base of all events.

    A subclass says its ``VERB``, its ``SURFACE`` and what it means to holds and persons, without which it
    does not import. It adds its fields, each in one of two parts: ``details`` are who and what, kept for the
    audit period; ``content`` is the data itself, kept until its deadline (FORMAT.md, section 5). Nothing of
    either reaches the header.

    Attributes:
        resource: 16 random bytes that name the resource for ever, without telling whose it is.
        actor: Who did it, for example ``user:operator``, ``anonymous`` or ``retain``.
        cause: Why.
    """

    VERB: ClassVar[Verb]
    SURFACE: ClassVar[Interface]
    VERSION: ClassVar[int] = 1
    """Version of the two parts' shapes; ``engine/wire.py`` upcasts older ones on reading."""
    STANDING: ClassVar[RecordRole]
    """What the record means to the others of its resource; if a class does not say, the verb does."""
    ON_HOLD: ClassVar[OnHold]
    """What it does that a legal hold may forbid. Each class with a verb says so itself."""
    VALUES: ClassVar[str]
    """The field with short values that an export shows, empty for none. Each class with a verb says so."""
    DATA: ClassVar[Data]
    """What kind of data it is about. Each class with a verb says so, or a base of it."""
    HISTORY: ClassVar[bool] = False
    """Whether what an event of this kind overwrites is kept as history for a while."""
    LAYOUT: ClassVar[Layout]
    """Where the fields stand in the parts."""

    resource: bytes
    actor: str
    cause: Cause

    def __init_subclass__(cls) -> None:
        if "VERB" not in cls.__dict__:
            return
        unsaid = [name for name in ("ON_HOLD", "VALUES") if name not in cls.__dict__]
        unsaid += [] if hasattr(cls, "DATA") else ["DATA"]
        if unsaid:
            raise TypeError(f"the event {cls.__name__} must say its {', '.join(unsaid)}")
        if "STANDING" not in cls.__dict__:
            cls.STANDING = _BY_VERB[cls.VERB]

    def locator(self) -> Locator:
        """Where the slice finds what the event is about. Empty: it is never restated."""
        return ()

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """What an operator calls the resource, from the details: they outlive the content. Empty if nothing
        names it."""
        return ""

    def details(self) -> dict[str, Any]:
        """The details part, msgpack types only."""
        part: dict[str, Any] = write_part(self, self.LAYOUT.details)
        return part

    def content(self) -> Any:
        """The content part, msgpack types only; None if the event has none."""
        return write_part(self, self.LAYOUT.content) or None

    @classmethod
    def complete(cls, found: dict[str, Any], content: Any) -> None:
        """Adds the fields that are declared :func:`beside` to those ``found``, which still holds whatever
        else is in the details. For classes that have such fields."""
        raise NotImplementedError

    @classmethod
    def restore(
        cls, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The event that ``details`` and ``content`` came from: ``restore(...parts of e...) == e``. Takes
        both over. A field that an older record does not have has its default.

        Raises:
            ValueError: A field is missing that has none.
        """
        layout = cls.LAYOUT
        found = details  # most fields stand there as they are
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
