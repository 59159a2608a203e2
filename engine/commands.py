"""Commands that concern every domain alike."""

from dataclasses import dataclass
from typing import ClassVar

from engine.command import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireDue(Command[int]):
    """Ends what is due, in at most ``limit`` events; answers how many deadlines that were."""

    FREES_SPACE: ClassVar[bool] = True

    limit: int
