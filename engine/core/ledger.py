"""The record ledger: which records live state depends on, which are garbage, and since when.

Pure and part of the state: it depends on the events and the journal's erase records alone, so replay gives
the same result, also over records that were erased meanwhile. The policy decides how long garbage may stay
(`engine/core/policy.py`).

A resource depends on a *chain*: the record that contains it whole and those that changed it since. Some
records contain a separate object, such as a file of an area or a block. They are *apart*: the entry refers to
them by sequence number, and its slice reports when one becomes garbage.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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

LONG_CHAIN = 256
"""A longer chain is restated whatever it contains: memory must not grow with history."""
RESOURCES_PER_ROW = 1024
"""Resources in one row of a snapshot."""

Mark = int
"""A sequence number with the size class of the record's content in its lowest four bits: one small object."""
RecordChain = Mark | tuple[Mark, ...]
"""The records a resource depends on, ascending. Most have one, which is stored without a tuple."""


WHOLE = RecordRole.WHOLE

OVERWRITTEN = int(Cause.OVERWRITTEN)
_SUPERSEDES_PART, _NEEDS_EARLIER, _ENDS = 1, 2, 4
_NOTHING: RecordChain = ()
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


_GARBAGE = Struct(">Q16sIB")
"""All but the sequence number: the 50,000 blocks of a blob share a few of these."""


def _pack_garbage(garbage: GarbageRecord) -> bytes:
    since, mark, resource, cause = garbage
    return _GARBAGE.pack(since, resource, cause, mark & 15)


def _unpack_garbage(seq: int, packed: bytes) -> GarbageRecord:
    since, resource, cause, size = _GARBAGE.unpack(packed)
    return GarbageRecord(since, seq << 4 | size, resource, cause)


RecordsBySize = Mapping[int, Sequence[int]]
"""Sequence numbers by the size class of their contents, as `size_class` returns it."""


def size_class(size: int) -> int:
    """Return the size class of `size` bytes of content on disk: the lowest four bits of a mark."""
    return (size + 4095 >> 12).bit_length()


class PartlyDead(NamedTuple):
    """A resource that depends on a partially dead record.

    Attributes:
        since: When the first part died, nanoseconds since the epoch.
        locator: The entry's locator.
        history: Whether the dead part is retained as history for a while.

    """

    since: int
    locator: Locator
    history: bool


def mark_of(seq: int, size: int) -> Mark:
    """Return the mark of record `seq` with `size` bytes of content on disk."""
    return seq << 4 | size_class(size)


def seq_of(mark: Mark) -> int:
    """Return the sequence number of a mark."""
    return mark >> 4


def size_of(mark: Mark) -> int:
    """Return an upper bound of the content's bytes on disk; 0 if the record has none."""
    return 4096 << (mark & 15) if mark & 15 else 0


def marks_of(chain: RecordChain) -> tuple[Mark, ...]:
    """Return the chain as a tuple."""
    return (chain,) if isinstance(chain, int) else chain


