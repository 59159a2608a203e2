"""Messages between leader and followers, besides commands and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retain.engine.core.clock import ClockState
from retain.engine.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Hello:
    """A follower's first message, answered with a `Welcome`.

    Attributes:
        process: Its process number.
        digest: The codec's digest: both sides must run the same release.

    """

    process: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Submit:
    """A command to be decided, from a follower. Answered with `Decided`, or refused.

    Attributes:
        command: The command, with its actor.

    """

    command: Any


@dataclass(frozen=True, slots=True)
class Decided:
    """The outcome of a command.

    Attributes:
        seq: A durable record at or after all that the command recorded: apply up to it before answering.
        result: The command's result.
        refusal: The error that was raised instead; None if it succeeded.
        records: The numbers of the records that it wrote.

    """

    seq: int
    result: Any
    refusal: Any = None
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Durable:
    """Records became durable; followers with watchers apply them.

    Attributes:
        seq: The last of them.

    """

    seq: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Answered once the follower has applied a record, and its memory contains no data that it erased.

    Attributes:
        seq: The record.

    """

    seq: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The leader's statistics, sent periodically.

    Attributes:
        statistics: These.

    """

    statistics: Statistics


KINDS: tuple[type[Any], ...] = (Hello, Submit, Decided, Durable, Settle, Facts, Statistics, ClockState)
"""The classes that a codec needs besides the commands."""

Message = Any
"""One of these, or of any other class that both sides registered."""
