"""Legal holds: what is held is not erased, does not expire, and cannot be deleted or overwritten.

This ends when every hold on it is lifted. An embedding program submits `SetHold` and `LiftHold`; the eraser
calls `HoldsSlice.held`. Knows areas, settings and blobs, and is imported by none of them.
"""

from __future__ import annotations

from retain.engine.holds.commands import LiftHold, RestateHold, SetHold
from retain.engine.holds.slice import HoldsSlice
from retain.engine.holds.target import NAMES, Hold, HoldKind, HoldTarget

__all__ = ["NAMES", "Hold", "HoldKind", "HoldTarget", "HoldsSlice", "LiftHold", "RestateHold", "SetHold"]
