"""Events as record parts: the one table of codes, and the upcasting of older shapes.

A details part is the msgpack array `[code, version, actor, fields]`; a content part is the result of the
event's `content()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

from retain.engine.areas import events as areas
from retain.engine.blobs import container_events as containers
from retain.engine.blobs import events as blobs
from retain.engine.core.event import Cause, Event
from retain.engine.history import actions
from retain.engine.history import events as history
from retain.engine.holds import events as holds
from retain.engine.settings import events as settings
from retain.engine.tokens import events as tokens
from retain.journal import Draft, Record

CODES: dict[int, type[Event]] = {
    101: areas.AreaCreated,
    102: areas.AreaUpdated,
    103: areas.FileStored,
    104: areas.KeysExpired,
    105: areas.AreaDeleted,
    106: areas.AreaRestated,
    201: settings.DocumentSet,
    202: settings.DocumentChanged,
    203: settings.ChangeContinued,
    204: settings.DocumentDeleted,
    301: containers.ContainerCreated,
    302: containers.ContainerMetadataSet,
    303: containers.ContainerAccessSet,
    304: containers.PoliciesChanged,
    305: containers.ContainerRetentionSet,
    306: containers.ContainerLeaseSet,
    307: containers.ContainerDeleted,
    308: containers.ServicePropertiesSet,
    309: containers.RetentionConfigured,
    310: containers.ContainerClosed,
    311: containers.BlobsFreed,
    320: blobs.BlobPut,
    321: blobs.BlocksCommitted,
    322: blobs.BlockStaged,
    323: blobs.BlocksDropped,
    324: blobs.BlobHeadersSet,
    325: blobs.BlobMetadataSet,
    326: blobs.BlobTagsSet,
    327: blobs.BlobTierSet,
    328: blobs.BlobLeaseSet,
    329: blobs.BlobDeleted,
    401: tokens.TokenIssued,
    402: tokens.TokenRevoked,
    403: tokens.TokenExpired,
    404: tokens.KeyRotated,
    501: holds.HoldSet,
    502: holds.HoldLifted,
    601: history.HistoryChanged,
    602: history.ErasureOrdered,
    603: history.ClockAccepted,
    604: actions.UserAdded,
    605: actions.UserRemoved,
    606: actions.DataExported,
    607: actions.NodeForgotten,
}
"""On disk: the number of an event never changes and is never reused."""

Upcast = Callable[[dict[str, Any], Any], tuple[dict[str, Any], Any]]
UPCASTS: dict[tuple[int, int], Upcast] = {}
"""(code, version) → function that converts its details and content to the next version. Old records are never
rewritten.
"""

_CODE_OF = {event: code for code, event in CODES.items()}
_CAUSES = {int(cause): cause for cause in Cause}
_pack = msgpack.Packer(autoreset=True).pack
_unpack = msgpack.unpackb


class UnknownEvent(Exception):
    """A record with an event that this version does not know: a newer version wrote the journal."""


class OddRecord(Exception):
    """A record with an invalid event: fields are missing, or of other types than its class declares.

    Attributes:
        seq: Sequence number of the record.

    """

    def __init__(self, seq: int) -> None:
        super().__init__(f"record {seq} has an event with fields of a wrong type")
        self.seq = seq


ODD = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""Errors that reading or applying an odd event may raise."""


def to_draft(event: Event) -> Draft:
    """Return the record that stores `event`."""
    content = event.content()
    return Draft(
        verb=event.VERB,
        interface=event.INTERFACE,
        resource=event.resource,
        cause=event.cause,
        details=_pack([_CODE_OF[type(event)], event.VERSION, event.actor, event.details()]),
        content=b"" if content is None else _pack(content),
    )


@dataclass(frozen=True, slots=True)
class About:
    """The details part of a record, for the audit; its content may be erased.

    Attributes:
        code: Number of the kind of event.
        kind: The event's class; None for one this version does not know.
        actor: The author.
        details: The result of the event's `details()`, in the version it was written in.

    """

    code: int
    kind: type[Event] | None
    actor: str
    details: dict[str, Any]


def about(record: Record) -> About | None:
    """Return the details of `record`; None if they were erased or there are none."""
    if not record.details:
        return None
    try:
        code, _version, actor, details = msgpack.unpackb(record.details, strict_map_key=False)
        kind = CODES.get(code)
    except ODD:
        return About(0, None, "", {})
    if not isinstance(details, dict):
        return About(code, None, str(actor), {})
    return About(code, kind, actor if isinstance(actor, str) else repr(actor), details)


def subject_of(known: About) -> str:
    """Return an operator's name of the record's resource; empty if its details do not contain it."""
    if known.kind is None:
        return ""
    try:
        return known.kind.subject(known.details)
    except ODD:
        return ""


def readable(record: Record) -> Event | None:
    """Return the event of `record` for read-only use: None also for an odd event.

    Raises:
        UnknownEvent: Written by a newer version.

    """
    try:
        return from_record(record)
    except OddRecord:
        return None


def from_record(record: Record) -> Event | None:
    """Return the event of `record`; None for the journal's own and for partially erased ones.

    Live state never depends on a record with an erased part (what it still needs is restated first), so
    replay ignores it.

    Raises:
        UnknownEvent: Written by a newer version.
        OddRecord: A field is missing, or of another type.

    """
    header, packed, data, _ = record
    if not packed or data is None:
        return None
    seq, resource, number = header[0], header[4], header[5]
    try:
        code, version, actor, details = _unpack(packed, strict_map_key=False, use_list=False)
        kind, cause = CODES.get(code), _CAUSES.get(number)
        if kind is None or version > kind.VERSION or cause is None:
            if not isinstance(code, int):
                raise OddRecord(seq)
            raise UnknownEvent(
                f"record {seq} has event {code} in version {version}, which this version of Retain does not"
                " know; use a newer one"
            )
        content = _unpack(data, strict_map_key=False, use_list=False) if data else None
        while version < kind.VERSION:
            details, content = UPCASTS[code, version](details, content)
            version += 1
        return kind.restore(resource, actor, cause, details, content)
    except ODD as error:
        raise OddRecord(seq) from error
