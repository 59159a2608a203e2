"""The interface of a shared log, whatever stores it.

Every call may raise `Unsettled`: the log did not answer. A call that only reads can be repeated. After a call
that changes something, the outcome is unknown until `settle` returns, or until the call is repeated; every
call except `append` may be repeated freely.

A *term* is the time in which one process leads. Its epoch is the fencing token: it grows with every leader
and with every call of `settle`, so a change sent under an older epoch can never take effect later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from retain.journal.log import Committed

FETCH_BYTES = 8 << 20
"""Bytes of frames that `after` returns at once, approximately; at least one frame."""


def too_far_behind(seq: int, dropped: int) -> str:
    """Return why a folder that ends with `seq` cannot go on from a log that keeps what follows `dropped`."""
    lacking = f"records {seq + 1} to {dropped}" if seq + 1 < dropped else f"record {dropped}"
    return f"this folder lacks {lacking}, which the shared log does not keep"


def changed_meanwhile(name: str) -> str:
    """Return why a small file is not stored."""
    return f"another node has changed {name} at the same time"


class Term(NamedTuple):
    """The time in which one process leads.

    Attributes:
        epoch: The fencing token: a number that grows with every leader and every call of `settle`.
        holder: 16 random bytes that each process draws when it starts.

    """

    epoch: int
    holder: bytes


class SharedHead(NamedTuple):
    """Where the shared log ends, and who leads.

    Attributes:
        identity: The identity of the journal.
        seq: The last committed record.
        root: The Merkle root over all records up to it.
        segment: The segment of the last frame, or the one for the first frame. Later frames are never in
            an earlier segment.
        batch: The 16 bytes passed to the last append; zeros before the first.
        term: The last term.
        leader: The node that leads in it; empty before the first term.
        url: The address at which the other nodes reach the leader.
        remaining: The rest of the leader's lease, in seconds, by the clock of the log's server. Zero or
            less: no node leads. Minus infinity if the lease was returned.
        dropped: The last record that is no longer kept here; 0 if all are.
        ends: When the lease ends, by the same clock, in seconds since 1970. Every renewal changes it.

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
    ends: float


class Succession(NamedTuple):
    """A term that began, and where the shared log ended then: no earlier term changes anything after that.

    Attributes:
        term: The term.
        seq: The last record that was committed when it began.
        batch: The 16 bytes passed to the last append before.

    """

    term: Term
    seq: int
    batch: bytes


class NodeReport(NamedTuple):
    """A node's report of its own state.

    Attributes:
        name: The node.
        url: The address at which the other nodes reach it.
        release: The release of Retain.
        durable: The last record that is durable in its folder.
        overwritten: The record up to which its folder has overwritten all erased bytes.
        age: Seconds since the report, by the clock of the log's server. Nodes do not set it.

    """

    name: str
    url: str
    release: str
    durable: int
    overwritten: int
    age: float = 0.0


class Shared(Protocol):
    """A connection to the shared log, for one thread at a time."""

    def create(self, identity: bytes, seq: int, root: bytes, segment: int) -> None:
        """Begin the log of a journal that ends at record `seq`, in `segment`. A repetition changes nothing.

        Raises:
            BadTarget: There is a log already, of another journal or with another end.

        """

    def head(self) -> SharedHead:
        """Return where the log ends. The end may not be replicated yet, so do not treat it as durable.

        Raises:
            BadTarget: No log was begun here.

        """

    def take(self, name: str, url: str, holder: bytes, lease: float) -> SharedHead | None:
        """Begin a new term for `lease` seconds, if no other node has a lease; return the end, durable.

        The node `name` at `url` may take over from itself, after a restart. It must then wait until the
        grants that it gave before the restart have ended, unless it returned its lease.

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
            term: The term of the caller.
            expected: The last record before the frame.
            root: The Merkle root after it.
            batch: 16 random bytes, by which `settle` recognises the frame.
            lease: The length of the renewed lease, in seconds from now.

        Raises:
            Fenced: The log has another term or another end. Nothing was appended.
            Unsettled: Whether the frame was appended is unknown.

        """

    def settle(self, holder: bytes, lease: float) -> SharedHead:
        """Begin a new epoch of the holder's own term; return the end, durable.

        When this returns, every change sent under an older epoch has taken effect, or never will.

        Raises:
            Fenced: Another node has taken the log.

        """

    def renew(self, term: Term, lease: float) -> None:
        """Renew the lease for `lease` seconds from now; 0 returns it.

        Raises:
            Fenced: The log has another term.

        """

    def after(self, seq: int, until: int, term: Term, most: int = FETCH_BYTES) -> list[Committed]:
        """Return frames after record `seq`, in order, up to the one that ends with record `until` at most.

        Args:
            seq: The end of a frame.
            until: A record that the leader of `term` has reported as durable. Later ones may still be lost
                in a failover.
            term: This term. A server that does not have it may hold frames that were never durable.
            most: Bytes of frames; one frame is returned even if it is larger.

        Raises:
            TooFarBehind: The frame after `seq` is no longer kept.
            Fenced: The log has another term; ask its leader what is durable.
            Unsettled: Also if the server lacks record `until`, because another server has replaced it.

        """

    def report(self, report: NodeReport) -> None:
        """Store a node's report."""

    def nodes(self) -> list[NodeReport]:
        """Return each node's last report, by name."""

    def forget(self, name: str) -> bool:
        """Remove a node that will not come back. False if there was none of that name."""

    def keep(
        self,
        files: Mapping[str, bytes | None],
        term: Term,
        before: Mapping[str, bytes | None] | None = None,
    ) -> None:
        """Store small files that all nodes need, encrypted by the caller; None removes one.

        Args:
            files: The files by name.
            term: The term of the leader.
            before: What the log must have of each file in `files`, None for nothing; unconditional if None.

        Raises:
            Fenced: The log has another term, or something else of a file. Nothing was stored.

        """

    def kept(self) -> dict[str, bytes]:
        """Return these files in their durable state, never from a server that has been replaced."""

    def drop(self, term: Term, copies: int, age: float) -> list[int]:
        """Remove the frames of all segments that are ended, old and durable elsewhere; return their numbers.

        Args:
            term: The term of the leader.
            copies: How many nodes must have reported the segment's last record as durable.
            age: How many seconds ago the last frame must have been appended, at least.

        Raises:
            Fenced: The log has another term.

        """

    def interrupt(self) -> None:
        """Have a call that waits for its answer, and every later one, raise `Unsettled`.

        Any thread may call it. A call that is connecting to a server notices it when the attempt ends.
        """

    def close(self) -> None:
        """Close the connection."""
