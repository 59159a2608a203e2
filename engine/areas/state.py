"""The existing areas, and how each event changes them.

An area is a plain tuple and its parts are strings, numbers and tuples again. So a million of them stay small,
and the garbage collector, which stops tracking tuples without collectable contents, never walks them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern
from types import MappingProxyType

from retain.engine.areas.events import (
    AreaCreated,
    AreaDeleted,
    AreaEvent,
    AreaRestated,
    AreaUpdated,
    FileStored,
    KeysExpired,
)
from retain.engine.core.body import Inline, OnDisk, StoredBody, stored_bytes
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Cause, Stamp
from retain.engine.core.snapshot_table import SnapshotTable
from retain.journal import Payload


@dataclass(frozen=True, slots=True)
class AreaFile:
    """A file, or a long text, as live state keeps it.

    Attributes:
        filename: The client's file name.
        media_type: Its Content-Type as sent; None marks a text, kept as UTF-8.
        body: Its stored body.
        seq: The record that holds them, or the key of their payload file.

    """

    filename: str
    media_type: str | None
    body: StoredBody
    seq: int


Value = str | AreaFile
Ends = int | tuple[int, ...]
"""Deadlines in nanoseconds: one per key, or a single number if all keys share it (0 without keys)."""
Area = tuple[bytes, int, tuple[str, ...], tuple[Value, ...], Ends]
"""Resource, deadline of an area created without keys (else 0), keys, values, deadlines of the keys."""

_AREA = DeadlineKind.AREA
NO_AREA: Area = (b"", 0, (), (), 0)
NO_FILES: Mapping[int, AreaFile] = MappingProxyType({})


def record_key(name: str, user: str | None) -> str:
    """Return the key under which an area is kept (docs/wire/areas.md, section 3).

    That is the id itself, or customer and custom id together. NUL never occurs in an id or a user, so no
    plain id can name a customer's area.
    """
    return name if user is None else f"\0{user}\0{name}"


def split_key(key: str) -> tuple[str, str | None]:
    """Return id and customer; the inverse of `record_key`."""
    if not key.startswith("\0"):
        return key, None
    _, user, name = key.split("\0", 2)
    return name, user


def key_ends(area: Area) -> tuple[int, ...]:
    """Return the deadline of each key."""
    _, _, names, _, ends = area
    return (ends,) * len(names) if isinstance(ends, int) else ends


def next_end(area: Area) -> int:
    """Return the next deadline of an area: that of its first key to expire, or its own if it has no keys."""
    _, base, names, _, ends = area
    if not names:
        return base
    return ends if isinstance(ends, int) else min(ends)


def last_end(area: Area) -> int:
    """Return when the area expires: with its last key, or at its own deadline if created without keys."""
    ends = area[4]
    return max(area[1], ends if isinstance(ends, int) else max(ends))


SHARED_KEYS_MAX = 64
"""Areas with more keys than this do not share them: few have the same keys, and a shared table costs memory.
"""


def shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return these keys as one object, shared by all areas with the same keys, as most of a site are."""
    return _shared(names) if len(names) <= SHARED_KEYS_MAX else names


@lru_cache(maxsize=4096)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(intern, names))


