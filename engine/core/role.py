"""What the record of an event means to the other records of its resource."""

from enum import IntEnum
from typing import Any

Locator = tuple[Any, ...]
"""Where a slice finds an entry: the name of a kind of entry, then what names it. Texts, numbers, None."""


class Standing(IntEnum):
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
