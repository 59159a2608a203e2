"""Is a history of one register linearizable? For registers to which no value is written twice.

After Gibbons and Korach, "Testing Shared Memories" (SIAM Journal on Computing 26, 1997): each value's
operations span a zone, from the first end to the last begin among them. A zone is *forward* where the first
end comes before the last begin: the value surely stood there all that time. The history is linearizable if no
read ends before its value's write begins, no two forward zones overlap, and no backward zone lies in a
forward one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple


class Done(NamedTuple):
    """One operation: when it began and ended, whether it wrote, and the value.

    A write whose outcome is unknown ends at infinity.
    """

    begin: float
    end: float
    wrote: bool
    value: Any


def why_not(history: Iterable[Done], initial: Any = None) -> str | None:
    """Return why no order of the operations explains what was read; None if one does."""
    groups: dict[Any, list[Done]] = {initial: [Done(-math.inf, -math.inf, True, initial)]}
    for one in history:
        groups.setdefault(one.value, []).append(one)
    forward: list[tuple[float, float, Any]] = []
    backward: list[tuple[float, float, Any]] = []
    for value, group in groups.items():
        writes = [one for one in group if one.wrote]
        if not writes:
            return f"{value!r} was read and never written"
        assert len(writes) == 1, f"{value!r} was written twice: this checker cannot judge that"
        if len(group) == 1 and writes[0].end == math.inf:
            continue  # it may never have happened
        if any(one.end < writes[0].begin for one in group):
            return f"{value!r} was read before it was written"
        first_end, last_begin = min(one.end for one in group), max(one.begin for one in group)
        if first_end < last_begin:
            forward.append((first_end, last_begin, value))
        else:
            backward.append((last_begin, first_end, value))
    forward.sort(key=lambda zone: zone[:2])
    for (_, end, value), (begin, _, other) in pairwise(forward):
        if begin < end:
            return f"{value!r} and {other!r} stood at the same time"
    for low, high, value in backward:
        for begin, end, other in forward:
            if begin < low and high < end:
                return f"{value!r} was written while {other!r} stood before and after"
    return None
