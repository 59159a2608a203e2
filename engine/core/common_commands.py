"""Commands that concern every domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from retain.engine.core.body import Inline
from retain.engine.core.command import Command
from retain.engine.core.role import Locator
from retain.engine.core.typed import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireDue(Command[int]):
    """End what is due, in at most `limit` events. Result: the number of deadlines handled.

    They turn at most `domain.ENDED_RECORDS` records into garbage, if no entry alone has more.

    Attributes:
        limit: Most events in one run.
        until: Later deadlines are not due, whatever the present is: a clock jump between query and decision
            destroys nothing. None: the present alone decides.

    """

    FREES_SPACE: ClassVar[bool] = True

    limit: int
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restate(Command[bool]):
    """Rewrite an entry unchanged, one step of it, so that its older records may be erased.

    Result: whether another step is needed.

    Attributes:
        locator: The entry's locator.
        resource: Its resource.
        before: Records up to this one become garbage; see `engine.core.domain.Restater.restate`.
        bodies: Address → body, for those stored on disk.

    """

    locator: Locator
    resource: Resource
    before: int = 0
    bodies: Mapping[int, Inline] = field(default_factory=dict)
