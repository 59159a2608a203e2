"""What an event is: a fact that happened, in the past tense, with who did it and why.

The events of each domain stand in ``engine/<domain>/events.py``; ``engine/wire.py`` holds the one table of
their codes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

from engine.records import OVERWRITTEN, Locator, Standing
from journal import Verb


class Surface(IntEnum):
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
    Verb.PUT: Standing.WHOLE,
    Verb.PATCH: Standing.PART,
    Verb.DELETE: Standing.END,
    Verb.TOKEN: Standing.PART,
}

assert Cause.OVERWRITTEN == OVERWRITTEN

Fact = TypeVar("Fact")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def fact(cls: type[Fact]) -> type[Fact]:
    """Makes a class of events: keyword fields, slots, compared by value, and not to be changed.

    That nobody changes one is the type checker's to enforce, not the class's: a frozen dataclass sets each
    field through ``object.__setattr__``, 1.3 us an event against 0.5, and replay makes one per record.
    """
    return dataclass(slots=True, kw_only=True)(cls)


@fact
class Event(ABC):
    """Base of all events.

    A subclass says its ``VERB`` and ``SURFACE``, adds its fields, and splits them: ``details`` are who and
    what, kept for the audit period; ``content`` is the data itself, kept until its deadline (design section
    2). Nothing of either reaches the header.

    Attributes:
        resource: 16 random bytes that name the resource for ever, without telling whose it is.
        actor: Who did it, for example ``user:operator``, ``anonymous`` or ``retain``.
        cause: Why.
    """

    VERB: ClassVar[Verb]
    SURFACE: ClassVar[Surface]
    VERSION: ClassVar[int] = 1
    """Version of the two shapes below; ``engine/wire.py`` upcasts older ones on reading."""
    STANDING: ClassVar[Standing]
    """What the record means to the others of its resource; if a class does not say, the verb does."""
    HISTORY: ClassVar[bool] = False
    """Whether what an event of this kind overwrites is kept as history for a while."""

    resource: bytes
    actor: str
    cause: Cause

    def __init_subclass__(cls) -> None:
        if "VERB" in cls.__dict__ and "STANDING" not in cls.__dict__:
            cls.STANDING = _BY_VERB[cls.VERB]

    def locator(self) -> Locator:
        """Where the slice finds what the event is about. Empty: it is never restated."""
        return ()

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """The fields of the details part, msgpack types only."""

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """What an operator calls the resource, from the details: they outlive the content. Empty if nothing
        names it."""
        return ""

    def content(self) -> Any:
        """The content part, msgpack types only; None if the event has none."""
        return None

    @classmethod
    @abstractmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The event that ``details`` and ``content`` came from: ``restore(...parts of e...) == e``."""
