"""The audit log: who did what to which resource and why; and the state at any moment.

Everything here only reads, takes no lock, and works beside a running server. Blocking; nothing here knows
Trio.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from heapq import merge
from typing import Any

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.core.event import Cause, Interface
from retain.engine.core.pattern import Wanted, called
from retain.engine.snapshots.load import rebuilt
from retain.engine.state import State
from retain.journal import NO_RESOURCE, Disk, Header, Part, Record, Verb
from retain.journal.lookup.history import between, history

INTERFACES = {"journal": Interface.ENGINE, **{one.name.lower(): one for one in Interface if one.value}}
"""Name → number in the header. Tokens belong to the blobs; `journal` are the journal's own records."""
VERBS = {verb.name.lower(): verb for verb in Verb}
CAUSES = {cause.name.lower().replace("_", "-"): cause for cause in Cause}

_INTERFACE_NAMES = {int(number): name for name, number in INTERFACES.items()}
_VERB_NAMES = {int(number): name for name, number in VERBS.items()}
_CAUSE_NAMES = {int(number): name for name, number in CAUSES.items()}

FEW = 16
"""Most resources that are looked up by the index; for more, the whole journal is read."""
LAST_MOMENT = (1 << 63) - 1

Progress = Callable[[int], None]
"""Called with the sequence number of each record read."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of records; a field of None matches all.

    Attributes:
        interface: A key of `INTERFACES`.
        resource: The name of a resource, or a pattern of names.
        number: The number of a resource in 32 hexadecimal digits.
        actor: The actor, or a pattern.
        verb: A key of `VERBS`.
        cause: A key of `CAUSES`.
        since: Not before this time, nanoseconds since the epoch.
        until: Before this time.

    """

    interface: str | None = None
    resource: Wanted | None = None
    number: str | None = None
    actor: Wanted | None = None
    verb: str | None = None
    cause: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log.

    Attributes:
        seq: Sequence number of the record.
        time: Nanoseconds since the epoch.
        interface: A key of `INTERFACES`, or the number in the header if it is unknown.
        verb: A key of `VERBS`, or the number.
        event: What happened, as `area-created`; empty if the details were erased.
        resource: The resource's number in hexadecimal digits; empty for records about none.
        subject: Its name; empty if it has none, or if the details were erased.
        actor: Who did it; empty if the details were erased.
        cause: A key of `CAUSES`, or the number; empty if there is none.
        erased: The erased parts: `details`, `content`.
        details: Who and what, as plain JSON values; None if erased or if there are none.

    """

    seq: int
    time: int
    interface: str
    verb: str
    event: str
    resource: str
    subject: str
    actor: str
    cause: str
    erased: tuple[str, ...]
    details: dict[str, Any] | None = field(repr=False)


def log(disk: Disk, wanted: Filter, progress: Progress | None = None) -> Iterator[AuditEntry]:
    """Yield the entries, oldest first.

    A resource given by its name is followed by its number, so records whose details were erased are found
    too. A resource given by its number, and a span of time, are looked up in the journal's indexes. A name is
    stored in the records only, so all of them are read to find it.

    Raises:
        journal.Corrupt: The journal is damaged.
        OSError: It cannot be read.
    """
    resources = None if wanted.number is None else {wanted.number}
    if wanted.resource is not None:
        named = _resources_called(disk, wanted, progress)
        resources = named if resources is None else named & resources
        if not resources:
            return
    wanted = replace(wanted, resource=None)
    for record in _candidates(disk, wanted, resources):
        if progress is not None:
            progress(record.header.seq)
        if not header_matches(record.header, wanted):
            continue
        if resources is not None and record.header.resource.hex() not in resources:
            continue
        entry = entry_of(record)
        if wanted.actor is None or called(entry.actor, wanted.actor):
            yield entry


def _candidates(disk: Disk, wanted: Filter, resources: set[str] | None) -> Iterator[Record]:
    """Yield the records to examine, in order: as few as the indexes allow."""
    if resources is not None and len(resources) <= FEW and NO_RESOURCE.hex() not in resources:
        histories = [history(disk, bytes.fromhex(number)) for number in sorted(resources)]
        return merge(*histories, key=lambda record: record.header.seq)
    if wanted.since is not None or wanted.until is not None:
        start = 0 if wanted.since is None else max(wanted.since, 0)
        return between(disk, start, LAST_MOMENT if wanted.until is None else max(wanted.until, 0))
    return journal.scan(disk)


def newest(entries: Iterator[AuditEntry], limit: int) -> list[AuditEntry]:
    """Return the last `limit` entries, oldest first; all of them if `limit` is 0."""
    return list(deque(entries, maxlen=limit or None))


def entry_of(record: Record) -> AuditEntry:
    """Return a record as a line of the audit log."""
    header = record.header
    about = wire.about(record)
    kind = None if about is None else about.kind
    details = None if about is None else about.details
    event = ""
    if about is not None:
        event = f"unknown-{about.code}" if kind is None else name_of(kind.__name__)
    elif header.interface == Interface.ENGINE and record.content:
        details = _own_details(header.verb, record.content)
    return AuditEntry(
        seq=header.seq,
        time=header.time,
        interface=_INTERFACE_NAMES.get(header.interface, str(header.interface)),
        verb=_VERB_NAMES.get(header.verb, str(header.verb)),
        event=event,
        resource="" if header.resource == NO_RESOURCE else header.resource.hex(),
        subject="" if about is None else wire.subject_of(about),
        actor="" if about is None else about.actor,
        cause=_CAUSE_NAMES.get(header.cause, str(header.cause) if header.cause else ""),
        erased=erased_parts(record),
        details=None if details is None else plain(details),
    )


def erased_parts(record: Record) -> tuple[str, ...]:
    """Return which parts of `record` are erased."""
    parts = (("details", record.details), ("content", record.content))
    return tuple(name for name, part in parts if part is None)


def name_of(event: str) -> str:
    """Return the name of an event: `AreaCreated` → `area-created`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", event).lower()


