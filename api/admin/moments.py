"""Initiation and expiration dates in a time zone, as the Genesys page asks for them, as instants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from retain.engine import Invalid

NANOSECONDS: Final = 1_000_000_000
LATEST_S: Final = int(datetime(2500, 1, 1, tzinfo=UTC).timestamp())
"""A record's nanoseconds in 64 bits do not reach as far as dates do."""
_OFFSET = re.compile(r"(?:UTC|GMT)?(\()?([+-])(\d{1,2}):?(\d{2})(?(1)\))")
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,2}")


def zone_of(text: str) -> tzinfo:
    """Return a time zone: an IANA name such as `America/Los_Angeles`, `UTC`, or an offset such as
    `UTC-08:00`, also as the Genesys page shows it, `UTC(-08:00)`.

    Raises:
        Invalid: ``timezone``.
    """
    if text in ("UTC", "GMT", "Z"):
        return UTC
    if (offset := _OFFSET.fullmatch(text)) is not None:
        minutes = int(offset[3]) * 60 + int(offset[4])
        if minutes < 24 * 60 and int(offset[4]) < 60:
            return timezone(timedelta(minutes=minutes if offset[2] == "+" else -minutes))
    elif _ZONE_NAME.fullmatch(text):
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, OSError, ValueError):
            pass  # refused below, like all other unknown names
    raise Invalid(
        "the time zone must be a name such as Europe/Berlin, UTC, or an offset such as UTC-08:00",
        reason="timezone",
    )


def instant(text: str, zone: tzinfo) -> int:
    """Nanoseconds since the epoch of an ISO 8601 date (its first instant) or date and time.

    A time that says its own offset means that; else it is ``zone``'s. Of a time that occurs twice when clocks
    are set back, the first is meant.

    Raises:
        Invalid: ``date``.
    """
    try:
        if len(text) == len("2022-05-08"):
            moment = datetime.combine(date.fromisoformat(text), time(), tzinfo=zone)
        else:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise Invalid("dates are written 2022-05-08 or 2022-05-08T12:00", reason="date") from None
    if not 0 <= seconds <= LATEST_S:
        raise Invalid("dates lie between 1970 and 2500", reason="date")
    return seconds * NANOSECONDS


def written(nanoseconds: int) -> str:
    """An instant as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(nanoseconds // NANOSECONDS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
