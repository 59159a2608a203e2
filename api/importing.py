"""Import many modules at once, on demand instead of at the start."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Suspend garbage collection around many imports: it would take a tenth of their time.

    The same as `retain.journal.uncollected`, which itself needs imports.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
