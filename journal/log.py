"""The interface of a journal, independent of how its frames are stored.

`Journal` implements it over segment files; `journal/testing/log.py` over a list in memory. A journal that
commits its frames elsewhere first, to a database that several machines share, is a third. All of them pass
`tests/journal/test_log_contract.py`.

A follower reads the journal's *tail*: the frames after a position, checked, up to a record that is known to
be durable. A follower in another process of the same machine reads them from the same files. A follower with
its own folder passes each of them to `receive` and then has the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from retain.journal.format.record import Draft, Head, Position, Record


class Committed(NamedTuple):
    """A frame at its place in the journal.

    Attributes:
        segment: The segment's number.
        offset: The start of the frame in it.
        last: Sequence number of its last record.
        frame: Its bytes (FORMAT.md section 3).

    """

    segment: int
    offset: int
    last: int
    frame: bytes


Commit = Callable[[Committed, int, bytes], None]
"""Commit a frame that follows a record, where several machines share the log, before it is written here.

The bytes are the Merkle root after it. Raises `Fenced`, `Unsettled`.
"""


class Tail(Protocol):
    """A reader of the frames after a position. Used by one thread at a time."""

    @property
    def head(self) -> Head:
        """Return the end of the last frame that was taken."""

    def frames(self, until: int) -> Iterator[tuple[Committed, list[Record]]]:
        """Yield the frames not yet returned, with their records, up to the one that ends with record `until`.

        Every frame is checked: its place in the sequence, the Merkle tree, checksums and commitments. A part
        that was erased meanwhile is None. `until` must be durable, and the end of a frame.

        Raises:
            Corrupt: A frame is missing or damaged, or belongs to another journal. Those before it were taken.
            OSError: It cannot be read.

        """

    def close(self) -> None:
        """Close what is open."""


class Log(Protocol):
    """A journal to append to, or to follow another one with."""

    @property
    def identity(self) -> bytes:
        """Return the 16 random bytes that all copies of this journal share."""

    @property
    def head(self) -> Head:
        """Return where the journal ends, durably."""

    def append(self, drafts: Sequence[Draft], time: int) -> list[int]:
        """Write the drafts as one frame, durably; return each content's address, -1 where there is none.

        Raises:
            ValueError: They do not fit into a frame; nothing has changed.
            WriteFailed: Final.
            Closed: The journal is closed.

        """

    def receive(self, committed: Committed) -> list[Record]:
        """Append, byte for byte and durably, the frame that follows in the journal that this one follows.

        Return its records.

        Raises:
            Corrupt: It is no good frame, does not follow the last one, or belongs elsewhere; nothing has
                changed.
            WriteFailed: Final.
            Closed: The journal is closed.

        """

    def tail(self, after: Position | None = None) -> Tail:
        """Return a reader of the frames after `after`, or of all frames without it.

        Raises:
            PositionMismatch: The journal was never at `after`.
            Corrupt, OSError: It cannot be read.

        """

    def content(self, address: int) -> bytes | None:
        """Return the content at an address from `append` or a record; None if it was erased.

        Raises:
            Corrupt: No sound part is at the address.
            OSError: It cannot be read.

        """


class ContentSource(Protocol):
    """A source of contents by address: a `Log`, or the files of one that another process writes."""

    def content(self, address: int) -> bytes | None:
        """Return the content at an address; see `Log.content`."""
