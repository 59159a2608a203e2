"""Reading areas: pure functions over the state.

A key whose deadline is at or before `now` does not exist, whether or not it was swept (docs/wire/areas.md,
section 5).
"""

from __future__ import annotations

from retain.engine.areas.state import Area, AreaFile, AreasState, Value, key_ends, last_end, record_key
from retain.engine.core.errors import NotFound

__all__ = ["AreaFile", "Value", "find", "listing", "value"]


def find(
    state: AreasState, name: str, user: str | None, now: int, *, custom: bool = False
) -> tuple[str, Area]:
    """Return the record key and the area of an id (docs/wire/areas.md, section 3).

    The user's own area of that name comes first, then the plain one.

    Args:
        state: The areas.
        name: The id from the client.
        user: The customer the client claims to act for, None if it named none.
        now: Nanoseconds since the epoch.
        custom: Only a custom id will do.

    Raises:
        NotFound: Unknown, expired, or another customer's: the caller cannot tell which.
    """
    if user is not None:
        key = record_key(name, user)
        area = state.areas.get(key)
        if area is not None and last_end(area) > now:
            return key, area
    # A record key of a custom area begins with NUL, so no id may name it directly.
    if not custom and not name.startswith("\0"):
        area = state.areas.get(name)
        if area is not None and last_end(area) > now:
            return name, area
    raise NotFound("the storage area does not exist or has expired", reason="area")


def listing(
    state: AreasState, name: str, user: str | None, now: int, *, custom: bool = False
) -> list[tuple[str, Value]]:
    """Return all living keys of an area with their values.

    Raises:
        NotFound: See `find`.
    """
    _, area = find(state, name, user, now, custom=custom)
    _, _, names, values, ends = area
    if isinstance(ends, int):
        return list(zip(names, values, strict=True)) if ends > now else []
    return [row[:2] for row in zip(names, values, ends, strict=True) if row[2] > now]


def value(
    state: AreasState, name: str, user: str | None, key: str, now: int, *, custom: bool = False
) -> Value:
    """Return the value of one key.

    Raises:
        NotFound: No such area (see `find`), or no such living key in it.
    """
    _, area = find(state, name, user, now, custom=custom)
    for found, kept, end in zip(area[2], area[3], key_ends(area), strict=True):
        if found == key and end > now:
            return kept
    raise NotFound("the key does not exist in the storage area, or has expired", reason="key")
