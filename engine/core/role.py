"""What the record of an event means to others: to the records of its resource, to legal holds, to persons."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

Locator = tuple[Any, ...]
"""Where a slice finds an entry: the name of a kind of entry, then what names it. Texts, numbers, None."""


class RecordRole(IntEnum):
    """What an event's record means to the others of its resource."""

    WHOLE = 1
    """It states the resource whole: those before are not needed any more."""
    PART = 2
    """It changes the resource: those before are needed as well."""
    END = 3
    """It ends the resource: neither those before nor itself are needed."""
    NONE = 4
    """Live state does not stand on it; to the others it changes nothing but what the slice says."""
    APART = 5
    """It holds a thing of its own; the slice says when it is left behind."""


class OnHold(IntEnum):
    """What an event does that a legal hold may forbid."""

    HARMLESS = 0
    """It ends and overwrites nothing, or what it replaces stays in the journal as long as it is held."""
    RESOURCE = 1
    """It ends or overwrites its own resource or a part of it."""
    BLOB = 2
    """It ends or overwrites the blob of its name, which a hold on its container or tenant keeps as well."""
    CONTAINER = 3
    """It ends a container with all that is in it."""
    REST = 4
    """It lets go of what is left of a container that ended before. No hold forbids that; but like one of
    `CONTAINER` it ends resources that have records of their own."""


class Data(StrEnum):
    """What kind of a person's data an event is about, which is searched, exported and erased on request."""

    NONE = ""
    AREA = "area"
    DOCUMENT = "document"
    BLOB = "blob"
