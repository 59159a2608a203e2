"""Events as record parts: the one table of codes, and the upcasting of older shapes.

A details part is the msgpack array ``[code, version, actor, fields]``; a content part is whatever the
event's ``content()`` gives.
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
    201: settings.DocumentStated,
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
}
"""On disk: a number once given never moves, and is never given again."""

Upcast = Callable[[dict[str, Any], Any], tuple[dict[str, Any], Any]]
UPCASTS: dict[tuple[int, int], Upcast] = {}
"""(code, version) → how its details and content become those of the next version. Old records are never
rewritten."""

_CODE_OF = {event: code for code, event in CODES.items()}
_CAUSES = {int(cause): cause for cause in Cause}
_pack = msgpack.Packer(autoreset=True).pack
_unpack = msgpack.unpackb


class UnknownEvent(Exception):
    """A record holds an event that this version does not know: the journal was written by a newer one."""


class OddRecord(Exception):
    """A record holds an event that is none: fields of other types than its class declares, or none at all.

    Attributes:
        seq: Which record.
    """

    def __init__(self, seq: int) -> None:
        super().__init__(f"record {seq} holds an event with fields of a wrong type")
        self.seq = seq


ODD = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What reading or applying an odd event runs into."""


def to_draft(event: Event) -> Draft:
    """The record that ``event`` is kept as."""
    content = event.content()
    return Draft(
        verb=event.VERB,
        surface=event.SURFACE,
        resource=event.resource,
        cause=event.cause,
        details=_pack([_CODE_OF[type(event)], event.VERSION, event.actor, event.details()]),
        content=b"" if content is None else _pack(content),
    )


@dataclass(frozen=True, slots=True)
class About:
    """What the details part of a record tells, for the audit; its content may be gone.

    Attributes:
        code: Number of the kind of event.
        kind: The event's class; None for one this version does not know.
        actor: Who did it.
        details: Who and what, as the event's ``details()`` gave it, in the version it was written in.
    """

    code: int
    kind: type[Event] | None
    actor: str
    details: dict[str, Any]


def about(record: Record) -> About | None:
    """What is known of ``record`` from its details alone; None if they were erased or there are none."""
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
    """Return what an operator calls the resource of a record; empty if its details do not say."""
    if known.kind is None:
        return ""
    try:
        return known.kind.subject(known.details)
    except ODD:
        return ""


def readable(record: Record) -> Event | None:
    """`from_record`, for those who only look: an odd event is none. Raises `UnknownEvent`."""
    try:
        return from_record(record)
    except OddRecord:
        return None


def from_record(record: Record) -> Event | None:
    """The event of ``record``; None for the journal's own records and for one of which a part was erased.

    Live state never stands on a record with an erased part (what it still needs is restated first), so
    replay passes over it.

    Raises:
        UnknownEvent: Written by a newer version.
        OddRecord: It is none: a field is missing, or of another type.
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
            raise UnknownEvent(f"record {seq} holds event {code} in version {version}")
        content = _unpack(data, strict_map_key=False, use_list=False) if data else None
        while version < kind.VERSION:
            details, content = UPCASTS[code, version](details, content)
            version += 1
        return kind.restore(resource, actor, cause, details, content)
    except ODD as error:
        raise OddRecord(seq) from error
