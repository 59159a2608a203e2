"""Verifies a data folder: the journal, the events in it, and the payload files that they name.

Only reads, takes no lock, and works beside a running server. Blocking.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import msgpack

from retain import journal
from retain.engine import wire
from retain.engine.audit.log import Progress, state_at
from retain.engine.audit.odd import parts_to_erase
from retain.engine.core.body import payloads_in
from retain.engine.core.time import timestamp
from retain.engine.history.events import LOSS_ACCEPTED, HistoryChanged, describe_change
from retain.engine.state import State
from retain.journal import Disk, Payload
from retain.journal.check.verify import Finding, FindingKind, Report, verify
from retain.journal.mended import Mended, read_mended
from retain.journal.payloads.store import CHUNK_BYTES, PayloadStore, payload_path
from retain.journal.proofs.note import Checkpoint


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification.

    Attributes:
        journal: Frames, tree, parts, erasures, anchor, payload files.
        events: Findings about its events; empty if there are none, or if the journal cannot be read.
        payloads: How many payload files live state refers to; 0 if that is unknown.
        bodies: Whether their bytes were read.
        changes: Restores and repairs of the journal, in a sentence each, the oldest first.

    """

    journal: Report
    events: tuple[str, ...]
    payloads: int = 0
    bodies: bool = False
    changes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Return whether nothing was lost, changed or kept against its erasure."""
        return self.journal.sound and not self.events


def verification(
    disk: Disk, progress: Progress | None = None, *, since: Checkpoint | None = None, bodies: bool = False
) -> Verification:
    """Check the whole journal, that its events can be read, and that the payload files they name exist.

    Args:
        disk: The data folder.
        progress: Called with how far the events are replayed and then, with `bodies`, how far bodies are
            checked.
        since: An old checkpoint of it: history up to then must be unchanged.
        bodies: Read the payload files, too: each must match its record to the last bit.

    Raises:
        OSError: It cannot be read.
    """
    events: list[str] = []
    state = _state(disk, events, progress)
    named = None if state is None else state.shared.payloads
    report = verify(disk, payloads=named, since=since, indexes=True, progress=progress)
    changes = _changes(disk, state)
    if since is not None:
        report = replace(report, findings=tuple(_explained(report.findings, changes, since.size)))
    if bodies and named:
        report = replace(report, findings=(*report.findings, *_wrong_bodies(disk, named, progress)))
    if named is not None and any(one.kind == FindingKind.PAYLOAD for one in report.findings):
        # A running server may have removed a file legitimately after its name was read.
        later = _state(disk, [], progress)
        still = set() if later is None else later.shared.payloads
        report = replace(
            report,
            findings=tuple(
                one
                for one in report.findings
                if one.kind != FindingKind.PAYLOAD or one.file.rpartition("/")[2] in still
            ),
        )
    changed = tuple(text for _, text in changes)
    return Verification(report, tuple(events), len(named or ()), bodies, changed)


def _changes(disk: Disk, state: State | None) -> list[tuple[int, str]]:
    """Return restores and repairs, also those that the next start will record.

    Each with the last record that it kept, and a sentence.
    """
    found: list[Mended | HistoryChanged] = list(state.history.changes.values()) if state is not None else []
    found += [one for one in read_mended(disk) if state is None or one.number not in state.history.changes]
    found.sort(key=lambda one: one.time)
    # After content was lost, all records are unchanged: every checkpoint is still valid.
    return [
        (
            sys.maxsize if one.change == LOSS_ACCEPTED else one.kept,
            f"{timestamp(one.time)}: {describe_change(one)}",
        )
        for one in found
    ]


def _explained(
    findings: Iterable[Finding], changes: Sequence[tuple[int, str]], size: int
) -> Iterator[Finding]:
    """Yield the findings; for a checkpoint that a restore or repair invalidated, with that reason."""
    reasons = [text for kept, text in changes if kept < size]
    for one in findings:
        if one.kind == FindingKind.CHECKPOINT and reasons:
            yield replace(one, text="; ".join([one.text, *reasons]))
        else:
            yield one


def _state(disk: Disk, events: list[str], progress: Progress | None) -> State | None:
    """Return the state at the end; None if the journal cannot be replayed."""
    odd: list[int] = []
    try:
        state = state_at(disk, None, progress, odd)
        state.check()
        left = parts_to_erase(disk, odd)
    except journal.JournalError:
        return None  # the report has the findings
    except wire.UnknownEvent as error:
        events.append(str(error))
        return None
    except (ValueError, TypeError, KeyError, AssertionError) as error:
        events.append(f"the events do not replay: {error!r}")
        return None
    events += (f"the event of record {seq} does not replay: a field has a wrong type" for seq in left)
    return state


def _wrong_bodies(disk: Disk, named: set[str], progress: Progress | None) -> Iterator[Finding]:
    """Yield a finding for each payload file whose bytes do not match its record."""
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
        yield Finding(FindingKind.PAYLOAD, payload_path(payload.name), error.offset, seq, error.message)
    else:
        if digest.digest() != payload.sha256:
            text = "the payload file holds other bytes than its record says"
            yield Finding(FindingKind.PAYLOAD, payload_path(payload.name), -1, seq, text)
