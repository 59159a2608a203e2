"""What is remembered of each webhook: how far it was told, and what it did not accept. Numbers only.

One file of the data folder, `notifications`. No name and no value is in it, so that nothing outlives an
erasure here: a dead letter is the number of a record, from which the event is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from retain.journal import Disk

FILE: Final = "notifications"
MOST_DEAD: Final = 10_000
"""Dead letters that are kept for each webhook; beyond it the oldest is forgotten, and counted."""
MOST_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was not accepted.

    Attributes:
        seq: Its record.
        time: When it was given up, nanoseconds since the epoch.
        attempts: How often it was sent.
        reason: Why it was not accepted, one of a few texts or a status.
    """

    seq: int
    time: int
    attempts: int
    reason: str


@dataclass(slots=True)
class Told:
    """What one webhook was told.

    Attributes:
        seq: The last record that it was told of, or that it is not told of.
        changes: The numbers of the changes of history that were known then, as hexadecimal digits.
        dead: What it did not accept, oldest first.
        forgotten: How many dead letters were forgotten, because there were too many.
    """

    seq: int
    changes: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    forgotten: int = 0

    def bury(self, letter: DeadLetter) -> None:
        """Keep an event that was not accepted."""
        self.dead = [one for one in self.dead if one.seq != letter.seq]
        self.dead.append(letter)
        if len(self.dead) > MOST_DEAD:
            self.forgotten += len(self.dead) - MOST_DEAD
            del self.dead[: len(self.dead) - MOST_DEAD]


def load(disk: Disk) -> dict[str, Told]:
    """Read what is remembered; blocking. A file that makes no sense counts as none. Raises `OSError`."""
    if not disk.exists(FILE):
        return {}
    try:
        found = json.loads(disk.read(FILE))
        return {str(name): _told(value) for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _told(value: Any) -> Told:
    dead = [
        DeadLetter(int(one["seq"]), int(one["time"]), int(one["attempts"]), str(one["reason"]))
        for one in value["dead"]
    ]
    changes = [str(one) for one in value["changes"]]
    return Told(int(value["seq"]), changes, dead[-MOST_DEAD:], int(value["forgotten"]))


def save(disk: Disk, packed: bytes) -> None:
    """Write what `pack` returned; blocking. Raises `NoSpace`, `OSError`."""
    disk.write_atomic(FILE, packed)


def pack(told: Iterable[tuple[str, Told]]) -> bytes:
    """Return the file's content."""
    return json.dumps({name: asdict(one) for name, one in told}).encode() + b"\n"
