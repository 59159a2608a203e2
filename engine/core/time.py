"""The engine's time: nanoseconds since 1970-01-01T00:00:00Z, and its text form. Reads no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000_000
"""Nanoseconds of a second."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(time: int, digits: int = 0) -> str:
    """Return an instant as RFC 3339 in UTC, cut to `digits` digits of a second.

    After the year 9999 it is a number of nanoseconds.
    """
    seconds, rest = divmod(time, SECOND)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{time} ns"
    fraction = f".{rest // 10 ** (9 - digits):0{digits}}" if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def timestamp(time: int) -> str:
    """Return an instant as the commands and the audit log write it: to the microsecond."""
    return iso(time, 6)
