"""What a domain plugs into the engine's state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from retain.engine.core.body import Inline, OnDisk, StoredBody
from retain.engine.core.command import Command, Decision
from retain.engine.core.deadlines import DeadlineKind, Deadlines
from retain.engine.core.event import Event, Stamp
from retain.engine.core.hold_index import HoldIndex
from retain.engine.core.ledger import RecordLedger
from retain.engine.core.role import Locator
from retain.engine.core.snapshot_table import Frozen

Apply = Callable[[Any, Stamp], None]
Decide = Callable[[Any, int], Decision[Any]]
Expire = Callable[[Any, int], Sequence[Event]]


class Restated(NamedTuple):
    """One step of restating an entry.

    Attributes:
        events: What it comes to; none if the entry is not there.
        more: Whether another step is needed.
    """

    events: Sequence[Event]
    more: bool


class Restater(ABC):
    """How a slice writes entries of one kind down once more, unchanged, so that their older records may be
    erased.

    Nobody can see that it happened, but for where bodies lie and which records hold what. Most entries stand
    on their chain alone and live in memory as a whole; the others say more than that.
    """

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """The records outside of its chain that the entry stands on; none if it is not there."""
        return ()

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """The bodies on disk that the next step needs, a few MiB at most."""
        return ()

    @abstractmethod
    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        """The events of the next step, with the cause ``RESTATED``. Changes nothing.

        Args:
            locator: Where the entry is found.
            resource: Its resource: another one that has its name meanwhile is left alone.
            before: Records up to this one are to be left. Those that stand apart may be kept if it is 0.
            bodies: Address → what is there, for those asked for; if one is missing, it is asked for again.
        """


STEP_RECORDS = 128
"""Most records in one step of restating."""
STEP_BYTES = 1 << 20
"""A step reads no further body from disk beyond this."""


def first_bytes(held: Iterable[StoredBody | None]) -> Iterator[OnDisk]:
    """Those on disk among the first of ``held``, as many as one step takes."""
    size = 0
    for body in islice(held, STEP_RECORDS):
        if isinstance(body, OnDisk):
            yield body
            size += body.size
            if size > STEP_BYTES:
                return


class SharedState:
    """What the slices share: the deadline index, the records that live state stands on, what is under a legal
    hold, and the payload files that live state stands on.

    Attributes:
        revision: No revision of a document is less, from the last restore or repair on.
        modified: No write of a blob is dated earlier, likewise.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.modified = 0
        self.deadlines = Deadlines()
        self.held = HoldIndex()
        self.records = RecordLedger()
        self.payloads: set[str] = set()
        self._released: list[str] = []
        self._unclaimed: set[str] = set()

    def offer(self, name: str) -> None:
        """The payload file ``name`` is durable, and an event may come to name it."""
        self._unclaimed.add(name)

    def withdraw(self, name: str) -> bool:
        """Ends the offer. True if no event ever named the file: whoever offered it removes it then.

        An event that named it may have been followed by one that released it; that one may not be durable
        yet, so then the file is not the offerer's to remove.
        """
        unclaimed = name in self._unclaimed
        self._unclaimed.discard(name)
        return unclaimed

    def keep(self, name: str) -> None:
        """Live state now stands on the payload file ``name``."""
        self._unclaimed.discard(name)
        self.payloads.add(name)

    def release(self, name: str) -> None:
        """Live state no longer stands on it: the file goes once the event that says so is durable."""
        self.payloads.discard(name)
        self._released.append(name)

    def take_released(self) -> list[str]:
        """The names released since the last call."""
        released, self._released = self._released, []
        return released


class Slice(Protocol):
    """One domain's part of the state.

    Entries are immutable values held in tables and replaced on change, never mutated: so a view of the
    tables, made between two batches, is a consistent snapshot.
    """

    name: str

    def handlers(self) -> Mapping[type[Event], Apply]:
        """Which event changes this slice how: ``handler(event, stamp)``. Total and pure: no clock, no I/O,
        no refusal.

        An event about something that is not there (its put was erased since) changes nothing.
        """

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """Which command is decided how: ``decide(command, now)`` answers events or raises ``Refused``; it
        changes nothing.

        ``now`` is in nanoseconds since the epoch.
        """

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        """``expire(key, now)`` answers the events that end what is due under ``key``; called with due keys
        only."""

    def restaters(self) -> Mapping[str, Restater]:
        """How entries are restated, by the first word of their locators."""

    def resources(self) -> Iterable[bytes]:
        """The resources of all entries, as the very objects that the entries hold."""

    def place(self, seq: int, address: int) -> None:
        """The content of record ``seq``, applied with address -1, has been written at ``address``."""

    def freeze(self) -> Frozen:
        """The entries of this moment: its rows come in the order of the tables, which replay repeats, so
        equal states give equal rows."""

    def load(self, rows: Iterable[Any]) -> None:
        """Fills the empty slice from rows, arms its deadlines and keeps its payload files."""

    def check(self) -> None:
        """Asserts that the secondary indexes, deadlines and payload names agree with the entries (tests,
        audit)."""
