"""The append-only journal: a provable history from which data can be erased.

Start reading with FORMAT.md; then `open_journal`, which reads a journal and returns a `Journal` to append to.
`scan` reads a journal beside a running server; `history` and `between` read selected records only. `log` is
the protocol that a second journal implements, `disk.interface` that of another disk. This package imports
nothing from the rest of the project.
"""

from __future__ import annotations

from retain.journal.backup.create import BackupReport, Moment, check_backup, create_backup
from retain.journal.backup.manifest import Manifest, read_manifest
from retain.journal.backup.restore import RestoreReport, restore
from retain.journal.check.repair import Loss, RepairReport, repair
from retain.journal.check.verify import Finding, FindingKind, Report, verify
from retain.journal.disk.interface import Disk, File
from retain.journal.disk.objects import ObjectDisk
from retain.journal.disk.real import RealDisk
from retain.journal.erasure.manifest import Erasure, Erasures, export_erasures
from retain.journal.erasure.zero import ErasurePlan
from retain.journal.errors import (
    BadTarget,
    Closed,
    Corrupt,
    Fenced,
    ForeignFolder,
    JournalError,
    Locked,
    NoSpace,
    PositionMismatch,
    Shortage,
    TooFarBehind,
    TornTail,
    UnknownVersion,
    Unsettled,
    WriteFailed,
)
from retain.journal.followed import FollowedJournal
from retain.journal.format.record import NO_RESOURCE, Draft, Head, Header, Part, Position, Record, Verb
from retain.journal.journal import Journal
from retain.journal.log import Committed, ContentSource, Log, Tail
from retain.journal.lookup.history import between, history
from retain.journal.lookup.index import unindexed, write_indexes
from retain.journal.lookup.scan import scan
from retain.journal.open import open_journal
from retain.journal.options import JournalOptions
from retain.journal.payloads.store import (
    PAYLOAD_HANDLES,
    Payload,
    PayloadReader,
    PayloadStore,
    Portion,
    Stage,
)
from retain.journal.proofs.note import (
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
from retain.journal.proofs.prover import Inclusion, Prover
from retain.journal.tail import FileTail

__all__ = [
    "NO_RESOURCE",
    "PAYLOAD_HANDLES",
    "BackupReport",
    "BadNote",
    "BadTarget",
    "Checkpoint",
    "Closed",
    "Committed",
    "ContentSource",
    "Corrupt",
    "Disk",
    "Draft",
    "Erasure",
    "ErasurePlan",
    "Erasures",
    "Fenced",
    "File",
    "FileTail",
    "Finding",
    "FindingKind",
    "FollowedJournal",
    "ForeignFolder",
    "Head",
    "Header",
    "Inclusion",
    "Journal",
    "JournalError",
    "JournalOptions",
    "Locked",
    "Log",
    "Loss",
    "Manifest",
    "Moment",
    "NoSpace",
    "Note",
    "ObjectDisk",
    "Part",
    "Payload",
    "PayloadReader",
    "PayloadStore",
    "Portion",
    "Position",
    "PositionMismatch",
    "Prover",
    "RealDisk",
    "Record",
    "RepairReport",
    "Report",
    "RestoreReport",
    "Shortage",
    "Signature",
    "Signer",
    "Stage",
    "Tail",
    "TooFarBehind",
    "TornTail",
    "UnknownVersion",
    "Unsettled",
    "Verb",
    "Verifier",
    "WriteFailed",
    "between",
    "check_backup",
    "create_backup",
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
