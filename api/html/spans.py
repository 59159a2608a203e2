"""Spans of time as people read them, the same on the pages and the command line."""

from __future__ import annotations

from typing import Final

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400
_UNITS: Final = (("s", 1, 2 * MINUTE), ("min", MINUTE, 2 * HOUR), ("h", HOUR, 2 * DAY))
"""Units, their seconds, and from which span on the next one is used."""


def span(seconds: float, space: str = "\u00a0") -> str:
    """Return a span to the nearest whole unit, of which there are at least two: 36 min, 26 h or 12 days.

    Half a unit counts as one: 29.5 days are 30 days, and what was set to 30 days reads so all day.

    Args:
        seconds: The span; a negative one is 0 s.
        space: What stands before the unit.
    """
    for unit, length, end in _UNITS:
        rounded = int(max(0.0, seconds) / length + 0.5)
        if rounded * length < end:
            return f"{rounded}{space}{unit}"
    return f"{int(seconds / DAY + 0.5):,}{space}days"
