"""Commands that concern every domain alike."""

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
    """End what is due, in at most ``limit`` events. Result: how many deadlines that were.

    Attributes:
        until: Nothing that ends later than this is due, whatever the present is: a jump of the clock between
            asking and deciding destroys nothing. None: the present alone decides.
    """

    FREES_SPACE: ClassVar[bool] = True

    limit: int
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restate(Command[bool]):
    """Writes an entry down once more, unchanged, so that its older records may be erased; one step of it.
    Answers whether another is needed.

    Attributes:
        locator: Where the entry is found.
        resource: Its resource.
        before: Records up to this one are to be left; see :meth:`engine.slice.Restater.restate`.
        bodies: Address → body, for those that lie on disk.
    """

    locator: Locator
    resource: Resource
    before: int = 0
    bodies: Mapping[int, Inline] = field(default_factory=dict)
