"""What happened to holds. Codes stand in ``engine/wire.py``."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from engine.event import Cause, Event, Surface, fact
from engine.holds.target import Hold, Kind, Target, subject_of
from engine.records import Locator
from journal import Verb

HOLD = "hold"
"""The first word of a hold's locator; its number follows."""


@fact
class HoldEvent(Event):
    """Something about a hold; ``resource`` is the hold's own number, not that of what it keeps.

    Attributes:
        target: What is held.
    """

    SURFACE: ClassVar[Surface] = Surface.ENGINE

    target: Target

    def locator(self) -> Locator:
        """Names the hold."""
        return (HOLD, self.resource)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """The name of what is held, or its number."""
        return subject_of(Kind(details["kind"]), details["names"]) or details["target"].hex()

    def _about(self) -> dict[str, Any]:
        target = self.target
        return {"kind": str(target.kind), "target": target.resource, "names": target.named()}


def _target(details: dict[str, Any]) -> Target:
    return Target(Kind(details["kind"]), details["target"], tuple(details["names"].values()))


@fact
class HoldSet(HoldEvent):
    """A hold was set, or stands restated.

    Attributes:
        reason: Why, in the operator's words.
        setter: Who set it: restating does not change that.
        time: When, nanoseconds since the epoch.
    """

    VERB: ClassVar[Verb] = Verb.PUT

    reason: str
    setter: str
    time: int

    def hold(self) -> Hold:
        """What live state keeps of it."""
        return Hold(self.resource, self.target, self.reason, self.setter, self.time)

    def details(self) -> dict[str, Any]:
        return {**self._about(), "reason": self.reason, "setter": self.setter, "time": self.time}

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(
            resource=resource,
            actor=actor,
            cause=cause,
            target=_target(details),
            reason=details["reason"],
            setter=details["setter"],
            time=details["time"],
        )


@fact
class HoldLifted(HoldEvent):
    """A hold was lifted: what fell due meanwhile goes now."""

    VERB: ClassVar[Verb] = Verb.DELETE

    def details(self) -> dict[str, Any]:
        return self._about()

    @classmethod
    def restore(
        cls, *, resource: bytes, actor: str, cause: Cause, details: dict[str, Any], content: Any
    ) -> Self:
        return cls(resource=resource, actor=actor, cause=cause, target=_target(details))
