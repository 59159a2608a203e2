"""The export of everything stored about a person, as JSON values and files (GDPR, article 15).

It contains the data that clients see, data past its deadline or deleted and not erased yet, earlier versions,
and the log. Read from the data folder beside a running server, without a lock; blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.areas.state import AreaFile as AreaFile
from retain.engine.areas.state import record_key
from retain.engine.audit import log as audit
from retain.engine.audit.contents import HELD_BY
from retain.engine.audit.settings_versions import versions
from retain.engine.blobs.entries import Composite
from retain.engine.core.body import Inline, OnDisk, StoredBody, unpack_body
from retain.engine.core.event import Event, Stamp
from retain.engine.core.pattern import called
from retain.engine.core.role import Data
from retain.engine.core.time import timestamp
from retain.engine.holds.target import HoldKind
from retain.engine.persons.end import HELD, LIVING, status_of
from retain.engine.persons.find import Selection, Subject, recorded
from retain.engine.settings.events import SettingsEvent
from retain.engine.settings.model import Missing
from retain.engine.snapshots.load import present
from retain.engine.state import State
from retain.journal.lookup.history import history
from retain.journal.lookup.index import Indexes

CHUNK = 1 << 20
HIDDEN = "hidden"
"""The status of live data past its deadline: no client sees it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A body to be written to a file of its own.

    Attributes:
        name: Its name at the client.
        size: Length in bytes.
        chunks: Its bytes; to be called once. Raises `journal.Corrupt` if it was erased meanwhile.

    """

    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DossierEntry:
    """One stored resource.

    Attributes:
        facts: Its facts, as JSON values.
        files: Its bodies, in the order of `facts["files"]`, which has their names and sizes.

    """

    facts: dict[str, Any]
    files: tuple[Attachment, ...]


class Dossier:
    """An export, at one moment.

    Args:
        disk: The data folder.
        asked: The selection.
        now: The present, nanoseconds since the epoch: data past its deadline is marked.
        progress: Called with the sequence number of each record read.

    Raises:
        journal.Corrupt: The journal is damaged.
        wire.UnknownEvent: It was written by a newer version.
        OSError: It cannot be read.

    """

    def __init__(
        self, disk: journal.Disk, asked: Selection, now: int, progress: audit.Progress | None = None
    ) -> None:
        self._disk = disk
        self._asked = asked
        self._state = present(disk, progress)
        self.subjects = recorded(disk, asked, progress)
        self._indexes = Indexes(disk)
        wanted = {subject.target.resource.hex() for subject in self.subjects}
        self._present = {
            holding["resource"]: holding
            for held_by in HELD_BY.values()
            for holding in held_by(self._state, now)
            if holding["resource"] in wanted
        }

    def entries(self) -> Iterator[DossierEntry]:
        """Yield all stored data, one resource at a time."""
        for subject in self.subjects:
            yield self._entry(subject)

    def actions(self, progress: audit.Progress | None = None) -> Iterator[dict[str, Any]]:
        """Yield the actions of the selected users and actors, on any resource, as lines of the audit log."""
        actors = {*self._asked.actors, *(f"user:{user}" for user in self._asked.users)}
        for entry in audit.log(self._disk, audit.Filter(), progress) if actors else ():
            if any(called(entry.actor, actor) for actor in actors):
                yield _line(entry)

    def _entry(self, subject: Subject) -> DossierEntry:
        target = subject.target
        records = list(history(self._disk, target.resource, indexes=self._indexes))
        contents = {record.content_at: record.content for record in records if record.content}
        live = list(_bodies(self._state, subject))
        files = [self._attached(name, held, contents) for name, held in live]
        files += self._past(records, live)
        resource = target.resource.hex()
        present = self._present.get(resource)
        status = status_of(self._state, target)
        facts = {
            "interface": subject.interface,
            "kind": str(target.kind),
            "name": target.subject,
            "resource": resource,
            "status": HIDDEN if status == LIVING and present is None else status,
            "first": timestamp(subject.first),
            "last": timestamp(subject.last),
            "present": present,
            "files": [{"name": file.name, "size": file.size} for file in files],
            "history": [{**_line(audit.entry_of(record)), **_values(record)} for record in records],
        }
        if target.kind is HoldKind.DOCUMENT:
            facts["versions"] = list(_versions(records))
        return DossierEntry(facts, tuple(files))

    def _attached(
        self, name: str, held: StoredBody | Composite, contents: Mapping[int, bytes | None]
    ) -> Attachment:
        pieces = [block.body for block in held.blocks] if isinstance(held, Composite) else [held]

        def chunks() -> Iterator[bytes]:
            for piece in pieces:
                yield from self._read(piece, contents)

        return Attachment(name, held.size, chunks)

    def _read(self, held: StoredBody, contents: Mapping[int, bytes | None]) -> Iterator[bytes]:
        if isinstance(held, Inline):
            yield held.data
        elif isinstance(held, OnDisk):
            content = contents.get(held.address)
            if content is None:
                raise journal.Corrupt("the content was erased meanwhile", file="journal")
            yield msgpack.unpackb(content, strict_map_key=False)["data"]
        else:
            reader = journal.PayloadStore(self._disk).open(held)
            try:
                for start in range(0, held.size, CHUNK):
                    yield reader.read(start, min(CHUNK, held.size - start))
            finally:
                reader.close()

    def _past(
        self, records: Iterable[journal.Record], live: Iterable[tuple[str, StoredBody | Composite]]
    ) -> Iterator[Attachment]:
        """Yield the bodies in records that live state no longer needs, as far as they still exist."""
        standing = {place for _, held in live for place in _places(held)}
        there = set(journal.PayloadStore(self._disk).names())
        for record in records:
            content = msgpack.unpackb(record.content, strict_map_key=False) if record.content else None
            if not isinstance(content, dict) or not {"data", "payload"} & content.keys():
                continue
            body = unpack_body(content)
            place = record.content_at if isinstance(body, Inline) else body.name
            if place not in standing and (isinstance(place, int) or place in there):
                yield self._attached(f"record-{record.header.seq}", body, {})


def _places(held: StoredBody | Composite) -> Iterator[int | str]:
    """Return where a body is: addresses in the journal, names of files."""
    if isinstance(held, Composite):
        for block in held.blocks:
            yield from _places(block.body)
    elif isinstance(held, OnDisk):
        yield held.address
    else:
        assert not isinstance(held, Inline), "a replayed state finds every small body in its record"
        yield held.name


def _bodies(state: State, subject: Subject) -> Iterator[tuple[str, StoredBody | Composite]]:
    """Yield the bodies that live state keeps of a resource, with their names."""
    target = subject.target
    if target.kind is HoldKind.AREA:
        area = state.areas.areas.get(record_key(*target.names))
        if area is not None and area[0] == target.resource:
            for key, value in zip(area[2], area[3], strict=True):
                if isinstance(value, AreaFile):
                    yield value.filename or key, value.body
    elif target.kind is HoldKind.BLOB:
        account, name, blob = target.names
        container = state.blobs.find(account, name)
        if container is None:
            return
        if blob in container.blobs and container.blobs[blob].resource == target.resource:
            yield blob, container.blobs[blob].body
        if blob in container.pending and container.pending[blob].resource == target.resource:
            for block in container.blocks(blob):
                yield f"{blob}.block-{block.block_id.hex()}", block.body


def _values(record: journal.Record) -> dict[str, Any]:
    """Return the short values that a record holds; nothing if it holds none, or if they were erased."""
    event = wire.readable(record)
    values = getattr(event, event.VALUES) if event is not None and event.VALUES else None
    if not values or event is None:
        return {}
    return {"values" if event.DATA is Data.AREA else event.VALUES: dict(values)}


def _versions(records: Iterable[journal.Record]) -> Iterator[dict[str, Any]]:
    events: list[tuple[Event, Stamp]] = []
    for record in records:
        event = wire.readable(record)
        if isinstance(event, SettingsEvent):
            events.append((event, Stamp(record.header.seq, record.header.time, record.content_at)))
    for version in versions(events):
        yield {
            "revision": version.revision,
            "time": timestamp(version.time),
            "actor": version.actor,
            "method": version.method,
            "path": list(version.path),
            "document": None if isinstance(version.value, Missing) else version.value,
        }


def _line(entry: audit.AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "time": timestamp(entry.time),
        "event": entry.event,
        "cause": entry.cause,
        "actor": entry.actor,
        "name": entry.subject,
        "erased": list(entry.erased),
        "details": entry.details,
    }


__all__ = ["HELD", "HIDDEN", "Attachment", "Dossier", "DossierEntry"]
