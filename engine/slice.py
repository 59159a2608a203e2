"""What a domain plugs into the engine's state."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from engine.command import Command, Decision
from engine.deadlines import Deadlines, Kind
from engine.event import Event, Stamp
from engine.held import Held

Apply = Callable[[Any, Stamp], None]
Decide = Callable[[Any, int], Decision[Any]]
Expire = Callable[[Any, int], Sequence[Event]]


class Ground:
    """What the slices share: the deadline index, what is under a legal hold, and the payload files that live
    state stands on."""

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.held = Held()
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

    Entries are immutable values held in dicts and replaced on change, never mutated: so a shallow copy of
    the dicts is a
    consistent snapshot, taken between two batches.
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

    def expirers(self) -> Mapping[Kind, Expire]:
        """``expire(key, now)`` answers the events that end what is due under ``key``; called with due keys
        only."""

    def place(self, seq: int, address: int) -> None:
        """The content of record ``seq``, applied with address -1, has been written at ``address``."""

    def freeze(self) -> Callable[[], Iterator[Any]]:
        """A shallow copy of the entries; what it returns yields them as msgpack rows later, in another
        thread, in the
        order of the dicts, which replay repeats: so equal states give equal rows."""

    def load(self, rows: Iterable[Any]) -> None:
        """Fills the empty slice from rows, arms its deadlines and keeps its payload files."""

    def check(self) -> None:
        """Asserts that the secondary indexes, deadlines and payload names agree with the entries (tests,
        audit)."""
