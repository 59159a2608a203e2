"""Legal holds: what is held is neither erased nor ended by its deadline, and no client deletes or overwrites
it, until every hold on it is lifted.

An embedding program submits `SetHold` and `LiftHold`; the eraser asks `HoldsSlice.held`. Knows areas,
settings and blobs, and is imported by none of them.
"""

from __future__ import annotations

from retain.engine.holds.commands import LiftHold, RestateHold, SetHold
from retain.engine.holds.slice import HoldsSlice
from retain.engine.holds.target import NAMES, Hold, HoldKind, HoldTarget

__all__ = ["NAMES", "Hold", "HoldKind", "HoldTarget", "HoldsSlice", "LiftHold", "RestateHold", "SetHold"]
