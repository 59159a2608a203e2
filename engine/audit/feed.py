"""The events after a record, as notifications report them.

Each is read from the journal when it is reported, so nothing that was erased meanwhile is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from retain.engine import wire
from retain.engine.areas import events as areas
from retain.engine.audit.log import CAUSES
from retain.engine.blobs import container_events as containers
from retain.engine.blobs import events as blobs
from retain.engine.blobs.entries import ticks
from retain.engine.core.errors import Unavailable
from retain.engine.core.event import Cause, Event, Interface
from retain.engine.history.events import LOSS_ACCEPTED, ErasureOrdered, HistoryChanged
from retain.engine.settings import events as settings
from retain.engine.tokens import events as tokens
from retain.journal import JournalError, Record, Verb
from retain.journal.lookup.trail import Trail

_CAUSES = {int(number): name for name, number in CAUSES.items()}
_INTERFACES: Final[dict[int, str]] = {
    Interface.AREAS: "areas",
    Interface.SETTINGS: "settings",
    Interface.BLOBS: "blobs",
    Interface.ENGINE: "journal",
}
_KINDS: Final[dict[type[Event], str]] = {
    areas.AreaCreated: "area.created",
    areas.AreaUpdated: "area.updated",
    areas.FileStored: "area.updated",
    areas.AreaDeleted: "area.deleted",
    settings.DocumentSet: "settings.changed",
    settings.DocumentChanged: "settings.changed",
    settings.DocumentDeleted: "settings.deleted",
    containers.ContainerCreated: "container.created",
    containers.ContainerDeleted: "container.deleted",
    containers.ContainerClosed: "container.deleted",
    blobs.BlobPut: "blob.created",
    blobs.BlocksCommitted: "blob.created",
    blobs.BlobDeleted: "blob.deleted",
    tokens.TokenIssued: "token.issued",
    tokens.TokenRevoked: "token.revoked",
    tokens.KeyRotated: "key.rotated",
    tokens.TokenExpired: "token.expired",
    HistoryChanged: "journal.changed",
    ErasureOrdered: "erasure.ordered",
}
_ENDS: Final = {"area.deleted": "area.expired", "blob.deleted": "blob.expired"}
"""The kinds of events for ends at the deadline."""
ERASED: Final = "erasure.done"
KINDS: Final = frozenset({*_KINDS.values(), *_ENDS.values(), ERASED})
"""All kinds of notifications."""
_WITHOUT_EFFECT: Final = frozenset((int(Cause.RESTATED),))
"""Causes of records without an effect for clients."""


@dataclass(frozen=True, slots=True)
class Notification:
    """An event for notifications.

    Attributes:
        seq: Sequence number of its record.
        time: Nanoseconds since the epoch.
        kind: One of `KINDS`.
        interface: `areas`, `settings`, `blobs` or `journal`.
        cause: A key of `engine.audit.CAUSES`; empty if there is none.
        resource: The resource's number, 32 hexadecimal digits.
        names: The names of the resource, such as `account`, `container` and `blob`; and `actor`.
        facts: Numbers and types: `size` in bytes, `content_type`, `modified` in nanoseconds, `etag` in
            ticks, `records`.
    """

    seq: int
    time: int
    kind: str
    interface: str
    cause: str
    resource: str
    names: dict[str, str] = field(repr=False)
    facts: dict[str, Any]


class Feed:
    """Reads events. Blocking; for any thread.

    Args:
        trail: The places of the journal's records, which a server may have open.
    """

    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def after(self, seq: int, durable: int, most: int) -> tuple[list[Notification], int]:
        """Return the events after record `seq`, and the last record examined.

        Args:
            seq: Sequence number.
            durable: The last record that may be reported.
            most: Most records examined.

        Raises:
            Unavailable: The journal cannot be read.
        """
        last = seq
        found = []
        try:
            for spot in islice(self._trail.after(seq), most):
                if spot.header.seq > durable:
                    break
                last = spot.header.seq
                if (
                    spot.header.cause not in _WITHOUT_EFFECT
                    and (notification := notification_of(spot.read())) is not None
                ):
                    found.append(notification)
        except (JournalError, OSError) as error:
            raise Unavailable(f"the journal cannot be read: {error}", reason="disk") from error
        return found, last

    def at(self, seq: int) -> Notification | None:
        """Return the event of record `seq`; None if it was erased or has none. Raises `Unavailable`."""
        return next((one for one in self.after(seq - 1, seq, 1)[0] if one.seq == seq), None)


def notification_of(record: Record) -> Notification | None:
    """Return the event of `record`; None if it has none, or was erased."""
    header = record.header
    about = wire.about(record)
    if about is None:
        if header.interface == Interface.ENGINE and header.verb == Verb.ERASED and record.content:
            return _notification(record, ERASED, {}, {})
        return None
    kind = None if about.kind is None else _KINDS.get(about.kind)
    if kind is None:
        return None
    if header.cause == Cause.EXPIRED:
        kind = _ENDS.get(kind, kind)
    try:
        event = wire.readable(record)
    except wire.UnknownEvent:
        return None
    names = {key: value for key in _NAMES if isinstance(value := about.details.get(key), str)}
    names["actor"] = about.actor
    return _notification(record, kind, names, {} if event is None else dict(_facts(event)))


_NAMES: Final = ("account", "container", "blob", "name", "user", "key", "application", "device")
"""Fields of details that contain names."""


def _notification(record: Record, kind: str, names: dict[str, str], facts: dict[str, Any]) -> Notification:
    header = record.header
    return Notification(
        seq=header.seq,
        time=header.time,
        kind=kind,
        interface=_INTERFACES.get(header.interface, "journal"),
        cause=_CAUSES.get(header.cause, ""),
        resource=header.resource.hex(),
        names=names,
        facts=facts,
    )


def _facts(event: Event) -> Iterator[tuple[str, Any]]:
    if isinstance(event, blobs.BlobWritten):
        yield "modified", event.modified
        yield "etag", ticks(event.modified)
        yield "content_type", event.headers.content_type
    if isinstance(event, blobs.BlobPut):
        yield "size", event.body.size
    if isinstance(event, tokens.TokenIssued):
        yield "expiry", event.expiry
    if isinstance(event, ErasureOrdered):
        yield "resources", event.things
    if isinstance(event, HistoryChanged):
        yield "change", event.change
        yield "kept", event.kept


def epoch_of(changes: Iterable[HistoryChanged], seq: int) -> str:
    """Return an id of the history of record `seq`: after a restore, later records have a new one."""
    since = [one for one in changes if one.change != LOSS_ACCEPTED and one.kept < seq]
    return max(since, key=lambda one: one.time).resource.hex()[:8] if since else "0"


def rewound(changes: Iterable[HistoryChanged], known: Callable[[str], bool]) -> tuple[int | None, list[str]]:
    """Return the last record kept by all changes of history that are not `known`, and these changes.

    None if nothing changed. Receivers of later records must be notified again from there on.
    """
    new = [one for one in changes if one.change != LOSS_ACCEPTED and not known(one.resource.hex())]
    return min((one.kept for one in new), default=None), [one.resource.hex() for one in new]
