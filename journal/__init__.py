"""The append-only journal: what happened, kept so that it can be proven, and forgotten so that it is gone.

Start reading with FORMAT.md; then `store.open_journal`, which reads a journal and returns a `Journal` to
append to. `scan` reads one beside a running server. Nothing here imports from the rest of the project.
"""

from __future__ import annotations

from journal.disk import RealDisk
from journal.errors import (
    BadTarget,
    Closed,
    Corrupt,
    JournalError,
    Locked,
    NoSpace,
    PositionMismatch,
    TornTail,
    UnknownVersion,
    WriteFailed,
)
from journal.journal import Journal
from journal.options import JournalOptions
from journal.payloads import Payload, PayloadReader, PayloadStore, Stage
from journal.record import NO_RESOURCE, Draft, Head, Header, Part, Position, Record, Verb
from journal.repair import Loss, RepairReport, repair
from journal.scan import scan
from journal.storage import Disk, File
from journal.store import open_journal
from journal.verify import Finding, Kind, Report, verify

__all__ = [
    "NO_RESOURCE",
    "BadTarget",
    "Closed",
    "Corrupt",
    "Disk",
    "Draft",
    "File",
    "Finding",
    "Head",
    "Header",
    "Journal",
    "JournalError",
    "JournalOptions",
    "Kind",
    "Locked",
    "Loss",
    "NoSpace",
    "Part",
    "Payload",
    "PayloadReader",
    "PayloadStore",
    "Position",
    "PositionMismatch",
    "RealDisk",
    "Record",
    "RepairReport",
    "Report",
    "Stage",
    "TornTail",
    "UnknownVersion",
    "Verb",
    "WriteFailed",
    "open_journal",
    "repair",
    "scan",
    "verify",
]
