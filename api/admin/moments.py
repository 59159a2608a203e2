"""Initiation and expiration dates in a time zone, as the Genesys page asks for them, as instants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from retain.api.admin.zones import COMMON
from retain.engine import Invalid
from retain.engine.core.time import SECOND, iso

LATEST_S: Final = int(datetime(2500, 1, 1, tzinfo=UTC).timestamp())
"""A record's nanoseconds in 64 bits cover a shorter range than dates."""
_LABEL = re.compile(
    r"(?P<utc>(?:\(\s*)?(?:UTC|GMT|Z)(?![A-Za-z/]))?\s*\(?\s*"
    r"(?:(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?)?\s*\)?(?P<name>.*)",
    re.IGNORECASE,
)
"""An offset, in brackets or not, and a name; one of them may be missing."""
_PLACES = re.compile(r"\s*\([^()]*\)$")
"""Additions to a name on some screens, such as (US & Canada)."""
_YEAR: Final = 2026
"""The year whose offsets a label is compared with."""
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+){0,2}")


def zone_of(text: str) -> tzinfo:
    """Return the time zone that a text names, in any of the ways in which screens show one.

    These are names of the tz database (`America/Los_Angeles`), of Windows (`Pacific Standard Time`) and of
    the console's list (`Pacific Time`), and offsets (`UTC-08:00`, `UTC-8`, `UTC(-08:00)`). A name after an
    offset counts, its daylight saving included; the offset must be the zone's in winter or summer.

    Raises:
        Invalid: `timezone`.

    """
    found = _LABEL.fullmatch(text.strip())
    offset = None if found is None else _offset(found)
    if found is None or text.count("(") != text.count(")"):
        raise _unknown(text)
    if found["hours"] is not None and (offset is None or found["utc"] is found["minutes"] is None):
        raise _unknown(text)
    name = found["name"].strip()
    if not name:
        if found["utc"] is None and offset is None:
            raise _unknown(text)
        return UTC if offset is None else timezone(offset)
    zone = _named(name)
    if zone is None or (found["utc"] is not None and offset is None):
        raise _unknown(text)
    if offset is not None and offset not in _offsets_of(zone):
        raise Invalid(f"the time zone {name} does not have the offset in {text!r}", reason="timezone")
    return zone


def _unknown(text: str) -> Invalid:
    return Invalid(
        f"{text!r} is not a time zone; give a name such as Europe/Berlin or Pacific Standard Time, UTC, "
        "or an offset such as UTC-08:00",
        reason="timezone",
    )


def _offset(found: re.Match[str]) -> timedelta | None:
    if found["hours"] is None:
        return None
    minutes = int(found["hours"]) * 60 + int(found["minutes"] or 0)
    if int(found["minutes"] or 0) > 59 or minutes >= 24 * 60:
        return None
    return timedelta(minutes=minutes if found["sign"] == "+" else -minutes)


def _named(name: str) -> tzinfo | None:
    from tzlocal.windows_tz import win_tz  # only where a name needs it

    name = _PLACES.sub("", name).strip()
    labels = {label.casefold(): key for key, label in COMMON.items()}
    windows = {label.casefold(): key for label, key in win_tz.items()}
    key = labels.get(name.casefold()) or windows.get(name.casefold()) or name
    if not _ZONE_NAME.fullmatch(key):
        return None
    try:
        return ZoneInfo(key)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return None


def _offsets_of(zone: tzinfo) -> set[timedelta | None]:
    """Return the offsets in midwinter and midsummer: where clocks change, labels show either."""
    return {datetime(_YEAR, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)}


def instant(text: str, zone: tzinfo) -> int:
    """Return an ISO 8601 date (its first instant) or date and time in nanoseconds since the epoch.

    A time with an offset uses that; any other is in `zone`. Of a time that occurs twice when clocks are set
    back, the first is meant.

    Raises:
        Invalid: `date`.
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
        raise Invalid("a date must be like 2022-05-08 or 2022-05-08T12:00", reason="date") from None
    if not 0 <= seconds <= LATEST_S:
        raise Invalid("a date must be between 1970 and 2500", reason="date")
    return seconds * SECOND


def written(nanoseconds: int) -> str:
    """Return an instant as ISO 8601 in UTC, to the second."""
    return iso(nanoseconds)
