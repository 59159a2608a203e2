"""Legal holds: held data is not erased, does not expire, and cannot be deleted or overwritten.

It is released when every hold on it is lifted. An embedding program submits `SetHold` and `LiftHold`; the
eraser calls `HoldsSlice.held`. This package imports areas, settings and blobs; none of them imports it.
"""

from __future__ import annotations

from retain.engine.holds.commands import LiftHold, RestateHold, SetHold
from retain.engine.holds.slice import HoldsSlice
from retain.engine.holds.target import NAMES, Hold, HoldKind, HoldTarget

__all__ = ["NAMES", "Hold", "HoldKind", "HoldTarget", "HoldsSlice", "LiftHold", "RestateHold", "SetHold"]
