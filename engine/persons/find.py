"""Finds what is stored about a person, a tenant or a query in the journal (GDPR, articles 15 and 17).

The journal contains more than live state: also data that was overwritten or deleted and is not erased yet. So
it is searched, and misses nothing that a client can see or a file contains.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.core.pattern import Wanted, called
from retain.engine.holds.target import NAMES, HoldKind, HoldTarget
from retain.engine.settings.model import Level
from retain.journal.lookup.history import history

Progress = Callable[[int], None]

FEW = 64
"""Most resources that are looked up one by one; for more, the whole journal is read once."""

INTERFACES: dict[HoldKind, str] = {
    HoldKind.AREA: "areas",
    HoldKind.DOCUMENT: "settings",
    HoldKind.BLOB: "blobs",
}
"""The interface of each kind of personal data. Containers, tokens and holds are not among them: they contain
nothing about persons (`Data.NONE`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selection of data. Selectors are combined with OR; only `names` and `tags` with AND.

    Attributes:
        users: User names of the settings interface.
        customers: `gms_user` of the areas interface.
        tenants: Accounts of the blob interface.
        actors: Actors as the audit log writes them, or patterns of them.
        resources: Numbers, 16 bytes each.
        names: Names as the audit log writes them, or patterns of them.
        tags: Blob tags that must all have been set in one record of the blob.

    """

    users: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    actors: frozenset[Wanted] = frozenset()
    resources: frozenset[bytes] = frozenset()
    names: tuple[Wanted, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether anything is selected."""
        return any(getattr(self, name) for name in self.__slots__)

    @property
    def by_number(self) -> bool:
        """Return whether only numbers are selected: then no search through the journal is needed."""
        return not any(getattr(self, name) for name in self.__slots__ if name != "resources")

    def matches(self, kind: HoldKind, resource: bytes, about: wire.About) -> bool:
        """Return whether a record shows that its resource is selected."""
        details = about.details
        if resource in self.resources:
            return True
        if kind is HoldKind.DOCUMENT and details["level"] != Level.GLOBAL and details["user"] in self.users:
            return True
        if kind is HoldKind.AREA and details["user"] is not None and details["user"] in self.customers:
            return True
        if kind is HoldKind.BLOB and details["account"] in self.tenants:
            return True
        if any(called(about.actor, actor) for actor in self.actors):
            return True
        return self._queried(about.kind.subject(details) if about.kind is not None else "", details)

    def _queried(self, subject: str, details: Mapping[str, Any]) -> bool:
        if self.names and not any(called(subject, name) for name in self.names):
            return False
        if self.tags:
            tags = dict(details.get("tags") or ())
            return all(tags.get(name) == value for name, value in self.tags.items())
        return bool(self.names)


@dataclass(slots=True)
class Subject:
    """A stored resource, and its records in the journal.

    Attributes:
        target: Its kind, number and names.
        first: Time of its first record, nanoseconds since the epoch.
        last: Time of its last.
        records: How many there are.
        kept: How many of them have content that is not erased.
        size: Bytes of that content; of bodies in files, their length.

    """

    target: HoldTarget
    first: int = 0
    last: int = 0
    records: int = 0
    kept: int = 0
    size: int = 0

    @property
    def interface(self) -> str:
        """The interface it belongs to."""
        return INTERFACES[self.target.kind]

    def add(self, record: journal.Record) -> None:
        """Count one of its records."""
        self.first = self.first or record.header.time
        self.last = record.header.time
        self.records += 1
        if record.content:
            self.kept += 1
            self.size += _size(record.content)


def _size(content: bytes) -> int:
    """Return the bytes of the values in a content, without packing and digests."""
    return _size_of(msgpack.unpackb(content, strict_map_key=False))


def _size_of(value: Any) -> int:
    match value:
        case {"payload": _, "size": int(size)}:
            return size
        case {"data": bytes(data)}:
            return len(data)
        case dict():
            return sum(_size_of(one) for one in value.values())
        case list():
            return sum(_size_of(one) for one in value)
        case str():
            return len(value.encode("utf-8", "surrogatepass"))
        case bytes():
            return len(value)
        case _:
            return 0


def kind_of(about: wire.About | None) -> HoldKind | None:
    """Return the kind of a record's data; None if it has none, or if its details were erased."""
    if about is None or about.kind is None:
        return None
    return HoldKind(about.kind.DATA) if about.kind.DATA else None


def target_of(kind: HoldKind, resource: bytes, details: Mapping[str, Any]) -> HoldTarget:
    """Return the target of a record."""
    return HoldTarget(kind, resource, tuple(details[name] for name in NAMES[kind]))


def recorded(disk: journal.Disk, asked: Selection, progress: Progress | None = None) -> list[Subject]:
    """Return all resources that ever matched and still have records, in the order of first records."""
    found: dict[bytes, Subject] = {}
    records = _records_of(disk, asked.resources) if asked.by_number else journal.scan(disk)
    for record in records:
        if progress is not None:
            progress(record.header.seq)
        resource = record.header.resource
        about = wire.about(record)
        kind = kind_of(about)
        if resource in found or kind is None or about is None:
            continue
        if asked.matches(kind, resource, about):
            found[resource] = Subject(target_of(kind, resource, about.details))
    for record in _records_of(disk, found):
        found[record.header.resource].add(record)
    return list(found.values())


def _records_of(disk: journal.Disk, resources: Collection[bytes]) -> Iterator[journal.Record]:
    """Yield all records of these resources: by the indexes for a few, else by reading everything once."""
    if len(resources) <= FEW:
        for resource in resources:
            yield from history(disk, resource)
    else:
        wanted = frozenset(resources)
        yield from (record for record in journal.scan(disk) if record.header.resource in wanted)


def remains(
    disk: journal.Disk, resources: Collection[bytes], *, names: bool = False
) -> list[tuple[int, journal.Part]]:
    """Return the parts of all records of these resources that are not erased, as `Engine.erase` takes them.

    Args:
        disk: The data folder.
        resources: The numbers of the resources.
        names: Also the details: names and actors.
    """
    found: list[tuple[int, journal.Part]] = []
    for record in _records_of(disk, resources):
        part = journal.Part(0)
        if record.content:
            part |= journal.Part.CONTENT
        if names and record.details:
            part |= journal.Part.DETAILS
        if part:
            found.append((record.header.seq, part))
    return sorted(found)