class RecordLedger:
    """The chains of all live resources, and the garbage.

    Attributes:
        chains: Resource → its chain. The keys are the objects that the entries hold.
        partly_dead: Resources to be restated before the dead part of their chains can be erased, oldest first
            except for those restated before.
        partly_past: Those of them whose dead part is retained as history.
        long_chains: Resources with long chains → where they are found.
        garbage: Sequence number → garbage that is due at once.
        audited: Up to this record, details of garbage have been erased.
        reported: The slice's report about the event being applied.
        last_garbage: The last record that made another one garbage: an older snapshot still contains that.
    """

    def __init__(self) -> None:
        self.chains: SnapshotTable[bytes, RecordChain] = SnapshotTable()
        self.partly_dead: dict[bytes, PartlyDead] = {}
        self.partly_past: dict[bytes, None] = {}
        self.long_chains: dict[bytes, Locator] = {}
        self.garbage: Generations[int, GarbageRecord] = Generations(_pack_garbage, _unpack_garbage)
        self.audited = 0
        self.last_garbage = 0
        self._past: dict[int, GarbageRecord] = {}
        self._past_order: SortedList[GarbageRecord] = SortedList()
        self._past_of: dict[bytes, list[int]] = {}
        self.reported = 0

    def supersede_part(self) -> None:
        """Report that the event being applied superseded part of its resource's earlier records.

        Live state still references the rest of them. Slices call it while they apply an event.
        """
        self.reported |= _SUPERSEDES_PART

    def need_earlier(self) -> None:
        """Report that the event being applied contains its resource whole, but earlier ones are needed."""
        self.reported |= _NEEDS_EARLIER

    def end_resource(self) -> None:
        """Report that the event being applied ended its resource."""
        self.reported |= _ENDS

    def discard(self, stamp: Stamp, seq: int, size: int, resource: bytes, cause: int) -> None:
        """Report that record `seq`, which was apart, is garbage since the event at `stamp`."""
        self._discard(GarbageRecord(stamp.time, mark_of(seq, size), resource, cause), stamp.seq)

    def discard_all(self, stamp: Stamp, records: RecordsBySize, resource: bytes, cause: int) -> None:
        """Report that many records, which were apart, are garbage since the event at `stamp`."""
        for size, seqs in records.items():
            self.last_garbage = stamp.seq
            if size == 0:  # no content: their details are erased after the audit period
                seqs = [seq for seq in seqs if seq <= self.audited]
            self.garbage.add_all(seqs, _GARBAGE.pack(stamp.time, resource, cause, size))

    def discard_chain(self, stamp: Stamp, resource: bytes, cause: int) -> None:
        """Turn the chain of `resource`, which the event at `stamp` ended, into garbage.

        Slices call it where the event is one of another resource, which contained this one.
        """
        self.partly_dead.pop(resource, None)
        self.partly_past.pop(resource, None)
        self.long_chains.pop(resource, None)
        # Newest first, as they are erased: what changes something never outlives what it changes.
        for mark in reversed(marks_of(self.chains.pop(resource, ()))):
            self._discard(GarbageRecord(stamp.time, mark, resource, cause), stamp.seq)
        for seq in reversed(
            self._past_of.pop(resource, ())
        ):  # the history of an ended resource is due as well
            garbage = self._past.pop(seq)
            self._past_order.remove(garbage)
            self._discard(garbage._replace(since=stamp.time, cause=cause), stamp.seq)

    def follow(self, event: Event, stamp: Stamp) -> None:
        """Account for the record of `event`, after its slice has applied it."""
        reported, self.reported = self.reported, 0
        kind, resource = event.ROLE, event.resource
        if kind is RecordRole.NONE or kind is RecordRole.APART:
            if reported and resource in self.chains:
                self._note_partly_dead(event, stamp)
            return
        if kind is RecordRole.END or reported & _ENDS:
            self.discard_chain(stamp, resource, event.cause)
            return
        mark = mark_of(stamp.seq, stamp.size)
        before = marks_of(self.chains.get(resource, ()))
        if kind is WHOLE and not reported & _NEEDS_EARLIER:
            since = self.partly_dead.pop(resource, PartlyDead(stamp.time, (), False)).since
            self.partly_past.pop(resource, None)
            self.long_chains.pop(resource, None)
            for old in reversed(before):
                self._discard(
                    GarbageRecord(since, old, resource, OVERWRITTEN), stamp.seq, history=event.HISTORY
                )
            self.chains[resource] = mark
            return
        if not before:
            return  # what it changed was erased since
        self.chains[resource] = (*before, mark)
        if reported:
            self._note_partly_dead(event, stamp)
        if len(before) >= LONG_CHAIN:
            self.long_chains.setdefault(resource, event.locator())

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
            seqs = [seq for seq in (*self.garbage, *self._past) if first <= seq <= last]
        for seq in seqs:
            garbage = self.garbage.get(seq) or self._past.get(seq)
            if garbage is None or not (parts & Part.CONTENT or garbage.mark & 15 == 0):
                continue
            if self.garbage.pop(seq) is None:
                self._drop_past(seq)

    def past(self, until: int) -> Iterator[GarbageRecord]:
        """Yield the history overwritten at or before `until`, oldest first; per resource the newest first."""
        found = takewhile(lambda one: one.since <= until, self._past_order)
        for _, together in groupby(found, key=attrgetter("since")):
            yield from reversed(list(together))

    def past_until(self, edges: Sequence[int], kept: Collection[bytes]) -> list[int]:
        """Return how many earlier versions were overwritten at or before each instant of `edges`.

        A resource that is to be restated has one with each record of its chain but the last; they become
        history then.

        Args:
            edges: Ascending, in nanoseconds since the epoch.
            kept: Resources that are left out.
        """
        counts = [self._past_order.bisect_left(GarbageRecord(edge + 1, 0, b"", 0)) for edge in edges]
        apart = [(self._past[seq].since, -1) for one in kept for seq in self._past_of.get(one, ())]
        without = set(kept)
        for resource in self.partly_past:
            if (since := self.partly_dead[resource].since) > edges[-1]:
                break  # the others began to die later
            if resource not in without:
                apart.append((since, len(marks_of(self.chains[resource])) - 1))
        for since, more in apart:
            for index in range(bisect_left(edges, since), len(edges)):
                counts[index] += more
        return counts

    def past_since(self, seq: int) -> int | None:
        """Return since when record `seq` is history, nanoseconds since the epoch; None if it is not."""
        garbage = self._past.get(seq)
        return None if garbage is None else garbage.since

    @property
    def waiting(self) -> int:
        """Return how many records are garbage and not erased, history included."""
        return len(self.garbage) + len(self._past)

    def waits(self, seq: int) -> bool:
        """Return whether record `seq` is garbage and not erased."""
        return seq in self.garbage or seq in self._past

    def depends_on(self, resource: bytes, seq: int) -> bool:
        """Return whether `seq` is in the chain of `resource`."""
        return any(seq_of(mark) == seq for mark in marks_of(self.chains.get(resource, ())))

    def freeze(self) -> Frozen:
        """Return the ledger of this moment."""
        chains, garbage = self.chains.view(), self.garbage.views()
        others: list[Any] = [["audited", self.audited, self.last_garbage]]
        others += [["mixed", resource, *partly_dead] for resource, partly_dead in self.partly_dead.items()]
        others += [["crowded", resource, locator] for resource, locator in self.long_chains.items()]
        past = list(self._past.values())

        def rows() -> Iterator[Any]:
            # On disk: "mixed" is `partly_dead`, "crowded" is `long_chains`, "left" is `garbage`.
            items = chains.items()
            while row := list(islice(items, RESOURCES_PER_ROW)):
                yield ["chains", b"".join(resource for resource, _ in row), [chain for _, chain in row]]
            yield from others
            for view in garbage:
                yield from (["left", *_unpack_garbage(seq, packed)] for seq, packed in view.items())
            yield from (["past", *one] for one in past)

        return Frozen(rows, (chains, *garbage))

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
                    self.audited, self.last_garbage = fields
                case "mixed":
                    self._part_died(fields[0], PartlyDead(fields[1], tuple(fields[2]), fields[3]))
                case "crowded":
                    self.long_chains[fields[0]] = tuple(fields[1])
                case "left":
                    garbage = GarbageRecord(*fields)
                    self.garbage.add(seq_of(garbage.mark), garbage)
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
        yield from sorted(
            (resource, partly_dead.locator) for resource, partly_dead in self.partly_dead.items()
        )
        yield sorted(self.long_chains)
        yield sorted(self.garbage)
        yield sorted(self._past)

    def check(self) -> None:
        """Assert that the indexes agree."""
        assert not self.reported
        assert sorted(self._past.values()) == list(self._past_order)
        assert sorted(seq for found in self._past_of.values() for seq in found) == sorted(self._past)
        assert all(seq == seq_of(one.mark) for seq, one in (*self.garbage.items(), *self._past.items()))
        assert self.partly_dead.keys() <= self.chains.keys()
        assert list(self.partly_past) == [key for key, one in self.partly_dead.items() if one.history]
        assert self.long_chains.keys() <= self.chains.keys()
        standing = [seq_of(mark) for chain in self.chains.values() for mark in marks_of(chain)]
        waiting = [*self.garbage, *self._past]
        assert len(set(standing) | set(waiting)) == len(standing) + len(waiting), "a record is counted twice"

    def _note_partly_dead(self, event: Event, stamp: Stamp) -> None:
        if event.resource not in self.partly_dead:
            self._part_died(event.resource, PartlyDead(stamp.time, event.locator(), event.HISTORY))

    def _part_died(self, resource: bytes, found: PartlyDead) -> None:
        self.partly_dead[resource] = found
        if found.history:
            self.partly_past[resource] = None

    def _discard(self, garbage: GarbageRecord, by: int, *, history: bool = False) -> None:
        self.last_garbage = by
        if garbage.mark & 15 == 0 and seq_of(garbage.mark) > self.audited:
            return  # no content: its details are erased after the audit period
        if history:
            self._add_past(garbage)
        else:
            self.garbage.add(seq_of(garbage.mark), garbage)

    def _add_past(self, garbage: GarbageRecord) -> None:
        seq = seq_of(garbage.mark)
        self._past[seq] = garbage
        self._past_order.add(garbage)
        self._past_of.setdefault(garbage.resource, []).append(seq)

    def _drop_past(self, seq: int) -> None:
        garbage = self._past.pop(seq)
        self._past_order.remove(garbage)
        found = self._past_of[garbage.resource]
        found.remove(seq)
        if not found:
            del self._past_of[garbage.resource]
