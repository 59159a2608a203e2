"""The events of legal holds. The codes are in `engine/wire.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.fields import detail
from retain.engine.core.role import Data, Locator, OnHold
from retain.engine.holds.target import Hold, HoldKind, HoldTarget, subject_of
from retain.journal import Verb

HOLD = "hold"
"""The first word of a hold's locator; its number follows."""


def _write_target(target: HoldTarget) -> dict[str, Any]:
    return {"kind": str(target.kind), "target": target.resource, "names": target.named()}


def _read_target(details: dict[str, Any]) -> HoldTarget:
    kind, resource, names = (details.pop(key) for key in ("kind", "target", "names"))
    return HoldTarget(HoldKind(kind), resource, tuple(names.values()))


@fact
class HoldEvent(Event):
    """An event of a hold; `resource` is the hold's own number, not that of its target.

    Attributes:
        target: The held target.

    """

    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    DATA: ClassVar[Data] = Data.NONE

    target: HoldTarget = detail(_read_target, _write_target, spread=True)

    def locator(self) -> Locator:
        """Return the locator of the hold."""
        return (HOLD, self.resource)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return the name of what is held, or words with its number."""
        return subject_of(HoldKind(details["kind"]), details["target"], details["names"])


@fact
class HoldSet(HoldEvent):
    """A hold was set, or recorded again.

    Attributes:
        reason: The operator's reason.
        setter: The actor who set it; restating does not change that.
        time: When, nanoseconds since the epoch.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""

    reason: str
    setter: str
    time: int

    def hold(self) -> Hold:
        """Return what live state keeps of the hold."""
        return Hold(self.resource, self.target, self.reason, self.setter, self.time)


@fact
class HoldLifted(HoldEvent):
    """A hold was lifted: what fell due meanwhile ends now."""

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
