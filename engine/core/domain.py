"""The interface between a domain and the engine's state."""

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
FREED_AT_ONCE = 1_000
"""Objects that are freed in one step."""

ENDED_RECORDS = 20_000
"""Most records that turn into garbage in one step of expiry, if no entry alone has more: up to 10 ms."""


class Expiry(NamedTuple):
    """What ends a due key.

    Attributes:
        events: The events to record.
        records: How many records turn into garbage by them, roughly.

    """

    events: Sequence[Event]
    records: int


Expire = Callable[[Any, int], Expiry]


class Ahead(ABC):
    """A decision that takes long and is made beside the event loop, before the writer's turn.

    It depends on an excerpt of the state, and is valid only if the excerpt is still current in the command's
    turn.
    """

    @abstractmethod
    def decide(self, now: int) -> Decision[Any]:
        """Decide, in a worker thread. Raises `Refused` as the command's decider does."""

    @abstractmethod
    def holds(self) -> bool:
        """Return whether nothing has changed that the decision depends on."""

    def settle(self, decision: Decision[Any], now: int) -> Decision[Any]:
        """Return the decision in the command's turn, at `now`, from what `decide` returned. Quick.

        Overridden where dates, or what else changes with every write, belong to a decision. Raises `Refused`.
        """
        return decision


LookAhead = Callable[[Any], Ahead | None]
"""Returns the decision to be made ahead for a command; None if deciding is fast."""


class Restated(NamedTuple):
    """One step of restating an entry.

    Attributes:
        events: The events to record; none if the entry does not exist.
        more: Whether another step is needed.

    """

    events: Sequence[Event]
    more: bool


class Restater(ABC):
    """Rewrites a slice's entries of one kind unchanged, so that their older records may be erased.

    The effect is invisible, except for the addresses of bodies and the records that contain them. Most
    entries depend on their chain alone and are in memory as a whole; the others override more methods.
    """

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """Return the records outside of its chain that the entry depends on; none if it does not exist."""
        return ()

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """Return the bodies on disk that the next step needs, a few MiB at most."""
        return ()

    def ahead(self, command: Any) -> Ahead | None:
        """Return the decision to be made ahead for a `Restate` command; None if deciding is fast."""
        return None

    @abstractmethod
    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        """Return the events of the next step, with the cause `RESTATED`. Change nothing.

        Args:
            locator: The entry's locator.
            resource: Its resource; if another resource has the name meanwhile, it is not touched.
            before: Records up to this one become garbage. 0: those that are apart may stay.
            bodies: Address → body, for those that `bodies` returned; a missing one is requested again.

        """


STEP_RECORDS = 128
"""Most records in one step of restating."""
STEP_BYTES = 1 << 20
"""A step reads no further body from disk after this many bytes."""


def first_bytes(held: Iterable[StoredBody | None]) -> Iterator[OnDisk]:
    """Yield the bodies on disk among the first of `held`, as many as one step handles."""
    size = 0
    for body in islice(held, STEP_RECORDS):
        if isinstance(body, OnDisk):
            yield body
            size += body.size
            if size > STEP_BYTES:
                return


class SharedState:
    """State shared by the slices: deadlines, record ledger, legal holds, and the payload files in use.

    Attributes:
        revision: The least revision that a document may get since the last restore or repair.
        modified: The earliest date that a blob's write may get since then, nanoseconds since the epoch.
        buried: Long lists of what live state no longer refers to, freed a part at a time.

    """

    def __init__(self) -> None:
        self.revision = 0
        self.modified = 0
        self.deadlines = Deadlines()
        self.held = HoldIndex()
        self.records = RecordLedger()
        self.payloads: set[str] = set()
        self.buried: list[list[object]] = []
        self._released: list[str] = []
        self._unclaimed: set[str] = set()

    def offer(self, name: str) -> None:
        """Register the durable payload file `name`, which an event may refer to later."""
        self._unclaimed.add(name)

    def withdraw(self, name: str) -> bool:
        """End the offer; return whether no event ever referred to the file, so that its owner must remove it.

        An event that referred to it may have been followed by one that released it, which may not be durable
        yet; then the file is not its owner's to remove.
        """
        unclaimed = name in self._unclaimed
        self._unclaimed.discard(name)
        return unclaimed

    def disown(self) -> None:
        """End all offers: it is unknown whether an event refers to one of them, so no owner removes its file.

        A file that nothing refers to is removed at the next start.
        """
        self._unclaimed.clear()

    def keep(self, name: str) -> None:
        """Record that live state refers to the payload file `name`."""
        self._unclaimed.discard(name)
        self.payloads.add(name)

    def release(self, name: str) -> None:
        """Record that live state no longer refers to the payload file `name`.

        The file is deleted once the releasing event is durable.
        """
        self.payloads.discard(name)
        self._released.append(name)

    def bury(self, things: Sequence[object]) -> None:
        """Keep many objects to which live state no longer refers, so that not all are freed at once.

        Freeing 50,000 blocks takes some 10 ms.
        """
        if len(things) > FREED_AT_ONCE:
            self.buried.append(list(things))

    def free_some(self) -> None:
        """Free some of the kept objects."""
        if self.buried:
            last = self.buried[-1]
            del last[-FREED_AT_ONCE:]
            if not last:
                self.buried.pop()

    def take_released(self) -> list[str]:
        """Return the names released since the last call."""
        released, self._released = self._released, []
        return released


class Slice(Protocol):
    """One domain's part of the state.

    Entries are immutable values in tables; a change replaces them and never mutates them. So a view of the
    tables, made between two batches, is a consistent snapshot.
    """

    name: str

    def handlers(self) -> Mapping[type[Event], Apply]:
        """Return the function that applies each event: `handler(event, stamp)`.

        Handlers are total and pure: no clock, no I/O, no refusal. An event about an entry that does not exist
        (its put was erased since) changes nothing.
        """

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """Return the function that decides each command: `decide(command, now)`.

        It returns events or raises `Refused`, and changes nothing. `now` is in nanoseconds since the epoch.
        """

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        """Return, by kind of deadline, `expire(key, now)`, which returns what ends a due key."""

    def restaters(self) -> Mapping[str, Restater]:
        """Return the restaters, by the first word of their locators."""

    def resources(self) -> Iterable[bytes]:
        """Yield the resources of all entries, as the very objects that the entries hold."""

    def freeze(self) -> Frozen:
        """Return the present entries.

        Rows are in the order of the tables, which replay repeats, so equal states give equal rows.
        """

    def load(self, rows: Iterable[Any]) -> None:
        """Fill the empty slice from rows, arm its deadlines and register its payload files."""

    def check(self) -> None:
        """Assert that indexes, deadlines and payload names agree with the entries (for tests and audits)."""
