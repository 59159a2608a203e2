"""The append-only journal: what happened, kept so that it can be proven, and forgotten so that it is gone.

Start reading with FORMAT.md; then `store.open_journal`, which reads a journal and returns a `Journal` to
append to. `scan` reads one beside a running server, `history` and `between` only what is asked for. Nothing
here imports from the rest of the project.
"""

from __future__ import annotations

from journal.backup import BackupReport, Moment, backup, check_backup
from journal.disk import RealDisk
from journal.erase import ErasurePlan
from journal.erasures import Erasure, Erasures, export_erasures
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
from journal.history import between, history
from journal.index import unindexed, write_indexes
from journal.journal import Journal
from journal.manifest import Manifest, read_manifest
from journal.note import (
    BadNote,
    Checkpoint,
    Note,
    Signature,
    Signer,
    Verifier,
    open_checkpoint,
    open_note,
    parse_note,
    sign_checkpoint,
    sign_note,
)
from journal.options import JournalOptions
from journal.payloads import Payload, PayloadReader, PayloadStore, Stage
from journal.proofs import Consistency, Inclusion, Prover
from journal.record import NO_RESOURCE, Draft, Head, Header, Part, Position, Record, Verb
from journal.repair import Loss, RepairReport, repair
from journal.restoring import RestoreReport, restore
from journal.scan import scan
from journal.storage import Disk, File
from journal.store import open_journal
from journal.verify import Finding, Kind, Report, verify

__all__ = [
    "NO_RESOURCE",
    "BackupReport",
    "BadNote",
    "BadTarget",
    "Checkpoint",
    "Closed",
    "Consistency",
    "Corrupt",
    "Disk",
    "Draft",
    "Erasure",
    "ErasurePlan",
    "Erasures",
    "File",
    "Finding",
    "Head",
    "Header",
    "Inclusion",
    "Journal",
    "JournalError",
    "JournalOptions",
    "Kind",
    "Locked",
    "Loss",
    "Manifest",
    "Moment",
    "NoSpace",
    "Note",
    "Part",
    "Payload",
    "PayloadReader",
    "PayloadStore",
    "Position",
    "PositionMismatch",
    "Prover",
    "RealDisk",
    "Record",
    "RepairReport",
    "Report",
    "RestoreReport",
    "Signature",
    "Signer",
    "Stage",
    "TornTail",
    "UnknownVersion",
    "Verb",
    "Verifier",
    "WriteFailed",
    "backup",
    "between",
    "check_backup",
    "export_erasures",
    "history",
    "open_checkpoint",
    "open_journal",
    "open_note",
    "parse_note",
    "read_manifest",
    "repair",
    "restore",
    "scan",
    "sign_checkpoint",
    "sign_note",
    "unindexed",
    "verify",
    "write_indexes",
]
