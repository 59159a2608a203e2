"""The events of the journal's history: restored, repaired, erasure ordered, clock accepted.

The codes are in `engine/wire.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.engine.core.time import timestamp
from retain.journal import Verb
from retain.journal.mended import Mended

LOSS_ACCEPTED = "loss accepted"
"""The `change` of an event that records lost content; the journal itself is unchanged."""
HISTORY = "history"
"""The first word of the locator; the number of the change follows."""


@fact
class HistoryChanged(Event):
    """The journal was restored or repaired; `resource` is the random number of this one change.

    Attributes:
        change: `restored` or `repaired`.
        time: When, nanoseconds since the epoch.
        kept: The last record that was kept: that of the backup, or the last one before the damage.
        root: The tree's root there.
        lost: The last record known to have been lost; `kept` if none is.
        source: Which backup: when it was taken and of which record; empty for a repair.
        losses: The lost data, in words, at most `MOST_LOSSES`.
        revision: Revisions of documents continue from here.
        modified: The earliest date of later writes of blobs, nanoseconds since the epoch.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE

    change: str
    time: int
    kept: int
    root: bytes
    lost: int
    source: str
    losses: tuple[str, ...]
    revision: int
    modified: int

    def locator(self) -> Locator:
        """Return the locator of the change."""
        return (HISTORY, self.resource)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return the change, and the records it affected."""
        if details["change"] == LOSS_ACCEPTED:
            return f"{LOSS_ACCEPTED}: {len(details['losses'])} bodies"
        return f"{details['change']} to record {details['kept']}"


@fact
class ErasureOrdered(Event):
    """An operator ordered an erasure; `resource` is the random number of the order.

    The journal's own records of what was erased follow it, with the cause `erasure-request`.

    Attributes:
        ordered_by: Who ordered it, in the operator's words, if that is not the actor; else empty.
        things: How many resources it covers; 0 if it covers all that is due.
        held: How many of these a legal hold keeps.
        numbers: Their resources' numbers, joined.
        at_once: Whether it was to be carried out at once.
        names: Whether names and actors in their records were to be erased as well.
    """

    VERB: ClassVar[Verb] = Verb.DELETE
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    ordered_by: str
    things: int
    held: int
    numbers: bytes
    at_once: bool
    names: bool

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return how much the order covers."""
        return f"erasure of {details['things'] or 'all that is due'}"


@fact
class ClockAccepted(Event):
    """An operator accepted the machine's clock as correct; `resource` is the random number of this action.

    Times in nanoseconds since the epoch.

    Attributes:
        clock: The time of the machine's clock.
        present: The time of the server until then.
        vouched: The time up to which it would have destroyed data.

    """

    VERB: ClassVar[Verb] = Verb.PUT
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.ENGINE
    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    clock: int
    present: int
    vouched: int

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return which time was accepted, and which one it replaced."""
        clock, present, vouched = details["clock"], details["present"], details["vouched"]
        before = f"before: {timestamp(present)}"
        doubted = f", confirmed until then: {timestamp(vouched)}" if vouched < present else ""
        return f"clock accepted: {timestamp(clock)}, {before}{doubted}"


def describe_change(change: HistoryChanged | Mended) -> str:
    """Return the change in one sentence without its full stop, for an auditor."""
    if change.change == LOSS_ACCEPTED:
        return f"the loss of content was accepted: {'; '.join(change.losses)}"
    source = f" from {change.source}" if change.source else ""
    kept, lost = change.kept, change.lost
    gone = f", records {kept + 1} to {lost} of the history before are gone" if lost > kept else ""
    return f"the journal was {change.change}{source}; records up to {kept} were kept{gone}"
