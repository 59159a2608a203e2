"""What a command is: an intent, with everything random and every policy it needs carried in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from retain.engine.core.event import Event

Result = TypeVar("Result")

KEEPER = "retain"
"""The actor of what the server does by itself, in the audit log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[Result]):
    """Base of all intents. The type parameter is what ``engine.submit`` answers.

    ``FREES_SPACE`` marks commands that must work when the disk is full: deletes, expiries, revocations.

    Attributes:
        actor: Who asks, as it will stand in the events' details.
    """

    FREES_SPACE: ClassVar[bool] = False

    actor: str


@dataclass(frozen=True, slots=True)
class Decision(Generic[Result]):
    """What a ``decide`` function answers: the events that make it so, in order, and the caller's result.

    All events of one decision are one frame's worth: after a crash either all of them happened or none.
    """

    events: tuple[Event, ...]
    result: Result
