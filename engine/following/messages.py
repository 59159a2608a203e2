"""What leader and followers say to one another, beside commands and their results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retain.engine.core.clock import ClockState
from retain.engine.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Hello:
    """A follower's first word, to be answered with a `Welcome`.

    Attributes:
        process: Its process number.
        digest: Of the codec: the two must be of one release.

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
    """What came of a command.

    Attributes:
        seq: A durable record at or after all that the command recorded: apply up to it before answering.
        result: The command's result.
        refusal: The error that was raised instead; None if it was done.
        records: The numbers of the records that it made.

    """

    seq: int
    result: Any
    refusal: Any = None
    records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Durable:
    """Records became durable; followers that wait for changes look at them.

    Attributes:
        seq: The last of them.

    """

    seq: int


@dataclass(frozen=True, slots=True)
class Settle:
    """To be answered once the follower has applied a record, and its memory holds nothing that it erased.

    Attributes:
        seq: The record.

    """

    seq: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The leader's statistics, sent now and then.

    Attributes:
        statistics: These.

    """

    statistics: Statistics


KINDS: tuple[type[Any], ...] = (Hello, Submit, Decided, Durable, Settle, Facts, Statistics, ClockState)
"""What a codec has to know beside the commands."""

Message = Any
"""One of these, or of whatever else both sides registered."""
