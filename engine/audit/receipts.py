"""Receipts: what happened to one resource, and that it was erased, proven without the journal.

A receipt holds the headers of the resource's records, the erase records that name them with the salts that
open these, for each a proof that it is in the tree (RFC 9162, section 2.1.3), and a signed checkpoint of the
tree. Anyone who trusts the log's public key can check it with nothing else.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.audit.checkpoints import open_signed
from retain.engine.audit.erasures import KnownErasures
from retain.journal import NO_RESOURCE, Header, Part, Record, Verb
from retain.journal.erasure.manifest import Erasure
from retain.journal.format.frame import parse_header
from retain.journal.lookup.history import history
from retain.journal.lookup.index import Indexes
from retain.journal.lookup.trail import Trail
from retain.journal.proofs.note import BadNote, Checkpoint, Verifier
from retain.journal.proofs.opening import exhibit, opened
from retain.journal.proofs.prover import Inclusion, Prover

FORMAT = "retain-receipt/1"
MOST_BYTES = 64 << 20
"""Longer receipts are refused."""

Receipt = dict[str, Any]


_EMBEDDED = re.compile(r'<script type="application/json" id="receipt">(.*?)</script>', re.DOTALL)


class BadReceipt(ValueError):
    """The receipt is malformed, or does not verify. The text gives the reason."""


def receipt(
    disk: journal.Disk,
    resource: bytes,
    note: bytes,
    key: Verifier,
    *,
    names: bool = False,
    trail: Trail | None = None,
    known: KnownErasures | None = None,
) -> Receipt:
    """Return a receipt for `resource` (16 bytes) under the checkpoint in `note`, as JSON values. Blocking.

    Args:
        disk: The data folder.
        resource: The resource's number.
        note: A signed checkpoint of this journal; later records are not in the receipt.
        key: The log's public key.
        names: Also open the details that are not erased yet: names and actors.
        trail: The known places of records; a server has one.
        known: The known erasures; likewise.

    Raises:
        BadReceipt: There is no record of this resource up to the checkpoint.
        BadNote: The note is not a checkpoint of this log.
        journal.Corrupt, OSError: The journal cannot be read.
    """
    size = open_signed(note, key).size
    trail, known = trail or Trail(disk), known or KnownErasures(disk)
    indexes = trail.indexes()
    prover = Prover(disk, indexes=indexes)
    records = [one for one in history(disk, resource, indexes=indexes) if one.header.seq <= size]
    if not records:
        raise BadReceipt("there is no record of this resource up to the checkpoint")
    shown = []
    for record in records:
        seq = record.header.seq
        part = exhibit(disk, seq, Part.DETAILS, indexes) if names and record.details else None
        shown.append(_proven(prover.inclusion(seq, size), part))
    named = _named([record.header.seq for record in records], known.entries(), size)
    return {
        "format": FORMAT,
        "resource": resource.hex(),
        "key": str(key),
        "checkpoint": note.decode(),
        "records": shown,
        "erasures": [_erasure(trail, prover, seq, size, indexes) for seq in named],
    }


def embedded(text: str) -> str:
    """Return the JSON of a receipt, from its page or as it is."""
    found = _EMBEDDED.search(text)
    return text if found is None else found[1]


def parse(data: bytes) -> Receipt:
    """Return the receipt in a file, JSON or page; it is not checked yet. Raises BadReceipt."""
    if len(data) > MOST_BYTES:
        raise BadReceipt("the receipt is too long")
    try:
        value = json.loads(embedded(data.decode()))
    except (ValueError, RecursionError):
        raise BadReceipt("this is not a receipt") from None
    if not isinstance(value, dict):
        raise BadReceipt("this is not a receipt")
    return value


def _named(seqs: Sequence[int], entries: Sequence[Erasure], size: int) -> list[int]:
    """Return the erase records up to `size` that name any of `seqs`."""
    found = {
        one.seq for one in entries if one.seq <= size and any(one.first <= seq <= one.last for seq in seqs)
    }
    return sorted(found)


def _erasure(trail: Trail, prover: Prover, seq: int, size: int, indexes: Indexes) -> dict[str, Any]:
    disk = trail.disk
    carried = _carried_out(trail, seq, size)
    return {
        "erase": _proven(prover.inclusion(seq, size), exhibit(disk, seq, Part.CONTENT, indexes)),
        "erased": None
        if carried is None
        else _proven(prover.inclusion(carried, size), exhibit(disk, carried, Part.CONTENT, indexes)),
    }


def _carried_out(trail: Trail, erase: int, size: int) -> int | None:
    """Return the record up to `size` that closes an erasure; it follows soon after.

    Only headers are read until then.
    """
    for spot in trail.after(erase):
        if spot.header.seq > size:
            return None
        if spot.header.verb == Verb.ERASED and erase in msgpack.unpackb(spot.read().content or b"\x90"):
            return spot.header.seq
    return None


def _proven(proof: Inclusion, part: bytes | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seq": proof.seq,
        "header": b64encode(proof.header).decode(),
        "proof": [b64encode(one).decode() for one in proof.path],
    }
    return shown if part is None else {**shown, "part": b64encode(part).decode()}


@dataclass(frozen=True, slots=True)
class PartErasure:
    """When and why a part was erased.

    Attributes:
        ordered: When the erase record was written, nanoseconds since the epoch: from then on it is hidden.
        done: When the record was written that confirms the erasure; None if the receipt does not show that.
        cause: A number of `engine.Cause`.

    """

    ordered: int
    done: int | None
    cause: int


@dataclass(frozen=True, slots=True)
class Proven:
    """One record, as a receipt proves it.

    Attributes:
        header: Its header, which is kept for ever.
        about: Its details, if the receipt opens them.
        details: The erasure of its details, None if it is not proven.
        content: The erasure of its content; likewise.

    """

    header: Header
    about: wire.About | None
    details: PartErasure | None
    content: PartErasure | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The facts that a receipt proves.

    Attributes:
        checkpoint: The tree that everything is in.
        resource: The resource's number.
        records: Its records, in order. That there are no others is not proven.

    """

    checkpoint: Checkpoint
    resource: bytes
    records: tuple[Proven, ...]

    @property
    def erased(self) -> bool:
        """Return whether all content that these records ever had is proven to be erased."""
        return all(
            one.content is not None and one.content.done is not None
            for one in self.records
            if one.header.content_size
        )


