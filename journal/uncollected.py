"""Switch Python's garbage collector off during work that it would only slow down."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[bool]:
    """Keep the garbage collector off while the block runs; yield whether it was on.

    For work that creates little but long-lived objects, or something large that is soon freed: walking those
    again and again would take a third of the time, or more.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield collecting
    finally:
        if collecting:
            gc.enable()
