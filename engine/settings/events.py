"""The events of settings, with their split into details (audit) and content (the data itself).

The resource is the level document. The verb tells the kind of change: `put` records the whole document,
`patch` only the change of a part, `delete` its end. The details name the request's method.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, NamedTuple

from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.fields import beside, datum, detail
from retain.engine.core.role import Data, Locator, OnHold
from retain.engine.settings.model import MISSING, Level, Path, Place
from retain.engine.settings.value import from_text, to_text
from retain.journal import Verb

PIECE_BYTES = 768 << 10
"""Most content of one record, well below the journal's bound; a larger change continues in `ChangeContinued`.
"""

DEFLATE_BYTES = 64 << 10
"""Content from this size on is deflated, so that the largest document fits into one frame."""


DOCUMENT = "document"
"""The first word of a document's locator; its place follows."""


class Op(IntEnum):
    """What a change does under its path. On disk: numbers never move."""

    SET = 1
    REMOVE = 2
    MERGE = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a document.

    Attributes:
        op: Set, remove, or merge by RFC 7396.
        path: Names from the document downwards.
        value: The new value, or the merge patch; `MISSING` for a removal.
        text: The compact JSON text of the value; empty for a removal.

    """

    op: Op
    path: Path
    value: Any = MISSING
    text: bytes = b""


def pack_changes(changes: Sequence[Change]) -> bytes:
    """Return the changes as JSON: `[[op, [names], value], …]`.

    JSON, because msgpack has no integer beyond 64 bits.
    """
    rows = [
        b"[%d,%s%s]" % (change.op, to_text(change.path), b"," + change.text if change.text else b"")
        for change in changes
    ]
    return b"[" + b",".join(rows) + b"]"


def unpack_changes(packed: bytes) -> tuple[Change, ...]:
    """Return the changes in what `pack_changes` returned, without the texts."""
    return tuple(
        Change(Op(op), tuple(path), value[0] if value else MISSING) for op, path, *value in from_text(packed)
    )


@dataclass(frozen=True, slots=True)
class Content:
    """A JSON text on its way into records: deflated if it is long, cut if it is longer than one record holds.

    Attributes:
        codec: `json` or `deflate`.
        pieces: How many records it takes.
        first: The bytes of the first one.

    """

    codec: str
    pieces: int
    first: bytes

    @classmethod
    def of(cls, text: bytes) -> tuple[Content, list[bytes]]:
        """Return the content of `text`, and its further pieces."""
        if len(text) < DEFLATE_BYTES:
            return cls("json", 1, text), []
        packed = zlib.compress(text, 1)
        pieces = [packed[at : at + PIECE_BYTES] for at in range(0, len(packed), PIECE_BYTES)]
        return cls("deflate", len(pieces), pieces[0]), pieces[1:]

    def text(self, further: Sequence[bytes] = ()) -> bytes:
        """Return the text, given its further pieces."""
        packed = b"".join([self.first, *further])
        return packed if self.codec == "json" else zlib.decompress(packed)


class Result(NamedTuple):
    """The document after an event, if it is in memory. Not part of the event.

    Attributes:
        value: The document.
        size: Bytes of it as compact JSON.

    """

    value: dict[str, Any]
    size: int


def _read_place(details: dict[str, Any]) -> Place:
    return Place(*(details.pop(name) for name in Place._fields))


@fact
class SettingsEvent(Event):
    """Base of the events of this domain.

    Attributes:
        place: The level document.
        revision: The document's number of this change; a restated document keeps the one it has.
        method: What was done: POST, PUT, PATCH, DELETE, RESTORE, IMPORT, RESTATE or FORGET.
        path: The request's path in the document.

    """

    INTERFACE: ClassVar[Interface] = Interface.SETTINGS
    DATA: ClassVar[Data] = Data.DOCUMENT
    HISTORY: ClassVar[bool] = True

    place: Place = detail(_read_place, Place._asdict, spread=True)
    revision: int
    method: str
    path: Path = ()

    def locator(self) -> Locator:
        """Return the locator of the document."""
        return (DOCUMENT, *self.place)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return `application`, `application/user:name` or `application/device:id`."""
        match details["level"]:
            case Level.GLOBAL:
                return str(details["application"])
            case Level.USER:
                return f"{details['application']}/user:{details['user']}"
            case _:
                return f"{details['application']}/device:{details['device']}"


@fact
class _Carrying(SettingsEvent):
    """An event with JSON content.

    Attributes:
        data: The content, or its first piece.
        result: See `Result`; only if this is the only piece.

    """

    data: Content = beside()
    result: Result | None = beside(default=None, compare=False)

    def details(self) -> dict[str, Any]:
        """Return who, where and how, and in how many pieces."""
        return {**super().details(), "pieces": self.data.pieces}

    def content(self) -> dict[str, Any]:
        """Return the JSON text, plain or deflated."""
        return {self.data.codec: self.data.first}

    @classmethod
    def complete(cls, found: dict[str, Any], content: Any) -> None:
        [(codec, first)] = content.items()
        found["data"] = Content(codec, found.pop("pieces"), first)


@fact
class DocumentSet(_Carrying):
    """A level document was made, replaced as a whole, or restated so that older records may be erased.

    Attributes:
        born: When the document was made, nanoseconds since the epoch; 0: by this event.
        first: Sequence number of the record that made it; 0: this one.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    born: int = 0
    first: int = 0


@fact
class DocumentChanged(_Carrying):
    """A part of a level document changed: the record holds the change, not the document."""

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""


@fact
class ChangeContinued(SettingsEvent):
    """A further piece of the content of the event before it: same document, same revision, same frame.

    Attributes:
        piece: The bytes.
        result: See `Result`; only with the last piece.

    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    piece: bytes = datum()
    result: Result | None = beside(default=None, compare=False)


@fact
class DocumentDeleted(SettingsEvent):
    """A level document ended."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.RESOURCE
    VALUES: ClassVar[str] = ""


def stated(text: bytes, value: Any, **facts: Any) -> Iterator[SettingsEvent]:
    """Yield the events that state a document in full."""
    data, further = Content.of(text)
    result = Result(value, len(text))
    yield DocumentSet(data=data, result=None if further else result, **facts)
    facts.pop("born", None)
    facts.pop("first", None)
    yield from _continued(further, result, facts)


def changed(changes: Sequence[Change], result: Result, **facts: Any) -> Iterator[SettingsEvent]:
    """Yield the events of a change that leads to `result`."""
    data, further = Content.of(pack_changes(changes))
    yield DocumentChanged(data=data, result=None if further else result, **facts)
    yield from _continued(further, result, facts)


def _continued(further: Sequence[bytes], result: Result, facts: dict[str, Any]) -> Iterator[SettingsEvent]:
    for number, piece in enumerate(further, 1):
        yield ChangeContinued(piece=piece, result=result if number == len(further) else None, **facts)
