"""Signed checkpoints of the audit log's tree, to be kept by others.

The key (Ed25519) is created at the first start and never leaves the data folder. Its name, which is also the
origin line of every checkpoint, is unique to this log. Formats: C2SP signed-note and tlog-checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from retain.engine.core.errors import Invalid, NotFound, Unavailable
from retain.journal import Disk, JournalError
from retain.journal.errors import BadTarget
from retain.journal.lookup.trail import Trail
from retain.journal.proofs.note import (
    BadNote,
    Checkpoint,
    Signer,
    Verifier,
    open_checkpoint,
    parse_note,
    sign_checkpoint,
)
from retain.journal.proofs.prover import Prover

__all__ = [
    "KEY_FILE",
    "BadNote",
    "Checkpoint",
    "Signer",
    "Verifier",
    "checkpoint",
    "ensure_key",
    "open_signed",
    "other_history",
    "read_key",
]

KEY_FILE: Final = "audit.key"
_SEED_BYTES = 32
_NAME_BYTES = 8


def ensure_key(disk: Disk, entropy: Callable[[int], bytes], origin: str | None = None) -> Signer:
    """Return the log's key. Blocking.

    A missing key is created, under the name `origin` or a random one.

    Raises:
        Invalid: The file holds no key, or `origin` cannot be a key's name.
        NoSpace, OSError: It cannot be read or written.
    """
    if disk.exists(KEY_FILE):
        return read_key(disk)
    name = origin or f"retain/{entropy(_NAME_BYTES).hex()}"
    try:
        signer = Signer(name, entropy(_SEED_BYTES))
    except BadNote as error:
        raise Invalid(str(error), reason="origin") from None
    disk.write_atomic(KEY_FILE, signer.text().encode() + b"\n")
    return signer


def read_key(disk: Disk) -> Signer:
    """Return the log's key. Blocking.

    Raises:
        NotFound: `audit-key`: no server has created one yet.
        Invalid: `audit-key`: the file contains no key.
    """
    try:
        return Signer.parse(disk.read(KEY_FILE).decode())
    except FileNotFoundError:
        raise NotFound(
            "the audit key does not exist yet; start the server once to create it", reason="audit-key"
        ) from None
    except (BadNote, UnicodeDecodeError):
        raise Invalid(
            f"{KEY_FILE} in the data folder contains no valid key; restore it from a backup",
            reason="audit-key",
        ) from None


def checkpoint(disk: Disk, signer: Signer, durable: int, trail: Trail | None = None) -> bytes:
    """Sign a checkpoint over the first `durable` records, and return it as a signed note. Blocking.

    Only durable records may be signed: a power failure undoes the others, and the history would differ from
    the signed one.

    Raises:
        Unavailable: The journal cannot be read.
    """
    try:
        root = Prover(disk, indexes=None if trail is None else trail.indexes()).root(durable)
    except (JournalError, OSError) as error:
        raise Unavailable(f"the journal cannot be read: {error}", reason="journal") from error
    return sign_checkpoint(Checkpoint(signer.verifier.name, durable, root), signer)


def other_history(disk: Disk, note: bytes, key: Verifier) -> str | None:
    """Return why a kept checkpoint is of another history than this journal's.

    Return None if it is not, or if `note` is no checkpoint. Blocking. A checkpoint of another history is
    evidence: of a restore, of a repair, or of a changed log.

    Raises:
        Unavailable: The journal cannot be read.

    """
    try:
        kept = Checkpoint.parse(parse_note(note).text)
    except BadNote:
        return None
    try:
        open_signed(note, key)
    except BadNote as error:
        return str(error)
    try:
        same = Prover(disk).root(kept.size) == kept.root
    except BadTarget:
        return f"it is over {kept.size} records, more than the journal has"
    except (JournalError, OSError) as error:
        raise Unavailable(f"the journal cannot be read: {error}", reason="journal") from error
    return None if same else f"its root over {kept.size} records is not the journal's"


def open_signed(note: bytes, key: Verifier) -> Checkpoint:
    """Return the checkpoint in a note signed by `key`, of the log that `key` belongs to.

    Raises:
        BadNote: The note is no checkpoint, belongs to another log, or its signature is wrong.
    """
    found = open_checkpoint(note, [key])
    if found.origin != key.name:
        raise BadNote(f"this checkpoint is of the log {found.origin}, not {key.name}")
    return found
