"""The events of areas, with their split into details (audit) and content (the data itself)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from retain.engine.core.body import Body, pack_body, unpack_body
from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.fields import beside, datum, detail
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.journal import Verb

AREA = "area"
"""The first word of an area's locator; the id and the customer follow."""


@fact
class AreaEvent(Event):
    """Base of the events of this domain.

    Attributes:
        name: The area's id: a generated UUID, or the custom id its customer chose.
        user: The customer (`gms_user`) a custom id belongs to; None for a plain area (docs/wire/areas.md,
            section 3).

    """

    INTERFACE: ClassVar[Interface] = Interface.AREAS
    DATA: ClassVar[Data] = Data.AREA

    name: str
    user: str | None

    def locator(self) -> Locator:
        """Return the locator of the area."""
        return (AREA, self.name, self.user)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return `id`, or `customer/id` for a custom area."""
        name, user = details["name"], details["user"]
        return str(name) if user is None else f"{user}/{name}"


@fact
class TextsWritten(AreaEvent):
    """Base of the two events with the short strings of a request.

    Attributes:
        until: Deadline of the keys written here, nanoseconds since the epoch.
        base: Deadline of the area itself where it has no keys, else 0.
        keys: The keys, each once.
        values: Their values.

    """

    until: int
    base: int
    keys: tuple[str, ...]
    values: tuple[str, ...] = datum(spread=True, default=())

    @property
    def texts(self) -> dict[str, str]:
        """Key to value."""
        return dict(zip(self.keys, self.values, strict=True))


@fact
class AreaCreated(TextsWritten):
    """An area began to exist."""

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = "texts"


@fact
class AreaUpdated(TextsWritten):
    """Keys of an area were replaced or added (docs/wire/areas.md, section 6).

    A `base` of 0 leaves the area's deadline unchanged. An event with the cause `RESTATED` continues an
    `AreaRestated`, and leaves deadlines alone.

    Attributes:
        whole: `until` is the new deadline of every key of the area (setting `ttl_scope = "area"`).
    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.RESOURCE
    VALUES: ClassVar[str] = "texts"

    whole: bool


@fact
class FileStored(AreaEvent):
    """A file, or a text too long for memory, was stored under a key of an area.

    Each has a record of its own, so that its content can be read and erased by itself: the area knows which.

    Attributes:
        until: Deadline of the key, nanoseconds since the epoch.
        key: The key.
        filename: The client's file name; empty if it sent none.
        media_type: Its Content-Type as sent; None marks a text, kept as UTF-8.
        body: The bytes; their number is in the details.

    """

    VERB: ClassVar[Verb] = Verb.PATCH
    ON_HOLD: ClassVar[OnHold] = OnHold.RESOURCE
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.APART

    until: int
    key: str
    filename: str
    media_type: str | None = detail(key="type")
    body: Body = datum(unpack_body, pack_body, spread=True)

    def details(self) -> dict[str, Any]:
        """Return names, type, size and deadline."""
        return {**super().details(), "size": self.body.size}


@fact
class KeysExpired(AreaEvent):
    """Some keys of an area reached their deadline, or their files were lost; the area continues.

    Attributes:
        keys: The keys.

    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.RESOURCE
    VALUES: ClassVar[str] = ""
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    keys: tuple[str, ...]


@fact
class AreaDeleted(AreaEvent):
    """An area ended with all its keys, on request or at its deadline, as the cause says."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.RESOURCE
    VALUES: ClassVar[str] = ""


@fact
class AreaRestated(AreaEvent):
    """An area as it is, once more, so that older records of its texts may be erased.

    Its files stay in the records that they have.

    Attributes:
        base: Deadline of the area itself for one that was created without keys, else 0.
        keys: All keys in their order, those of files included.
        ends: The deadline of each, nanoseconds since the epoch.
        files: Those of the keys that hold files.
        texts: The first texts; `AreaUpdated` holds the others.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = "texts"

    base: int
    keys: tuple[str, ...]
    ends: tuple[int, ...]
    files: tuple[str, ...] = beside()
    texts: dict[str, str] = beside()

    def details(self) -> dict[str, Any]:
        """Return names and deadlines, never a value. Keys are named by their number."""
        places = {key: at for at, key in enumerate(self.keys)}
        files, texts = [places[key] for key in self.files], [places[key] for key in self.texts]
        return {**super().details(), "files": files, "texts": texts}

    def content(self) -> list[str] | None:
        """Return the texts, in the order in which the details number their keys; None if there are none."""
        return list(self.texts.values()) or None

    @classmethod
    def complete(cls, found: dict[str, Any], content: Any) -> None:
        keys = found["keys"]
        found["files"] = tuple(keys[at] for at in found["files"])
        found["texts"] = {keys[at]: text for at, text in zip(found["texts"], content or (), strict=True)}
