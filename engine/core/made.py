"""Which records a request made, for logs that lead from a request to the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from itertools import pairwise
from typing import Final

MADE: Final[ContextVar[list[int] | None]] = ContextVar("retain_made", default=None)
"""Where the numbers of records that commands make are added to; None: nobody asks."""


def note(records: Iterable[int]) -> None:
    """Add the numbers of records that a command made, if somebody asks."""
    made = MADE.get()
    if made is not None:
        made.extend(records)


def ranges(records: Iterable[int]) -> str:
    """Return numbers as text, such as `7-9, 12`."""
    numbers = sorted(set(records))
    if not numbers:
        return ""
    breaks = [
        0,
        *(at for at, (one, other) in enumerate(pairwise(numbers), 1) if other != one + 1),
        len(numbers),
    ]
    parts = [(numbers[first], numbers[last - 1]) for first, last in pairwise(breaks)]
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in parts)