def check(value: Mapping[str, Any], key: Verifier) -> Verdict:
    """Check a receipt with the log's public key alone. Pure.

    Raises:
        BadReceipt: It does not verify.
    """
    try:
        if value["format"] != FORMAT:
            raise BadReceipt("the receipt has an unknown version; use a newer release")
        resource = bytes.fromhex(value["resource"])
        under = open_signed(value["checkpoint"].encode(), key)
        named = _erasures_of(value["erasures"], under)
        records = tuple(_record(one, resource, under, named) for one in value["records"])
    except BadNote as error:
        raise BadReceipt(f"the checkpoint is not valid: {error}") from error
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, BadReceipt):
            raise
        raise BadReceipt(f"this is not a receipt: {error!r}") from error
    seqs = [one.header.seq for one in records]
    if not seqs or seqs != sorted(set(seqs)):
        raise BadReceipt("it has no records, or they are out of order")
    return Verdict(under, resource, records)


def _opened_header(one: Mapping[str, Any], under: Checkpoint) -> Header:
    """Return a header that is proven to be in the tree."""
    packed = b64decode(one["header"], validate=True)
    path = tuple(b64decode(step, validate=True) for step in one["proof"])
    header = parse_header(packed)
    if header.seq != one["seq"]:
        raise BadReceipt(f"the header of record {one['seq']} belongs to another record")
    if not Inclusion(header.seq, packed, under.size, path).holds(under.root):
        raise BadReceipt(f"record {header.seq} is not proven to be in the log")
    return header


def _content(one: Mapping[str, Any], header: Header) -> Any:
    body = opened(b64decode(one["part"], validate=True), header.content_commitment)
    if body is None:
        raise BadReceipt(f"record {header.seq} does not contain what the receipt states")
    return msgpack.unpackb(body)


_Range = tuple[int, int, int, PartErasure]


def _erasures_of(shown: Sequence[Mapping[str, Any]], under: Checkpoint) -> list[_Range]:
    """Return the targets of the erase records: parts, first and last record, and time."""
    ranges: list[_Range] = []
    for one in shown:
        order = _opened_header(one["erase"], under)
        if order.verb != Verb.ERASE or order.resource != NO_RESOURCE:
            raise BadReceipt(f"record {order.seq} is not an erasure")
        done = None
        if one["erased"] is not None:
            closing = _opened_header(one["erased"], under)
            if closing.verb != Verb.ERASED or order.seq not in _content(one["erased"], closing):
                raise BadReceipt(f"record {closing.seq} does not confirm erasure {order.seq}")
            done = closing.time
        erasure = PartErasure(order.time, done, order.cause)
        for parts, first, last in _content(one["erase"], order):
            ranges.append((parts, first, last, erasure))
    return ranges


def _record(one: Mapping[str, Any], resource: bytes, under: Checkpoint, named: Sequence[_Range]) -> Proven:
    header = _opened_header(one, under)
    if header.resource != resource:
        raise BadReceipt(f"record {header.seq} is about another resource")
    about = None
    if "part" in one:
        body = opened(b64decode(one["part"], validate=True), header.details_commitment)
        if body is None:
            raise BadReceipt(f"record {header.seq} does not contain what the receipt states")
        about = wire.about(Record(header, body, None, -1))

    def erasure(part: Part) -> PartErasure | None:
        return next(
            (
                erasure
                for parts, first, last, erasure in named
                if parts & part and first <= header.seq <= last
            ),
            None,
        )

    return Proven(header, about, erasure(Part.DETAILS), erasure(Part.CONTENT))
