"""The commands on legal holds.

==================  ==========  =======================================================
class               reason      when
==================  ==========  =======================================================
NotFound            target      nothing of that kind has that name
NotFound            hold        LiftHold names a hold that is not there
Invalid             reason      the reason is empty or longer than `REASON_BYTES`
Conflict            held        any command that would delete or overwrite what is held
==================  ==========  =======================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retain.engine.core.command import Command
from retain.engine.holds.target import Hold, HoldKind

REASON_BYTES = 1000
"""Longest reason in UTF-8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHold(Command[Hold]):
    """Hold a resource until the hold is lifted; several holds may protect one resource.

    Attributes:
        hold_id: 16 random bytes.
        kind: What it is; `RESOURCE` finds the live resource with that number, if there is one.
        names: The values listed in `engine.holds.target.NAMES` for the kind.
        resource: Its number, if only the resource with that number is meant: if the name now means nothing or
            another resource, the records of that number are held.
        reason: The reason, such as a case number.

    """

    hold_id: bytes
    kind: HoldKind
    names: tuple[Any, ...] = ()
    resource: bytes = b""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHold(Command[Hold]):
    """End a hold. Result: the hold. Other holds on the same resource stay.

    Attributes:
        hold_id: The hold's number.

    """

    hold_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RestateHold(Command[bool]):
    """Record a hold again, so that its older record may be erased. Result: whether it exists."""

    hold_id: bytes
