"""Bars for the coming days: the numbers of an SVG, which the template draws and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 300
HEIGHT: Final = 100
GAP: Final = 2
_STEPS: Final = (1, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """One day.

    Attributes:
        x: Its left edge.
        y: Its upper edge.
        height: Zero for a day without any.
        day: When it begins, nanoseconds since the epoch.
        count: How many.
    """

    x: float
    y: float
    height: float
    day: int
    count: int


def nice(most: int) -> int:
    """Return a round number that is at least `most`, for the line at the top."""
    scale = 1
    while scale * 10 < most:
        scale *= 10
    return next(step * scale for step in _STEPS if step * scale >= most)


def bars(counts: Sequence[int], first: int, step: int) -> tuple[int, list[Bar]]:
    """Return the number at the top, and a bar for each of `counts`; the first one's day begins at `first`."""
    top = nice(max(1, *counts))
    width = WIDTH / len(counts)
    heights = [HEIGHT * count / top for count in counts]
    return top, [
        Bar(
            x=round(index * width + GAP / 2, 2),
            y=round(HEIGHT - height, 2),
            height=round(max(height, 1.0), 2) if count else 0,
            day=first + index * step,
            count=count,
        )
        for index, (count, height) in enumerate(zip(counts, heights, strict=True))
    ]
