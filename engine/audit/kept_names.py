"""Names that an erasure leaves: a person's name in records about other resources, and when it is erased.

Who did what is kept for the audit period, because others must be able to prove it. Live entries that refer to
such a record are then restated without the name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from retain import journal
from retain.engine.audit.log import AuditEntry, Filter, Progress, log
from retain.engine.core.pattern import Wanted, called
from retain.engine.core.policy import RetentionPolicy
from retain.engine.state import State

AUDIT = "who did what is kept for the audit period"
HISTORY = "it is an earlier version that the history of the settings keeps"
HOLD = "a legal hold keeps it"


class KeptName(NamedTuple):
    """A record that names a person and is not erased.

    Attributes:
        entry: Its line of the audit log.
        reason: The reason why it stays.
        until: When its names are due to be erased, nanoseconds since the epoch; None while a hold keeps them.

    """

    entry: AuditEntry
    reason: str
    until: int | None


def kept_names(
    disk: journal.Disk,
    state: State,
    actors: Collection[Wanted],
    apart: Collection[bytes],
    policy: RetentionPolicy,
    progress: Progress | None = None,
) -> Iterator[KeptName]:
    """Yield the records that name one of `actors` as the actor, and whose names stay.

    Reads the whole journal, beside a running server. Raises what `engine.audit.log.log` does.

    Args:
        disk: The data folder.
        state: The state at its end.
        actors: The actors, as the audit log writes them.
        apart: Resources that are left out because they are erased themselves.
        policy: The periods.
        progress: Called with the sequence number of each record that was read.
    """
    left_out = {resource.hex() for resource in apart}
    for entry in log(disk, Filter(), progress) if actors else ():
        if entry.resource not in left_out and any(called(entry.actor, actor) for actor in actors):
            yield _kept(state, entry, policy)


def _kept(state: State, entry: AuditEntry, policy: RetentionPolicy) -> KeptName:
    resource = bytes.fromhex(entry.resource)
    if state.shared.held and state.shared.held.record(resource, entry.details):
        return KeptName(entry, HOLD, None)
    audited = entry.time + policy.audit
    history = state.records.past_since(entry.seq)
    if history is not None and history + policy.history > audited:
        return KeptName(entry, HISTORY, history + policy.history)
    return KeptName(entry, AUDIT, audited)
