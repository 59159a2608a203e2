"""The three ways Azure writes an instant, to and from integer nanoseconds since the Unix epoch.

RFC 1123 dates in headers and listings (RFC 9110, section 5.6.7, IMF-fixdate), ISO 8601 with seven fractional
digits in XML, and the four shapes a SAS may use (docs/wire/blobs.md, section 2). Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from retain.engine.core.time import SECOND, iso

_TICK: Final = 100
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SAS_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d))?",
    re.ASCII,
)
_LONG_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# RFC 9110, section 5.6.7: the form to write, then the two that are obsolete and still to be read.
_HTTP_DATES: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:{'|'.join(_DAYS)}), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"(?:{'|'.join(_LONG_DAYS)}), (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_PIVOT: Final = 70
"""Years of two digits from here on are of the last century, as POSIX has it."""


def parse_sas_time(text: str) -> int:
    """Read the time of a SAS or of a stored access policy.

    Accepts a date, minutes, seconds, or up to seven fractional digits (docs/wire/blobs.md, section 2); a zone
    is mandatory as soon as there is a time of day. Returns nanoseconds. Raises ValueError for anything else.
    """
    match = _SAS_TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time that a shared access signature may carry")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY
    if hour is None:
        return days * 86_400 * SECOND
    seconds = _seconds_of_day(int(hour), int(minute), int(second or 0))
    seconds -= _zone_offset(zone)
    ticks = int((fraction or "").ljust(7, "0"))
    return (days * 86_400 + seconds) * SECOND + ticks * _TICK


def parse_http_date(text: str) -> int | None:
    """Read an HTTP date in any of its three forms (IMF-fixdate, RFC 850, asctime).

    Return whole seconds since the epoch, or None if it is anything else.
    """
    match = next((found for form in _HTTP_DATES if (found := form.fullmatch(text))), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        year += 1900 if year >= _PIVOT else 2000
    try:
        days = date(year, _MONTHS.index(match["month"]) + 1, int(match["day"])).toordinal() - _EPOCH_DAY
        return days * 86_400 + _seconds_of_day(int(match["hour"]), int(match["minute"]), int(match["second"]))
    except ValueError:
        return None


def http_date(time: int) -> str:
    """Return the IMF-fixdate of an instant in nanoseconds, cut to seconds.

    For example `Fri, 21 May 2021 06:21:34 GMT`.
    """
    return _http_date_of_second(time // SECOND)


@lru_cache(maxsize=4096)
def _http_date_of_second(seconds: int) -> str:
    moment = _EPOCH + timedelta(seconds=seconds)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04}"
        f" {moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )


def iso_date(time: int) -> str:
    """Return an instant in nanoseconds with the seven fractional digits of Azure: `…T22:00:00.0000000Z`."""
    return iso(time, 7)


def iso_seconds(time: int) -> str:
    """Return an instant in nanoseconds as SDKs write it into tokens: `2021-05-28T22:00:00Z`.

    Cut to whole seconds.
    """
    return iso(time)


def _seconds_of_day(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    return hour * 3600 + minute * 60 + second


def _zone_offset(zone: str) -> int:
    """Return seconds east of Greenwich."""
    if zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError("no such time zone")
    offset = hours * 3600 + minutes * 60
    return -offset if zone[0] == "-" else offset
