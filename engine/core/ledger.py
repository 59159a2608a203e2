"""The record ledger: which records live state depends on, which are garbage, and since when.

Pure and part of the state: it depends on the events and the journal's erase records alone, so replay gives
the
same result, also over records that were erased meanwhile. How long garbage may stay is policy
(`engine/core/policy.py`).

A resource depends on a *chain*: the record that contains it whole and those that changed it since. Some
records
hold a thing of their own, such as a file of an area or a block: they are *apart*; the entry refers to them by
sequence number, and its slice reports when one becomes garbage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain as chained
from itertools import groupby, islice, repeat, takewhile
from operator import attrgetter
from struct import Struct
from typing import Any, NamedTuple

from sortedcontainers import SortedList

from retain.engine.core.event import Cause, Event, Stamp
from retain.engine.core.generations import Generations
from retain.engine.core.role import Locator, RecordRole
from retain.engine.core.snapshot_table import Frozen, SnapshotTable
from retain.journal import Part

CROWDED = 256
"""A longer chain is restated whatever it contains: memory must not grow with history."""
RESOURCES_PER_ROW = 1024
"""Resources in one row of a snapshot."""

Mark = int
"""A sequence number with the size class of the record's content in its lowest four bits: one small object."""
Chain = Mark | tuple[Mark, ...]
"""The records a resource depends on, ascending. Most have one, which is stored without a tuple."""


WHOLE = RecordRole.WHOLE

OVERWRITTEN = int(Cause.OVERWRITTEN)
_MIXES, _KEEPS, _ENDS = 1, 2, 4
_NOTHING: Chain = ()
"""The chain of an entry that depends on no record of its own."""


class GarbageRecord(NamedTuple):
    """A garbage record whose content, or another part that is due, has not been erased yet.

    Attributes:
        since: When it became garbage, nanoseconds since the epoch.
        mark: Its sequence number and the size of its content.
        resource: Its resource.
        cause: The cause of the event that made it garbage.

    """

    since: int
    mark: Mark
    resource: bytes
    cause: int


_LEFT = Struct(">QQ16sI")


def _pack_left(left: GarbageRecord) -> bytes:
    return _LEFT.pack(*left)


def _unpack_left(packed: bytes) -> GarbageRecord:
    return GarbageRecord(*_LEFT.unpack(packed))


class PartlyDead(NamedTuple):
    """A resource that depends on a partially dead record.

    Attributes:
        since: When the first part died, nanoseconds since the epoch.
        locator: Where the entry is found.
        history: Whether the dead part is retained as history for a while.

    """

    since: int
    locator: Locator
    history: bool


def mark_of(seq: int, size: int) -> Mark:
    """Return the mark of record `seq` with `size` bytes of content on disk."""
    return seq << 4 | (size + 4095 >> 12).bit_length()


def seq_of(mark: Mark) -> int:
    """Return the sequence number of a mark."""
    return mark >> 4


def size_of(mark: Mark) -> int:
    """Return an upper bound of the content's bytes on disk; 0 if the record has none."""
    return 4096 << (mark & 15) if mark & 15 else 0


def marks_of(chain: Chain) -> tuple[Mark, ...]:
    """Return the chain as a tuple."""
    return (chain,) if isinstance(chain, int) else chain


