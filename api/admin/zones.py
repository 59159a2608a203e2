"""The time zones that a form offers: all of the tz database, with familiar labels."""

from __future__ import annotations

import zoneinfo
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

Zone = tuple[str, str]
"""A zone's name in the tz database, and how it is labelled."""
Groups = Sequence[tuple[str, Sequence[Zone]]]

COMMON: Final[Mapping[str, str]] = {
    "Pacific/Honolulu": "Hawaii",
    "America/Anchorage": "Alaska",
    "America/Los_Angeles": "Pacific Time",
    "America/Denver": "Mountain Time",
    "America/Phoenix": "Arizona",
    "America/Chicago": "Central Time",
    "America/Mexico_City": "Mexico City",
    "America/New_York": "Eastern Time",
    "America/Bogota": "Bogota, Lima, Quito",
    "America/Halifax": "Atlantic Time",
    "America/Santiago": "Santiago",
    "America/St_Johns": "Newfoundland",
    "America/Sao_Paulo": "Brasilia",
    "America/Argentina/Buenos_Aires": "Buenos Aires",
    "Atlantic/Azores": "Azores",
    "UTC": "Coordinated Universal Time",
    "Europe/London": "London, Dublin, Lisbon",
    "Europe/Berlin": "Amsterdam, Berlin, Paris, Rome, Vienna",
    "Europe/Warsaw": "Prague, Warsaw, Budapest",
    "Africa/Lagos": "West Central Africa",
    "Europe/Athens": "Athens, Helsinki, Kyiv",
    "Africa/Johannesburg": "Johannesburg, Harare",
    "Asia/Jerusalem": "Jerusalem",
    "Europe/Istanbul": "Istanbul",
    "Europe/Moscow": "Moscow",
    "Africa/Nairobi": "Nairobi",
    "Asia/Dubai": "Abu Dhabi, Dubai",
    "Asia/Karachi": "Karachi, Islamabad",
    "Asia/Kolkata": "India",
    "Asia/Dhaka": "Dhaka",
    "Asia/Bangkok": "Bangkok, Hanoi, Jakarta",
    "Asia/Shanghai": "Beijing, Shanghai",
    "Asia/Singapore": "Singapore, Kuala Lumpur",
    "Australia/Perth": "Perth",
    "Asia/Tokyo": "Tokyo, Osaka",
    "Asia/Seoul": "Seoul",
    "Australia/Brisbane": "Brisbane",
    "Australia/Sydney": "Sydney, Melbourne, Canberra",
    "Pacific/Auckland": "Auckland, Wellington",
}
"""The zones that most people look for, with their usual labels."""
REGIONS: Final = (
    "America", "Europe", "Asia", "Africa", "Australia",
    "Pacific", "Atlantic", "Indian", "Antarctica", "Arctic",
)  # fmt: skip
_NO_PLACE: Final = frozenset(("localtime", "Factory", "posixrules"))


def label_of(name: str, year: int) -> str:
    """Return the label of one zone, such as UTC(-08:00) Pacific Time.

    The offset is the one outside summer time, as such lists have it.
    """
    return f"UTC({_written(_offset(name, year))}) {COMMON.get(name) or _place(name)}"


@lru_cache(maxsize=2)
def zone_groups(year: int) -> Groups:
    """Return all zones in groups, each from west to east; blocking when it is first asked for."""
    offsets = {name: _offset(name, year) for name in sorted(zoneinfo.available_timezones() - _NO_PLACE)}
    groups: dict[str, list[str]] = defaultdict(list)
    for name in offsets:
        region = name.partition("/")[0]
        groups[region if region in REGIONS else "Other names"].append(name)

    def group(names: Sequence[str], *, common: bool) -> list[Zone]:
        named = [(offsets[name], COMMON[name] if common else _place(name), name) for name in names]
        return [(name, f"UTC({_written(offset)}) {place}") for offset, place, name in sorted(named)]

    found = [("Most looked for", group([name for name in COMMON if name in offsets], common=True))]
    return found + [(name, group(groups[name], common=False)) for name in (*REGIONS, "Other names")]


def _offset(name: str, year: int) -> timedelta:
    zone = zoneinfo.ZoneInfo(name)
    both = [datetime(year, month, 1, 12, tzinfo=zone).utcoffset() for month in (1, 7)]
    return min(offset for offset in both if offset is not None)


def _written(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _place(name: str) -> str:
    """Return the city, with its state where there are several; of names without a place, all of it."""
    region, _, rest = name.partition("/")
    if region not in REGIONS or not rest:
        return name
    return ", ".join(reversed(rest.replace("_", " ").split("/")))
