"""The file `mended`: a restore or repair, until the next process that opens the journal records it.

The file is written before the journal can be opened again, so that each one is recorded: FORMAT.md
section 12.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from retain.journal.disk.interface import Disk
from retain.journal.errors import Corrupt

MENDED_FILE = "mended"
NUMBER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Mended:
    """One restore or repair.

    `number` is random, and names this action; `change` is `restored` or `repaired`, `time` is in nanoseconds.
    Records up to `kept` were kept, where the tree's root was `root`; records up to `lost` are known to have
    been there. `source` names the backup, `losses` the lost data.
    """

    number: bytes
    change: str
    actor: str
    time: int
    kept: int
    root: bytes
    lost: int
    source: str = ""
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordered:
    """Who ordered a restore or repair, and when, in nanoseconds."""

    actor: str = ""
    time: int = 0


NOBODY = Ordered()
"""No actor is known."""


def leave_mended(disk: Disk, mended: Mended) -> None:
    """Add a note to be recorded, durably. Raises `NoSpace`, `OSError`, `Corrupt`."""
    facts = asdict(mended) | {"number": mended.number.hex(), "root": mended.root.hex()}
    before = disk.read(MENDED_FILE) if disk.exists(MENDED_FILE) else b""
    disk.write_atomic(MENDED_FILE, before + json.dumps(facts).encode() + b"\n")


def read_mended(disk: Disk) -> list[Mended]:
    """Return the notes to be recorded, oldest first. Raises `Corrupt`, `OSError`."""
    if not disk.exists(MENDED_FILE):
        return []
    try:
        return [_mended(json.loads(line)) for line in disk.read(MENDED_FILE).decode().splitlines()]
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupt(f"{MENDED_FILE} cannot be read: {error}", file=MENDED_FILE) from error


def _mended(facts: dict[str, object]) -> Mended:
    made = Mended(**facts)  # type: ignore[arg-type]
    number, root = bytes.fromhex(str(made.number)), bytes.fromhex(str(made.root))
    return Mended(
        number,
        made.change,
        made.actor,
        made.time,
        made.kept,
        root,
        made.lost,
        made.source,
        tuple(made.losses),
    )


def forget_mended(disk: Disk) -> None:
    """Remove the notes once they are recorded. Raises `OSError`."""
    if disk.exists(MENDED_FILE):
        disk.unlink(MENDED_FILE)
        disk.sync_folder()