class RecordLedger:
    """The chains of all live resources, and the garbage.

    Attributes:
        chains: Resource → its chain. The keys are the objects that the entries hold.
        mixed: Resources to be restated before the dead part of their chains can be erased, oldest first
            except for those restated before.
        crowded: Resources with long chains → where they are found.
        left: Sequence number → garbage that is due at once.
        audited: Up to this record, details of garbage have been erased.
        said: What the slice reported about the event being applied.
        last_left: The last record that made another one garbage: an older snapshot still contains that.

    """

    def __init__(self) -> None:
        self.chains: SnapshotTable[bytes, Chain] = SnapshotTable()
        self.mixed: dict[bytes, PartlyDead] = {}
        self.crowded: dict[bytes, Locator] = {}
        self.left: Generations[int, GarbageRecord] = Generations(_pack_left, _unpack_left)
        self.audited = 0
        self.last_left = 0
        self._past: dict[int, GarbageRecord] = {}
        self._past_order: SortedList[GarbageRecord] = SortedList()
        self._past_of: dict[bytes, list[int]] = {}
        self.said = 0

    def mix(self) -> None:
        """Report that the event being applied superseded part of its resource's earlier records.

        Live state still references the rest of them. Slices call it while they apply an event.
        """
        self.said |= _MIXES

    def keep(self) -> None:
        """Report that the event being applied contains its resource whole, but earlier ones are needed."""
        self.said |= _KEEPS

    def end(self) -> None:
        """Report that the event being applied ended its resource."""
        self.said |= _ENDS

    def leave(self, stamp: Stamp, seq: int, size: int, resource: bytes, cause: int) -> None:
        """Report that record `seq`, which was apart, is garbage since the event at `stamp`."""
        self._leave(GarbageRecord(stamp.time, mark_of(seq, size), resource, cause), stamp.seq)

    def leave_chain(self, stamp: Stamp, resource: bytes, cause: int) -> None:
        """Turn the chain of `resource`, which the event at `stamp` ended, into garbage.

        Slices call it where the event is one of another resource, which contained this one.
        """
        self.mixed.pop(resource, None)
        self.crowded.pop(resource, None)
        # Newest first, as they are erased: what changes something never outlives what it changes.
        for mark in reversed(marks_of(self.chains.pop(resource, ()))):
            self._leave(GarbageRecord(stamp.time, mark, resource, cause), stamp.seq)
        for seq in reversed(
            self._past_of.pop(resource, ())
        ):  # the history of an ended resource is due as well
            left = self._past.pop(seq)
            self._past_order.remove(left)
            self._leave(left._replace(since=stamp.time, cause=cause), stamp.seq)

    def follow(self, event: Event, stamp: Stamp) -> None:
        """Account for the record of `event`, after its slice has applied it."""
        said, self.said = self.said, 0
        kind, resource = event.STANDING, event.resource
        if kind is RecordRole.NONE or kind is RecordRole.APART:
            if said and resource in self.chains:
                self._mix(event, stamp)
            return
        if kind is RecordRole.END or said & _ENDS:
            self.leave_chain(stamp, resource, event.cause)
            return
        mark = mark_of(stamp.seq, stamp.size)
        before = marks_of(self.chains.get(resource, ()))
        if kind is WHOLE and not said & _KEEPS:
            since = self.mixed.pop(resource, PartlyDead(stamp.time, (), False)).since
            self.crowded.pop(resource, None)
            for old in reversed(before):
                self._leave(
                    GarbageRecord(since, old, resource, OVERWRITTEN), stamp.seq, history=event.HISTORY
                )
            self.chains[resource] = mark
            return
        if not before:
            return  # what it changed was erased since
        self.chains[resource] = (*before, mark)
        if said:
            self._mix(event, stamp)
        if len(before) >= CROWDED:
            self.crowded.setdefault(resource, event.locator())

    def erased(self, parts: int, first: int, last: int, *, audit: bool) -> None:
        """Account for the erasure of `parts` of the records `first` to `last`.

        Args:
            parts: A `journal.Part` value.
            first: Sequence number.
            last: Sequence number, included.
            audit: Whether they were erased because the audit period of their details was over.

        """
        if audit and parts & Part.DETAILS:
            self.audited = max(self.audited, last)
        waiting = self.waiting
        if not waiting:
            return
        seqs: Iterable[int] = range(first, last + 1)
        if last - first > waiting:
            seqs = [seq for seq in (*self.left, *self._past) if first <= seq <= last]
        for seq in seqs:
            left = self.left.get(seq) or self._past.get(seq)
            if left is None or not (parts & Part.CONTENT or left.mark & 15 == 0):
                continue
            if self.left.pop(seq) is None:
                self._drop_past(seq)

    def past(self, until: int) -> Iterator[GarbageRecord]:
        """Yield the history overwritten at or before `until`, oldest first; per resource the newest first."""
        found = takewhile(lambda one: one.since <= until, self._past_order)
        for _, together in groupby(found, key=attrgetter("since")):
            yield from reversed(list(together))

    def past_since(self, seq: int) -> int | None:
        """Return since when record `seq` is history, nanoseconds since the epoch; None if it is not."""
        left = self._past.get(seq)
        return None if left is None else left.since

    @property
    def waiting(self) -> int:
        """Return how many records are garbage and not erased, history included."""
        return len(self.left) + len(self._past)

    def waits(self, seq: int) -> bool:
        """Return whether record `seq` is garbage and not erased."""
        return seq in self.left or seq in self._past

    def stands_on(self, resource: bytes, seq: int) -> bool:
        """Return whether `seq` is in the chain of `resource`."""
        return any(seq_of(mark) == seq for mark in marks_of(self.chains.get(resource, ())))

    def freeze(self) -> Frozen:
        """Return the ledger of this moment."""
        chains, left = self.chains.view(), self.left.views()
        others: list[Any] = [["audited", self.audited, self.last_left]]
        others += [["mixed", resource, *mixed] for resource, mixed in self.mixed.items()]
        others += [["crowded", resource, locator] for resource, locator in self.crowded.items()]
        past = list(self._past.values())

        def rows() -> Iterator[Any]:
            items = chains.items()
            while row := list(islice(items, RESOURCES_PER_ROW)):
                yield ["chains", b"".join(resource for resource, _ in row), [chain for _, chain in row]]
            yield from others
            for view in left:
                yield from (["left", *_unpack_left(packed)] for _, packed in view.items())
            yield from (["past", *one] for one in past)

        return Frozen(rows, (chains, *left))

    def load(self, rows: Iterable[Any], resources: Iterable[bytes]) -> None:
        """Fill an empty ledger from rows.

        Args:
            rows: From `freeze`.
            resources: The objects that the entries hold, which become the keys here as well.

        Raises:
            ValueError: A row is of an unknown kind.

        """
        expected = iter(resources)
        for kind, *fields in rows:
            match kind:
                case "chains":
                    joined, chains = fields
                    names = list(islice(expected, len(chains)))
                    if b"".join(names) != joined:
                        # In another order. A dict keeps the key that it has when a value is set under an
                        # equal one.
                        self.chains.update(zip(chained(names, expected), repeat(_NOTHING), strict=False))
                        names = [joined[at : at + 16] for at in range(0, len(joined), 16)]
                    self.chains.update(zip(names, chains, strict=True))
                case "audited":
                    self.audited, self.last_left = fields
                case "mixed":
                    self.mixed[fields[0]] = PartlyDead(fields[1], tuple(fields[2]), fields[3])
                case "crowded":
                    self.crowded[fields[0]] = tuple(fields[1])
                case "left":
                    left = GarbageRecord(*fields)
                    self.left.add(seq_of(left.mark), left)
                case "past":
                    self._add_past(GarbageRecord(*fields))
                case _:
                    raise ValueError(f"the snapshot has a row of the unknown kind {kind}")
        for resource in [resource for resource, found in self.chains.items() if found is _NOTHING]:
            del self.chains[resource]

    def digest_rows(self) -> Iterator[Any]:
        """Yield rows that are equal, and equally ordered, for ledgers with the same chains and garbage.

        They do not depend on what was erased before.
        """
        yield from sorted(self.chains.items())
        yield from sorted((resource, mixed.locator) for resource, mixed in self.mixed.items())
        yield sorted(self.crowded)
        yield sorted(self.left)
        yield sorted(self._past)

    def check(self) -> None:
        """Assert that the indexes agree."""
        assert not self.said
        assert sorted(self._past.values()) == list(self._past_order)
        assert sorted(seq for found in self._past_of.values() for seq in found) == sorted(self._past)
        assert all(seq == seq_of(one.mark) for seq, one in (*self.left.items(), *self._past.items()))
        assert self.mixed.keys() <= self.chains.keys()
        assert self.crowded.keys() <= self.chains.keys()
        standing = [seq_of(mark) for chain in self.chains.values() for mark in marks_of(chain)]
        waiting = [*self.left, *self._past]
        assert len(set(standing) | set(waiting)) == len(standing) + len(waiting), "a record is counted twice"

    def _mix(self, event: Event, stamp: Stamp) -> None:
        if event.resource not in self.mixed:
            self.mixed[event.resource] = PartlyDead(stamp.time, event.locator(), event.HISTORY)

    def _leave(self, left: GarbageRecord, by: int, *, history: bool = False) -> None:
        self.last_left = by
        if left.mark & 15 == 0 and seq_of(left.mark) > self.audited:
            return  # no content: its details are erased after the audit period
        if history:
            self._add_past(left)
        else:
            self.left.add(seq_of(left.mark), left)

    def _add_past(self, left: GarbageRecord) -> None:
        seq = seq_of(left.mark)
        self._past[seq] = left
        self._past_order.add(left)
        self._past_of.setdefault(left.resource, []).append(seq)

    def _drop_past(self, seq: int) -> None:
        left = self._past.pop(seq)
        self._past_order.remove(left)
        found = self._past_of[left.resource]
        found.remove(seq)
        if not found:
            del self._past_of[left.resource]


def chain_rows(records: RecordLedger) -> Mapping[bytes, tuple[int, ...]]:
    """Resource → sequence numbers of its chain, for tests and reports."""
    return {
        resource: tuple(seq_of(mark) for mark in marks_of(chain))
        for resource, chain in records.chains.items()
    }
