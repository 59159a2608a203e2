"""The errors of the journal, by the required reaction.

    JournalError
    ├── Locked            another process uses the data folder: stop it, or wait
    ├── Corrupt           acknowledged bytes are damaged: restore, or `retain journal repair`
    ├── TornTail          the last frame was cut short by a crash; opening for writing cuts it off
    ├── UnknownVersion    written by a newer release: upgrade
    ├── PositionMismatch  this snapshot is not of this journal's history: read all of it instead
    ├── BadTarget         a record cannot be erased, or a folder cannot be used for a backup
    ├── ForeignFolder     the folder holds other files and no journal: name a new or empty one
    ├── NoSpace           the disk is full: nothing was changed, free some space
    │   └── Shortage      descriptors, memory or locks ran out: nothing was changed; the shortage is temporary
    ├── WriteFailed       a write or a sync failed: final until a restart has read the journal again
    ├── Fenced            another node leads the shared log: what this one had not committed never happened
    ├── Unsettled         the shared log does not answer: the requested change may have happened or not
    ├── TooFarBehind      the shared log lacks frames that this folder needs: seed it from another node's
    └── Closed            the journal was closed by its owner

Every error has the file, offset and sequence number that it concerns, as far as they are known.
"""

from __future__ import annotations


class JournalError(Exception):
    """Base of all errors of this package; never raised itself.

    `file` is relative to the data folder, `offset` is in bytes (-1: unknown), `seq` is a record's sequence
    number (-1: unknown).
    """

    def __init__(self, message: str, *, file: str = "", offset: int = -1, seq: int = -1) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.offset = offset
        self.seq = seq


class Locked(JournalError):
    """Another process has the data folder. `pid` is its process number, 0 if it could not be read."""

    def __init__(self, pid: int, *, file: str = "") -> None:
        super().__init__(f"the data folder is in use by process {pid}", file=file)
        self.pid = pid


class Corrupt(JournalError):
    """Damage that a crash cannot explain. It is never repaired silently."""


class TornTail(JournalError):
    """The last frame is incomplete, as a power cut leaves it; it was never acknowledged."""


class UnknownVersion(JournalError):
    """The format version is newer than this release knows."""


class PositionMismatch(JournalError):
    """The journal was never at the given position: its root there differs, or no frame ends there."""


class BadTarget(JournalError):
    """A record that cannot be erased, or a folder unfit for a backup or for a restored journal.

    The record is not in the journal yet, or is one of the journal's own. Nothing was changed.
    """


class ForeignFolder(JournalError):
    """The folder holds files that are not Retain's, and no journal. Nothing was changed."""


class NoSpace(JournalError):
    """The disk, quota or size limit refused more bytes. The requested change did not happen."""


class Shortage(NoSpace):
    """The machine is short of descriptors, memory or locks. The change did not happen; try again."""


class WriteFailed(JournalError):
    """A write or sync failed. The page cache can no longer be trusted, so this is final."""


class Fenced(JournalError):
    """The shared log has another term or another end than this node expected. Nothing was changed there."""


class Unsettled(JournalError):
    """The shared log did not answer. A change that was asked for may have happened or not."""


class TooFarBehind(JournalError):
    """The shared log keeps frames for hours only, and no longer has those that follow record `seq`."""


class Closed(JournalError):
    """The journal was closed by its owner."""
