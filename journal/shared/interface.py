"""The interface of a shared log, whatever stores it.

Every call may end in `Unsettled`: nobody answered. After a call that only reads, nothing has happened. After
one that changes something, whether it happened is unknown until `settle` has said so, or until the call was
repeated: all but `append` may be repeated freely.

A *term* is one process's hold of the log. Its epoch grows with every leader and with every settled doubt, so
what was sent under an older epoch can never take effect later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from retain.journal.log import Committed

FETCH_BYTES = 8 << 20
"""How many bytes of frames `after` returns at once, about; at least one frame."""


class Term(NamedTuple):
    """One process's hold of the log.

    Attributes:
        epoch: Counts leaders and settled doubts; never the same twice.
        holder: 16 random bytes that each process draws when it starts.

    """

    epoch: int
    holder: bytes


class SharedHead(NamedTuple):
    """Where the shared log ends, and who leads.

    Attributes:
        identity: Of the journal.
        seq: The last committed record.
        root: The Merkle root over all records up to it.
        segment: The segment that the last frame is in, or the one that the first frame goes to. A frame
            never goes to one before it.
        batch: 16 bytes that the last append was given; zeros before the first.
        term: The last term.
        leader: The node that holds it; empty while nobody has led.
        url: Where this node is reached by the others.
        remaining: How much of the leader's lease is left, in seconds, by the clock of the log's server.
            Zero or less: nobody leads.
        dropped: The last record that is no longer kept here; 0 while everything is.

    """

    identity: bytes
    seq: int
    root: bytes
    segment: int
    batch: bytes
    term: Term
    leader: str
    url: str
    remaining: float
    dropped: int


class NodeReport(NamedTuple):
    """A node's report of its own state.

    Attributes:
        name: The node.
        url: Where it is reached by the others.
        release: Of Retain.
        durable: The last record that is durable in its folder.
        blanked: The last record up to which all that was erased is overwritten in its folder.
        age: Seconds since the report, by the clock of the log's server. Nodes do not set it.

    """

    name: str
    url: str
    release: str
    durable: int
    blanked: int
    age: float = 0.0


class Shared(Protocol):
    """A connection to the shared log. Used by one thread at a time; make one for each."""

    def create(self, identity: bytes, seq: int, root: bytes, segment: int) -> None:
        """Begin the log of a journal that ends at record `seq`, in `segment`. Again with the same: nothing.

        Raises:
            BadTarget: There is a log already, of another journal or with another end.

        """

    def head(self) -> SharedHead:
        """Return where the log ends. The end may not be replicated yet: nobody may act on it as durable.

        Raises:
            BadTarget: No log was begun here.

        """

    def take(self, name: str, url: str, holder: bytes, lease: float) -> SharedHead | None:
        """Begin a new term for `lease` seconds, if no other node has a lease; return the end, durable.

        The node `name` may take over from itself: it was restarted. It must then wait until all that its
        former life granted has ended.

        Returns:
            None if another node leads.

        """

    def append(
        self, frame: Committed, term: Term, expected: int, root: bytes, batch: bytes, lease: float
    ) -> None:
        """Commit a frame, if `term` is the log's and record `expected` its last; renew the lease.

        Returns when the frame is durable in as many places as the log was set up for.

        Args:
            frame: The frame.
            term: The appender's.
            expected: The last record before the frame.
            root: The Merkle root after it.
            batch: 16 random bytes, to recognise the frame by in `settle`.
            lease: In seconds, from now.

        Raises:
            Fenced: The log has another term or another end. Nothing was appended.
            Unsettled: Whether the frame is in is unknown.

        """

    def settle(self, holder: bytes, lease: float) -> SharedHead:
        """Begin a new epoch of the holder's own term; return the end, durable.

        Whatever was sent under the older epoch is in when this returns, or never will be.

        Raises:
            Fenced: Another node has taken the log.

        """

    def renew(self, term: Term, lease: float) -> None:
        """Hold the log for another `lease` seconds from now; 0 gives it back.

        Raises:
            Fenced: The log has another term.

        """

    def after(self, seq: int, until: int, term: Term, most: int = FETCH_BYTES) -> list[Committed]:
        """Return frames after record `seq`, in order, up to the one that ends with record `until` at most.

        Args:
            seq: The end of a frame.
            until: A record that the holder of `term` has called durable. Rows after it may still be taken
                back.
            term: The term under which it did. A server that does not know it is not the one to read from:
                it may hold frames that were never durable.
            most: Bytes of frames; one is returned even if it is larger.

        Raises:
            TooFarBehind: The frame after `seq` is no longer kept.
            Fenced: The log has another term: ask again what is durable.
            Unsettled: Also where the server lacks record `until`: another one carries the log by now.

        """

    def report(self, report: NodeReport) -> None:
        """Store a node's report."""

    def nodes(self) -> list[NodeReport]:
        """Return each node's last report, by name."""

    def forget(self, name: str) -> bool:
        """Remove a node that will not come back. False if there was none of that name."""

    def keep(self, files: Mapping[str, bytes | None], term: Term) -> None:
        """Store small files that all nodes need, sealed by the caller; None removes one.

        Raises:
            Fenced: The log has another term.

        """

    def kept(self) -> dict[str, bytes]:
        """Return these files, as they are durably: never those of a server that has been replaced."""

    def drop(self, term: Term, copies: int, age: float) -> list[int]:
        """Remove the frames of all segments that are ended, old and durable elsewhere; return their numbers.

        Args:
            term: The leader's.
            copies: At least so many nodes must have reported the segment's last record durable.
            age: The last frame must have been appended at least so many seconds ago.

        Raises:
            Fenced: The log has another term.

        """

    def close(self) -> None:
        """Close the connection."""
