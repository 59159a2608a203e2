"""The commands on areas. They carry all ids, random bytes and policies.

Refusals, by class and `reason`, beside the shared `StorageFull`, `StorageFailed` and `TooLarge(batch)`:

==================  ======================  =========================================================
class               reason                  when
==================  ======================  =========================================================
NotFound            area                    it is not there, or has ended
NotFound            key                     the area has no such key, or it has ended
Conflict            id                      CreateArea without a user: an area has this id
Invalid             id                      it is reserved, empty, or contains a NUL
Invalid             user                    it is empty, too long, or contains a NUL
Invalid             ttl                     it is below 1 or above `MAX_TTL`
Invalid             key                     it contains a NUL
Invalid             key-empty               it has no characters
Invalid             key-underscore          it begins with an underscore
TooLarge            id                      it is longer than a name may be
TooLarge            key                     it is longer than a name may be
TooLarge            keys                    the area has as many as the policy allows
TooLarge            texts                   the names and short values of the area take too much together
QuotaExceeded       areas                   the policy's number of areas is reached
QuotaExceeded       bytes                   the policy's number of bytes is reached
==================  ======================  =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from retain.engine.core.body import Body
from retain.engine.core.command import Command
from retain.engine.core.typed import Resource

Result = TypeVar("Result")

MAX_TTL = 630_720_000
"""Seconds, 20 years: where the original's store stops (docs/wire/areas.md, section 5)."""

LONG_TEXT_BYTES = 8 * 1024
"""Texts beyond this many UTF-8 bytes are stored as bodies, so that live state stays small."""

RESERVED_IDS = frozenset({"custom", "binary"})
"""Words of the path that no custom id may take (docs/wire/areas.md, section 2)."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file as received, or a text of more than `LONG_TEXT_BYTES`.

    Attributes:
        filename: The client's file name, without folders.
        media_type: Its Content-Type as sent; None for a long text, whose body is UTF-8.
        body: The bytes.

    """

    filename: str
    media_type: str | None
    body: Body


NewValue = str | NewFile


@dataclass(frozen=True, slots=True, kw_only=True)
class AreasPolicy:
    """The rules of the interface that its operator chooses (docs/wire/areas.md, section 11).

    The defaults restrict nothing.

    Attributes:
        whole_area: An update re-arms every key of the area, not only those it carries.
        upsert: An update with a user and an unknown id creates the area.
        max_keys: Most keys in an area.
        max_name_bytes: Most UTF-8 bytes of a key or a custom id.
        quota_bytes: Most bytes in all areas together, names and values; 0 for no bound.
        quota_areas_per_user: Most areas of one user; 0 for no bound.
    """

    whole_area: bool = False
    upsert: bool = True
    max_keys: int = 1000
    max_name_bytes: int = 255
    quota_bytes: int = 0
    quota_areas_per_user: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteArea(Command[Result], Generic[Result]):
    """Set the values of keys of an area.

    Attributes:
        name: See the subclasses.
        user: The customer of a custom id, or that the client claims to act for; None if there is none.
        resource: 16 random bytes that will name the area in the journal if it is new.
        values: Key to value.
        ttl: Seconds, 1 to `MAX_TTL`.
        policy: The rules.

    """

    name: str
    user: str | None = None
    resource: Resource
    values: Mapping[str, NewValue]
    ttl: int
    policy: AreasPolicy = field(default_factory=AreasPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateArea(WriteArea[str]):
    """Create an area. Result: its id. An existing custom id of the same user is overwritten.

    `name` is a fresh lower-case UUID for a plain area, else the custom id.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateArea(WriteArea[bool]):
    """Replace or add keys of an area. Result: whether the area had to be created.

    `name` is the id from the client.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteArea(Command[None]):
    """Delete an area with all its keys.

    Attributes:
        name: The id from the client.
        user: The customer the client claims to act for, None if it named none.
        custom: Only a custom id matches.

    """

    FREES_SPACE: ClassVar[bool] = True

    name: str
    user: str | None = None
    custom: bool = False
