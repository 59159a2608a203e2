"""Keeps Python's garbage collector away from work that it would only slow down."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[bool]:
    """For what makes hardly anything but live objects, or something large that is soon gone: to be walked
    again and again would cost a third of the time, or more. Gives whether there is a collector to keep away.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield collecting
    finally:
        if collecting:
            gc.enable()
