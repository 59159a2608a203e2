"""The garbage that must not be erased because a legal hold protects it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retain import journal
from retain.engine import wire
from retain.engine.core.ledger import GarbageRecord, seq_of
from retain.engine.state import State


def kept_by_holds(state: State, waiting: Iterable[GarbageRecord], disk: journal.Disk) -> frozenset[int]:
    """Return the sequence numbers in `waiting` that a hold protects.

    Blocking if only the details name the container.

    Raises:
        journal.JournalError: The journal is damaged.
        OSError: The journal cannot be read.

    """
    held = state.shared.held
    answers: dict[bytes, bool] = {}
    kept: set[int] = set()
    for left in waiting:
        seq, resource = seq_of(left.mark), left.resource
        if resource not in answers:
            details = _details(disk, seq) if held.needs_details else None
            answers[resource] = held.record(resource, details)
        if answers[resource]:
            kept.add(seq)
    return frozenset(kept)


def _details(disk: journal.Disk, seq: int) -> dict[str, Any] | None:
    record = next(journal.scan(disk, start=seq), None)
    about = None if record is None else wire.about(record)
    return None if about is None else about.details
