"""Commands: intents that carry all the random bytes and policies they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from retain.engine.core.event import Event

Result = TypeVar("Result")

KEEPER = "retain"
"""The actor in the audit log for what the server does by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[Result]):
    """Base of all commands. The type parameter is the type of the result of `Engine.submit`.

    `FREES_SPACE` marks commands that must work when the disk is full: deletes, expiries, revocations.

    Attributes:
        actor: The author of the command, recorded in the events' details.

    """

    FREES_SPACE: ClassVar[bool] = False

    actor: str


@dataclass(frozen=True, slots=True)
class Decision(Generic[Result]):
    """The result of a `decide` function: the events to record, in order, and the caller's result.

    All events of one decision fit in one frame: after a crash either all of them happened or none.
    """

    events: tuple[Event, ...]
    result: Result
