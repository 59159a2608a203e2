"""The findings of a verification, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class FindingKind(StrEnum):
    """The kind of a finding; stable, for machines. Kinds in `NOTES` are not damage."""

    SEGMENT = "segment"  # a file is missing, misnamed, or does not go on where the one before it ends
    VERSION = "version"  # written by a later release
    FRAME = "frame"  # bytes that are no good frame, where one is due
    RECORD = "record"  # one of the journal's own records cannot be read
    PART = "part"  # details or content are missing or changed, and no erase record names them
    ERASURE = "erasure"  # an erase record names the part, but its bytes are still there
    CHECKPOINT = "checkpoint"  # history is not what an old checkpoint says it was
    ANCHOR = "anchor"  # it is missing, or the journal ends before it, or has another root there
    INDEX = "index"  # differs from its segment: its readers would miss records
    PAYLOAD = "payload"  # a payload file that a record names is missing
    TEAR = "tear"  # the last batch is incomplete, as a crash leaves it, or is being written
    UNFINISHED = "unfinished"  # an erasure or rewriting that is under way; the next start carries it out
    ORPHAN = "orphan"  # a payload file that no record names; the next start removes it


NOTES: Final = frozenset({FindingKind.TEAR, FindingKind.UNFINISHED, FindingKind.ORPHAN})
"""Kinds that a crash or a running server explains. The next start resolves them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `offset` in bytes and `seq` are -1 where they do not apply."""

    kind: FindingKind
    file: str
    offset: int
    seq: int
    text: str

    @property
    def harmless(self) -> bool:
        """Return whether the next start resolves this, with nothing lost."""
        return self.kind in NOTES


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    `records` and `segments` were read; `erased` parts are missing according to an erase record. `seq` and
    `root` are the journal's end; `root` is empty if damage hides the tree's end.
    """

    findings: tuple[Finding, ...]
    records: int
    erased: int
    segments: int
    seq: int
    root: bytes

    @property
    def sound(self) -> bool:
        """Return whether all acknowledged data exists, and no erased data does."""
        return all(finding.harmless for finding in self.findings)
