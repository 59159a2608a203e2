"""Limit the pauses that Python itself causes: the garbage collector, the interpreter's lock.

A full collection walks every container of the process. With a million entries in memory that takes a second,
and it happens in the middle of a request. The entries form no cycles, so the walk finds nothing: their memory
is freed by reference counting.

The rule here: once KEPT_UNFROZEN objects have survived full collections they are *frozen* (`gc.freeze`),
that is, never walked again. A full collection then walks those that are not frozen yet, and what was made
since the last one. The thresholds bound that number: a collection of the second generation promotes at most
GEN0 * (GEN1 + 1) objects, and after GEN2 + 1 of these a full one is due. (Python postpones it while fewer
objects are new than a quarter of those that survived the last; that number has the same bound.) Objects that
the cache holds cost 60 ns each, others several hundred. On a busy machine full collections of 85,000 objects
took 32 to 58 ms of processor time, those of 17,500, close to the bound now, 5 to 9.

Python counts allocations minus deallocations. So while both are equally many, nothing is collected, and the
bound does not hold for what was allocated when that ends. What is allocated in great numbers while other
objects are freed must therefore be invisible to the collector: bytes, numbers and texts
(`engine/core/generations.py`, `engine/core/snapshot_table.py`).

A computing thread, such as one that writes a snapshot, releases the lock only after SWITCH_S: a request
passes through several threads and waits that long each time. Python's own 5 ms made commits beside a snapshot
wait twice as long (p99 32 ms instead of 17).

The price of freezing: a cycle that is frozen and dies later is never freed. The long-lived objects that form
cycles are connections; they break their cycles themselves (`api.server.http1`). What lives for one request is
frozen only if it is in hand while KEPT_UNFROZEN others have come to stay: the loss grows with what the server
holds, not with the number of requests.
"""

from __future__ import annotations

import gc
import sys
from typing import Literal

GEN0 = 2_500
GEN1 = 1
GEN2 = 1

KEPT_UNFROZEN = 5_000

SWITCH_S = 0.0005
"""Seconds for which a computing thread may keep others waiting; Python's own is ten times that."""
_OWN_SWITCH_S = 0.005


def settle() -> None:
    """Freeze present objects and those that survive a full collection later; let threads switch often.

    Call it after all imports, and again after the state was loaded, before the first request. Present objects
    are not collected first: with a million entries that takes a second, and finds only the garbage of
    imports. They are frozen, and then a collection that meets nothing makes Python forget how many survived
    the last one. Without it, the first full collection would wait for a quarter as many new objects as that.
    """
    if _freeze_survivors not in gc.callbacks:
        gc.callbacks.append(_freeze_survivors)
    gc.set_threshold(GEN0, GEN1, GEN2)
    gc.freeze()
    gc.collect()
    sys.setswitchinterval(SWITCH_S)


def unsettle() -> None:
    """Undo `settle`. For tests, whose process continues without a server."""
    if _freeze_survivors in gc.callbacks:
        gc.callbacks.remove(_freeze_survivors)
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    sys.setswitchinterval(_OWN_SWITCH_S)


def _freeze_survivors(phase: Literal["start", "stop"], info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2 and len(gc.get_objects(2)) > KEPT_UNFROZEN:
        gc.freeze()
