"""The records that a request wrote, so that logs lead from a request to the audit log."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from itertools import pairwise
from typing import Final

MADE: Final[ContextVar[list[int] | None]] = ContextVar("retain_made", default=None)
"""Collects the numbers of records that commands write; None: they are not collected."""


def note(records: Iterable[int]) -> None:
    """Add the numbers of records that a command wrote, if they are collected."""
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
