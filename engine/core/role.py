"""The role of an event's record: for other records of its resource, for legal holds, and for persons."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

Locator = tuple[Any, ...]
"""The key of an entry in its slice: the name of a kind of entry, then its name. Strings, numbers and None."""


class RecordRole(IntEnum):
    """The role of an event's record among the records of its resource."""

    WHOLE = 1
    """It contains the whole resource: earlier records are no longer needed."""
    PART = 2
    """It changes the resource: earlier records are still needed."""
    END = 3
    """It ends the resource: neither earlier records nor this one are needed."""
    NONE = 4
    """Not referenced by live state; affects other records only as the slice reports."""
    APART = 5
    """It has content of its own; the slice reports when it becomes garbage."""


class OnHold(IntEnum):
    """The effect of an event that a legal hold may forbid."""

    HARMLESS = 0
    """It ends and overwrites nothing, or the journal retains what it replaces for as long as the hold lasts.
    """
    RESOURCE = 1
    """It ends or overwrites its own resource or a part of it."""
    BLOB = 2
    """It ends or overwrites the blob of its name, which a hold on its container or tenant protects as well.
    """
    CONTAINER = 3
    """It ends a container with everything in it."""
    REST = 4
    """It removes the rest of a container that ended before. No hold forbids that; but like an event of
    `CONTAINER`, it ends resources with separate records.
    """


class Data(StrEnum):
    """The kind of personal data an event is about, which is searched, exported and erased on request."""

    NONE = ""
    AREA = "area"
    DOCUMENT = "document"
    BLOB = "blob"