def text_size(text: str) -> int:
    """Return the number of UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode())


def value_size(value: Value) -> int:
    """Return the bytes of a value."""
    return text_size(value) if isinstance(value, str) else value.body.size


def area_size(area: Area) -> int:
    """Return the bytes of all keys and values, which count towards the quota."""
    names = text_size("".join(area[2]))
    try:
        return names + text_size("".join(area[3]))  # type: ignore[arg-type]  # texts alone, as most areas have
    except TypeError:
        return names + sum(map(value_size, area[3]))


def files_of(values: tuple[Value, ...]) -> Mapping[int, AreaFile]:
    """Return the files and long texts among values, by their records."""
    if AreaFile not in map(type, values):
        return NO_FILES
    return {value.seq: value for value in values if isinstance(value, AreaFile)}


def payload_names(area: Area) -> set[str]:
    """Return the names of the payload files that the area needs."""
    files = files_of(area[3]).values()
    return {file.body.name for file in files if isinstance(file.body, Payload)}


def _joined(ends: list[int]) -> Ends:
    """Return the shortest form of these deadlines."""
    if not ends:
        return 0
    return ends[0] if ends.count(ends[0]) == len(ends) else tuple(ends)


class AreasState:
    """All areas and what is derived from them.

    Attributes:
        areas: Record key to area. Values are replaced, never mutated.
        owned: Customer to the record keys of the customer's areas.
        size: Bytes in all areas, including due ones that are not swept yet.

    """

    def __init__(self, shared: SharedState) -> None:
        self.shared = shared
        self.areas: SnapshotTable[str, Area] = SnapshotTable()
        self.owned: dict[str, set[str]] = {}
        self.size = 0
        self._unplaced: dict[int, tuple[str, str, Inline]] = {}

    def created(self, event: AreaCreated, stamp: Stamp) -> None:
        """Apply `AreaCreated`."""
        user, values, until = event.user, event.values, event.until
        key = event.name if user is None else record_key(event.name, user)
        names = shared(event.keys)
        area: Area = (event.resource, event.base, names, values, until if names else 0)
        areas = self.areas
        if key in areas:
            self._replace(key, area, stamp)
            return
        # What `_replace` would do, shorter: replay consists of this.
        areas[key] = area
        self.size += text_size("".join(names + values))
        self.shared.deadlines.arm(until if names else event.base, _AREA, key)
        if user is not None:
            self.owned.setdefault(user, set()).add(key)

    def updated(self, event: AreaUpdated, stamp: Stamp) -> None:
        """Apply `AreaUpdated`."""
        if event.cause is Cause.RESTATED:
            self._fill(event, stamp)
        else:
            until, base, whole = event.until, event.base, event.whole
            self._merge(event, stamp, event.texts, until, base=base, whole=whole)

    def restated(self, event: AreaRestated, stamp: Stamp) -> None:
        """Apply `AreaRestated`. The texts that it does not hold follow before anything reads them."""
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is None or area[0] != event.resource:
            area = NO_AREA
        present: dict[str, Value] = {**dict(zip(area[2], area[3], strict=True)), **event.texts}
        # A file that is not there was replaced later, and its record erased since.
        gone = {name for name in event.files if name not in present}
        rows = [row for row in zip(event.keys, event.ends, strict=True) if row[0] not in gone]
        names = shared(tuple(name for name, _ in rows))
        values = tuple(present.get(name, "") for name in names)
        ends = _joined([end for _, end in rows])
        self._replace(key, (event.resource, event.base, names, values, ends), stamp)
        # In order of the last full statement: the first one may be erased by the time of a replay.
        self.areas[key] = self.areas.pop(key)

    def _fill(self, event: AreaUpdated, stamp: Stamp) -> None:
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is not None and area[0] == event.resource:
            texts = event.texts
            values = tuple(texts.get(name, value) for name, value in zip(area[2], area[3], strict=True))
            self._replace(key, (*area[:3], values, area[4]), stamp)

    def stored(self, event: FileStored, stamp: Stamp) -> None:
        """Apply `FileStored`. A small body stays in memory until its record is written."""
        held: StoredBody = event.body
        if isinstance(held, Inline):
            if stamp.address >= 0:
                held = OnDisk(stamp.address, held.size)
            else:
                key = record_key(event.name, event.user)
                self._unplaced[stamp.seq] = (key, event.key, held)
        file = AreaFile(event.filename, event.media_type, held, stamp.seq)
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is None or area[0] != event.resource or not area[2] or event.key in area[2]:
            self._merge(event, stamp, {event.key: file}, event.until)
        else:
            self._append(key, area, event, file)

    def _append(self, key: str, area: Area, event: FileStored, file: AreaFile) -> None:
        """Add a file under a new key: what `_merge` does, without a look at every other value.

        A form of a thousand files comes as a thousand events.
        """
        resource, base, names, values, ends = area
        until = event.until
        if ends != until:
            ends = (*key_ends(area), until)
        self.size += text_size(event.key) + file.body.size
        if isinstance(file.body, Payload):
            self.shared.keep(file.body.name)
        self.areas[key] = (resource, base, shared((*names, event.key)), (*values, file), ends)
        before = next_end(area)
        if until < before:
            self.shared.deadlines.disarm(before, DeadlineKind.AREA, key)
            self.shared.deadlines.arm(until, DeadlineKind.AREA, key)

    def expired(self, event: KeysExpired, stamp: Stamp) -> None:
        """Apply `KeysExpired`."""
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is None or area[0] != event.resource:
            return
        gone = set(event.keys)
        rows = [row for row in zip(area[2], area[3], key_ends(area), strict=True) if row[0] not in gone]
        names, values, ends = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), ())
        if any(name in gone and isinstance(value, str) for name, value in zip(area[2], area[3], strict=True)):
            self.shared.records.supersede_part()
        area = (area[0], area[1], names, values, _joined(list(ends)))
        self._replace(key, area, stamp, event.cause)

    def deleted(self, event: AreaDeleted, stamp: Stamp) -> None:
        """Apply `AreaDeleted`."""
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is None or area[0] != event.resource:
            return
        self._account(area, NO_AREA, stamp, event.cause)
        self.shared.deadlines.disarm(next_end(area), DeadlineKind.AREA, key)
        del self.areas[key]
        if event.user is not None:
            owned = self.owned[event.user]
            owned.remove(key)
            if not owned:
                del self.owned[event.user]

    def place(self, seq: int, address: int) -> None:
        """Note where a small body was written: from here on it is read from its record."""
        unplaced = self._unplaced.pop(seq, None)
        if unplaced is None:
            return
        key, name, inline = unplaced
        area = self.areas.get(key)
        if area is None:
            return
        resource, base, names, values, ends = area
        index = names.index(name) if name in names else 0
        value = values[index] if values else ""
        if isinstance(value, AreaFile) and value.body is inline:
            placed = AreaFile(value.filename, value.media_type, OnDisk(address, inline.size), seq)
            values = (*values[:index], placed, *values[index + 1 :])
            self.areas[key] = (resource, base, names, values, ends)

    def _merge(
        self,
        event: AreaEvent,
        stamp: Stamp,
        values: dict[str, str] | dict[str, AreaFile],
        until: int,
        *,
        base: int = 0,
        whole: bool = False,
    ) -> None:
        """Write `values` into the area; begin a new one if it is missing because its creation was erased."""
        key = record_key(event.name, event.user)
        area = self.areas.get(key)
        if area is None or area[0] != event.resource:
            area = (event.resource, 0, (), (), 0)
        merged: dict[str, tuple[Value, int]] = {
            name: (value, until if whole else end)
            for name, value, end in zip(area[2], area[3], key_ends(area), strict=True)
        }
        for name, value in values.items():
            old = merged.get(name)
            if old is not None and isinstance(old[0], str):
                self.shared.records.supersede_part()
            elif old is not None and event.cause is not Cause.RESTATED:
                del merged[name]  # to the end: by the time of a replay the old file's record may be erased
            merged[name] = (value, until)
        ends = _joined([end for _, end in merged.values()])
        kept = tuple(value for value, _ in merged.values())
        self._replace(key, (area[0], base or area[1], shared(tuple(merged)), kept, ends), stamp)

    def _replace(self, key: str, area: Area, stamp: Stamp, cause: Cause = Cause.OVERWRITTEN) -> None:
        """Put `area` under `key`, with everything derived from it."""
        old = self.areas.get(key)
        self._account(old or NO_AREA, area, stamp, cause)
        end = next_end(area)
        deadlines = self.shared.deadlines
        if old is None:
            deadlines.arm(end, DeadlineKind.AREA, key)
            if key[0] == "\0":
                user = split_key(key)[1]
                assert user is not None
                self.owned.setdefault(user, set()).add(key)
        elif (before := next_end(old)) != end:
            deadlines.disarm(before, DeadlineKind.AREA, key)
            deadlines.arm(end, DeadlineKind.AREA, key)
        self.areas[key] = area

    def _account(self, old: Area, new: Area, stamp: Stamp, cause: Cause) -> None:
        """Update the total size, the payload files and the records of files for a change."""
        self.size += area_size(new)
        after = files_of(new[3])
        if old is NO_AREA:
            before = NO_FILES
        else:
            self.size -= area_size(old)
            before = files_of(old[3])
        if before is after:
            return
        kept = {file.body.name for file in after.values() if isinstance(file.body, Payload)}
        for name in kept:
            self.shared.keep(name)
        gone = {seq: file.body for seq, file in before.items() if seq not in after}
        for seq, held in gone.items():
            self.shared.records.discard(stamp, seq, stored_bytes(held), old[0], cause)
        for name in sorted({held.name for held in gone.values() if isinstance(held, Payload)} - kept):
            self.shared.release(name)
