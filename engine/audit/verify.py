"""Whether all of it holds: the journal, the events in it, and the payload files that they name.

Only reads, takes no lock, and works beside a running server. Blocking.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.audit.log import Progress, state_at
from retain.engine.core.body import payloads_in
from retain.journal import Disk, Payload
from retain.journal.check.verify import Finding, Kind, Report, verify
from retain.journal.payloads.store import CHUNK_BYTES, PayloadStore, payload_path
from retain.journal.proofs.note import Checkpoint


@dataclass(frozen=True, slots=True)
class Verification:
    """What checking everything came to.

    Attributes:
        journal: Frames, tree, parts, erasures, anchor, payload files.
        events: What is wrong with the events in it; empty if nothing is, or if the journal cannot be read.
        payloads: How many payload files live state stands on; 0 if that cannot be told.
        bodies: Whether their bytes were read.
    """

    journal: Report
    events: tuple[str, ...]
    payloads: int = 0
    bodies: bool = False

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, changed or kept against its erasure."""
        return self.journal.sound and not self.events


def verification(
    disk: Disk, progress: Progress | None = None, *, since: Checkpoint | None = None, bodies: bool = False
) -> Verification:
    """Checks the whole journal, that its events can be read, and that the payload files they name are there.

    Args:
        disk: Where it is.
        progress: Told how far the events are replayed, and then, with ``bodies``, how far bodies are checked.
        since: An old checkpoint of it: history up to then must be what it was.
        bodies: Read the payload files, too: each must be what its record says, to the last bit.

    Raises:
        OSError: It cannot be read.
    """
    events: list[str] = []
    named = _payloads_named(disk, events, progress)
    report = verify(disk, payloads=named, since=since)
    if bodies and named:
        report = replace(report, findings=(*report.findings, *_wrong_bodies(disk, named, progress)))
    if named is not None and any(one.kind == Kind.PAYLOAD for one in report.findings):
        # A running server may have removed a file, with good reason, after its name was read.
        still = _payloads_named(disk, [], progress) or set()
        report = replace(
            report,
            findings=tuple(
                one
                for one in report.findings
                if one.kind != Kind.PAYLOAD or one.file.rpartition("/")[2] in still
            ),
        )
    return Verification(report, tuple(events), len(named or ()), bodies)


def _payloads_named(disk: Disk, events: list[str], progress: Progress | None) -> set[str] | None:
    """The payload files that the state at the end stands on; None if the journal cannot be replayed."""
    odd: list[int] = []
    try:
        state = state_at(disk, None, progress, odd)
        state.check()
    except journal.JournalError:
        return None  # the report tells all about it
    except wire.UnknownEvent as error:
        events.append(str(error))
        return None
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        events.append(f"the events do not replay: {error!r}")
        return None
    events += (f"the event of record {seq} does not replay: a field is of a wrong type" for seq in odd)
    return state.ground.payloads


def _wrong_bodies(disk: Disk, named: set[str], progress: Progress | None) -> Iterator[Finding]:
    """The payload files whose bytes are not those that a record speaks of."""
    store = PayloadStore(disk)
    present = set(store.names())
    for record in journal.scan(disk):
        if progress is not None:
            progress(record.header.seq)
        content = msgpack.unpackb(record.content, strict_map_key=False) if record.content else None
        for payload in payloads_in(content):
            if payload.name in named and payload.name in present:
                present.remove(payload.name)
                yield from _wrong_body(store, payload, record.header.seq)


def _wrong_body(store: PayloadStore, payload: Payload, seq: int) -> Iterator[Finding]:
    digest = sha256()
    try:
        with store.open(payload) as reader:
            for offset in range(0, payload.size, CHUNK_BYTES):
                digest.update(reader.read(offset, CHUNK_BYTES))
    except journal.Corrupt as error:
        yield Finding(Kind.PAYLOAD, payload_path(payload.name), error.offset, seq, error.message)
    else:
        if digest.digest() != payload.sha256:
            text = "the payload file holds other bytes than its record says"
            yield Finding(Kind.PAYLOAD, payload_path(payload.name), -1, seq, text)
