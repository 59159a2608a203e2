"""What happens to areas: the facts, with their split into details (audit) and content (the data itself)."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from engine.body import Body, pack_body, unpack_body
from engine.event import Cause, Event, Surface, fact
from engine.records import Locator, Standing
from journal import Verb

AREA = "area"
"""The first word of an area's locator; the id and the customer follow."""


@fact
class AreaEvent(Event):
    """Base of the events of this domain.

    Attributes:
        name: The area's id: a generated UUID, or the custom id its customer chose.
        user: The customer (``gms_user``) a custom id belongs to; None for a plain area (spec section 3).
    """

    SURFACE: ClassVar[Surface] = Surface.AREAS

    name: str
    user: str | None

    def locator(self) -> Locator:
        """Names the area."""
        return (AREA, self.name, self.user)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """``id``, or ``customer/id`` for a custom one."""
        name, user = details["name"], details["user"]
        return str(name) if user is None else f"{user}/{name}"


@fact
class AreaCreated(AreaEvent):
    """An area began to exist.

    Attributes:
        until: Deadline of the keys written here, nanoseconds since the epoch.
        base: Deadline of the area itself for one that was created without keys, else 0.
        texts: Key to value, the short strings of the request.
    """

    VERB: ClassVar[Verb] = Verb.PUT

    until: int
    base: int
    texts: dict[str, str]

    def details(self) -> dict[str, Any]:
        """Names and deadlines; never a value."""
        return {
            "name": self.name,
            "user": self.user,
            "until": self.until,
            "base": self.base,
            "keys": list(self.texts),
        }

    def content(self) -> list[str] | None:
        """The values, in the order of the keys; None if there are none."""
        return list(self.texts.values()) if self.texts else None

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details` and :meth:`content`."""
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            name=details["name"],
            user=details["user"],
            until=details["until"],
            base=details["base"],
            texts=dict(zip(details["keys"], content or (), strict=True)),
        )


@fact
class AreaUpdated(AreaEvent):
    """Keys of an area were replaced or added (spec section 6).

    One with the cause ``RESTATED`` goes on where :class:`AreaRestated` ended, and leaves deadlines alone.

    Attributes:
        until: New deadline of the keys written here, nanoseconds since the epoch.
        base: New deadline of an area without keys; 0 leaves it as it is.
        whole: ``until`` is the new deadline of every key of the area (setting ``ttl_scope = "area"``).
        texts: Key to value, the short strings of the request.
    """

    VERB: ClassVar[Verb] = Verb.PATCH

    until: int
    base: int
    whole: bool
    texts: dict[str, str]

    def details(self) -> dict[str, Any]:
        """Names and deadlines; never a value."""
        return {
            "name": self.name,
            "user": self.user,
            "until": self.until,
            "base": self.base,
            "whole": self.whole,
            "keys": list(self.texts),
        }

    def content(self) -> list[str] | None:
        """The values, in the order of the keys; None if there are none."""
        return list(self.texts.values()) if self.texts else None

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details` and :meth:`content`."""
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            name=details["name"],
            user=details["user"],
            until=details["until"],
            base=details["base"],
            whole=details["whole"],
            texts=dict(zip(details["keys"], content or (), strict=True)),
        )


@fact
class FileStored(AreaEvent):
    """A file, or a text too long for memory, was stored under a key of an area.

    Each has a record of its own, so that its content can be read and erased by itself: the area knows which.

    Attributes:
        until: Deadline of the key, nanoseconds since the epoch.
        key: The key.
        filename: What the client called the file; empty if it gave no name.
        media_type: Its Content-Type as sent; None marks a text, kept as UTF-8.
        body: The bytes.
    """

    VERB: ClassVar[Verb] = Verb.PATCH
    STANDING: ClassVar[Standing] = Standing.APART

    until: int
    key: str
    filename: str
    media_type: str | None
    body: Body

    def details(self) -> dict[str, Any]:
        """Names, type, size and deadline."""
        return {
            "name": self.name,
            "user": self.user,
            "until": self.until,
            "key": self.key,
            "filename": self.filename,
            "type": self.media_type,
            "size": self.body.size,
        }

    def content(self) -> dict[str, Any]:
        """The bytes, or what names and opens the payload file."""
        return pack_body(self.body)

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details` and :meth:`content`."""
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            name=details["name"],
            user=details["user"],
            until=details["until"],
            key=details["key"],
            filename=details["filename"],
            media_type=details["type"],
            body=unpack_body(content),
        )


@fact
class KeysExpired(AreaEvent):
    """Some keys of an area reached their deadline; the area goes on.

    Attributes:
        keys: Which.
    """

    VERB: ClassVar[Verb] = Verb.DELETE
    STANDING: ClassVar[Standing] = Standing.NONE

    keys: tuple[str, ...]

    def details(self) -> dict[str, Any]:
        """Names."""
        return {"name": self.name, "user": self.user, "keys": list(self.keys)}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details`."""
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            name=details["name"],
            user=details["user"],
            keys=tuple(details["keys"]),
        )


@fact
class AreaDeleted(AreaEvent):
    """An area ended with all its keys: the cause tells whether on request or at its deadline."""

    VERB: ClassVar[Verb] = Verb.DELETE

    def details(self) -> dict[str, Any]:
        """Names."""
        return {"name": self.name, "user": self.user}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details`."""
        return cls(resource=resource, actor=actor, cause=cause, name=details["name"], user=details["user"])


@fact
class AreaRestated(AreaEvent):
    """An area as it is, once more, so that older records of its texts may be erased.

    Its files stay in the records that they have.

    Attributes:
        base: Deadline of the area itself for one that was created without keys, else 0.
        keys: All keys in their order, those of files included.
        ends: The deadline of each, nanoseconds since the epoch.
        files: Those of the keys that hold files.
        texts: The first texts; :class:`AreaUpdated` holds the others.
    """

    VERB: ClassVar[Verb] = Verb.PUT

    base: int
    keys: tuple[str, ...]
    ends: tuple[int, ...]
    files: tuple[str, ...]
    texts: dict[str, str]

    def details(self) -> dict[str, Any]:
        """Names and deadlines; never a value."""
        return {
            "name": self.name,
            "user": self.user,
            "base": self.base,
            "keys": list(self.keys),
            "ends": list(self.ends),
            "files": self._numbers(self.files),
            "texts": self._numbers(self.texts),
        }

    def _numbers(self, keys: Iterable[str]) -> list[int]:
        places = {key: at for at, key in enumerate(self.keys)}
        return [places[key] for key in keys]

    def content(self) -> list[str] | None:
        """The texts, in the order in which the details number their keys; None if there are none."""
        return list(self.texts.values()) if self.texts else None

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        """The inverse of :meth:`details` and :meth:`content`."""
        keys = tuple(details["keys"])
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            name=details["name"],
            user=details["user"],
            base=details["base"],
            keys=keys,
            ends=tuple(details["ends"]),
            files=tuple(keys[at] for at in details["files"]),
            texts={keys[at]: text for at, text in zip(details["texts"], content or (), strict=True)},
        )