def plain(value: Any) -> Any:
    """Return `value` with JSON's types only: bytes in hexadecimal digits, keys as texts."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def state_at(
    disk: Disk, time: int | None, progress: Progress | None = None, odd: list[int] | None = None
) -> State:
    """Return the state that the journal replays to, up to `time` (nanoseconds; None: its end).

    Data erased since is missing, as if it had never existed.

    Raises:
        journal.Corrupt: The journal is damaged.
        wire.UnknownEvent: It was written by a newer version.
        OSError: It cannot be read.
    """

    def records() -> Iterator[Record]:
        for record in journal.scan(disk):
            if time is not None and record.header.time > time:
                return
            yield record
            if progress is not None:
                progress(record.header.seq)

    return rebuilt(records, odd)


def header_matches(header: Header, wanted: Filter) -> bool:
    """Return whether a record with this header may match, as far as the header shows."""
    return (
        (wanted.interface is None or header.interface == INTERFACES[wanted.interface])
        and (wanted.verb is None or header.verb == VERBS[wanted.verb])
        and (wanted.cause is None or header.cause == CAUSES[wanted.cause])
        and (wanted.since is None or header.time >= wanted.since)
        and (wanted.until is None or header.time < wanted.until)
    )


def _resources_called(disk: Disk, wanted: Filter, progress: Progress | None) -> set[str]:
    """Return the numbers of all resources that ever had the name."""
    assert wanted.resource is not None
    return {
        entry.resource
        for entry in log(disk, Filter(interface=wanted.interface), progress)
        if entry.resource and called(entry.subject, wanted.resource)
    }


def _own_details(verb: int, content: bytes) -> dict[str, Any]:
    """Return what the journal's own records contain (journal/FORMAT.md, section 6)."""
    value = msgpack.unpackb(content)
    if verb == Verb.ERASE:
        return {
            "erases": [
                {"parts": [str(part.name).lower() for part in Part(parts)], "first": first, "last": last}
                for parts, first, last in value
            ]
        }
    return {"carried_out": value} if verb == Verb.ERASED else {"content": value}
