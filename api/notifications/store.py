"""The delivery state of each webhook: the last record delivered, and the dead letters.

One file of the data folder, `notifications`. It contains numbers only, no names and no values, so that
nothing survives an erasure here: a dead letter is the number of a record, from which the event is built
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from retain.journal import Disk

FILE: Final = "notifications"
MOST_DEAD: Final = 10_000
"""Most dead letters of one webhook; beyond it the oldest is dropped and counted."""
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
class DeliveryState:
    """The delivery state of one webhook.

    Attributes:
        seq: The last record that was delivered, given up, or not selected for it.
        changes: The numbers of the changes of history that were known then, as hexadecimal digits.
        dead: Events it did not accept, oldest first.
        forgotten: Number of dead letters dropped because there were more than `MOST_DEAD`.
    """

    seq: int
    changes: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    forgotten: int = 0

    def add_dead(self, letter: DeadLetter) -> None:
        """Add an event that was not accepted."""
        self.dead = [one for one in self.dead if one.seq != letter.seq]
        self.dead.append(letter)
        if len(self.dead) > MOST_DEAD:
            self.forgotten += len(self.dead) - MOST_DEAD
            del self.dead[: len(self.dead) - MOST_DEAD]


def load(disk: Disk) -> dict[str, DeliveryState]:
    """Read the file; blocking. A malformed file counts as none. Raises `OSError`."""
    if not disk.exists(FILE):
        return {}
    try:
        found = json.loads(disk.read(FILE))
        return {str(name): _parsed(value) for name, value in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _parsed(value: Any) -> DeliveryState:
    dead = [
        DeadLetter(int(one["seq"]), int(one["time"]), int(one["attempts"]), str(one["reason"]))
        for one in value["dead"]
    ]
    changes = [str(one) for one in value["changes"]]
    return DeliveryState(int(value["seq"]), changes, dead[-MOST_DEAD:], int(value["forgotten"]))


def save(disk: Disk, packed: bytes) -> None:
    """Write what `pack` returned; blocking. Raises `NoSpace`, `OSError`."""
    disk.write_atomic(FILE, packed)


def pack(states: Iterable[tuple[str, DeliveryState]]) -> bytes:
    """Return the file's content."""
    return json.dumps({name: asdict(one) for name, one in states}).encode() + b"\n"
