"""Spans of time: rounded as people expect, at every boundary between two numbers and two units."""

from __future__ import annotations

import pytest

from retain.api.html.spans import DAY, HOUR, MINUTE, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.49, "0 s"),
        (0.5, "1 s"),
        (119.49, "119 s"),
        (119.5, "2 min"),
        (2.5 * MINUTE - 1, "2 min"),
        (2.5 * MINUTE, "3 min"),
        (119.5 * MINUTE - 1, "119 min"),
        (119.5 * MINUTE, "2 h"),
        (26 * HOUR, "26 h"),
        (47.5 * HOUR - 1, "47 h"),
        (47.5 * HOUR, "2 days"),
        (2.5 * DAY - 1, "2 days"),
        (29.5 * DAY - 1, "29 days"),
        (29.5 * DAY, "30 days"),
        (30 * DAY - 1, "30 days"),
        (30 * DAY, "30 days"),
        (30.5 * DAY - 1, "30 days"),
        (36_500 * DAY, "36,500 days"),
    ],
)
def test_a_span_is_rounded_to_the_nearest_unit(seconds: float, text: str) -> None:
    assert span(seconds, " ") == text
    assert span(seconds).replace("\u00a0", " ") == text


def test_a_longer_span_never_reads_as_a_shorter_one() -> None:
    lengths = {"s": 1, "min": MINUTE, "h": HOUR, "days": DAY}
    seen = [span(seconds, " ").split() for seconds in range(0, 4 * DAY, 17)]
    read = [int(number) * lengths[unit] for number, unit in seen]
    assert read == sorted(read)
