"""Record the loss of content, and end the entries that lost it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from retain.engine.areas.events import AreaDeleted, KeysExpired
from retain.engine.areas.state import AreaFile, record_key
from retain.engine.blobs.entries import Composite
from retain.engine.blobs.events import BlobDeleted, BlocksDropped
from retain.engine.core.command import Command, Decision
from retain.engine.core.event import Cause, Event
from retain.engine.history.events import LOSS_ACCEPTED, HistoryChanged
from retain.engine.history.slice import HistorySlice
from retain.engine.losses.search import AREA, BLOB, HoldsBodies, LiveBody

MOST_AT_ONCE = 100
"""Bodies in one command: all of them are named in one record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptLost(Command[int]):
    """Record the loss of bodies, and end their entries. Result: the number of bodies.

    Entries deleted or overwritten meanwhile are skipped. A legal hold does not prevent it: the content is
    lost already, and the records stay as long as the hold does.

    Attributes:
        lost: At most `MOST_AT_ONCE` bodies.
        number: 16 random bytes, which name this one action.
    """

    FREES_SPACE: ClassVar[bool] = True

    lost: Sequence[LiveBody]
    number: bytes


def acceptances(
    lost: Sequence[LiveBody], actor: str, entropy: Callable[[int], bytes]
) -> Iterator[AcceptLost]:
    """Yield the commands that give all of these bodies up."""
    for at in range(0, len(lost), MOST_AT_ONCE):
        yield AcceptLost(actor=actor, lost=lost[at : at + MOST_AT_ONCE], number=entropy(16))


class Histories(HoldsBodies, Protocol):
    """The parts of the state that the decision needs."""

    @property
    def history(self) -> HistorySlice: ...

    @property
    def seq(self) -> int: ...


def accept_lost(state: Histories, command: AcceptLost, now: int) -> Decision[int]:
    """Return one record of the loss, then the events that end the affected area files and blobs."""
    present = [one for one in command.lost if _stands(state, one)]
    if not present:
        return Decision((), 0)
    shared = state.history.shared
    record = HistoryChanged(
        resource=command.number,
        actor=command.actor,
        cause=Cause.LOST,
        change=LOSS_ACCEPTED,
        time=now,
        kept=state.seq,
        root=b"",
        lost=state.seq,
        source="",
        losses=tuple(f"content of record {one.seq}, {one.file}" for one in present),
        revision=shared.revision,
        modified=shared.modified,
    )
    return Decision((record, *_endings(state, command.actor, present)), len(present))


def _stands(state: HoldsBodies, one: LiveBody) -> bool:
    if one.kind == AREA:
        name, user, key = one.names
        area = state.areas.areas.get(record_key(str(name), user))
        if area is None or area[0] != one.resource or key not in area[2]:
            return False
        value = area[3][area[2].index(str(key))]
        return isinstance(value, AreaFile) and value.body == one.payload
    account, container_name, blob = map(str, one.names)
    container = state.blobs.find(account, container_name)
    if container is None:
        return False
    if one.kind == BLOB:
        entry = container.blobs.get(blob)
        return entry is not None and entry.resource == one.resource and _holds(entry.body, one)
    pending = container.pending.get(blob)
    staged = (block.body for block in container.blocks(blob))
    return pending is not None and pending.resource == one.resource and one.payload in staged


def _holds(body: object, one: LiveBody) -> bool:
    if isinstance(body, Composite):
        return any(block.body == one.payload for block in body.blocks)
    return body == one.payload


def _endings(state: HoldsBodies, actor: str, present: Sequence[LiveBody]) -> Iterator[Event]:
    hit: dict[tuple[str, bytes], list[LiveBody]] = {}
    for one in present:
        hit.setdefault((one.kind, one.resource), []).append(one)
    for (kind, resource), bodies in hit.items():
        first, second, third = bodies[0].names
        if kind == AREA:
            keys = tuple(str(one.names[2]) for one in bodies)
            area = state.areas.areas[record_key(str(first), second)]
            name, cause = str(first), Cause.LOST
            if len(keys) == len(area[2]):
                yield AreaDeleted(resource=resource, actor=actor, cause=cause, name=name, user=second)
            else:
                yield KeysExpired(
                    resource=resource, actor=actor, cause=cause, name=name, user=second, keys=keys
                )
        else:
            ending = BlobDeleted if kind == BLOB else BlocksDropped
            yield ending(
                resource=resource,
                actor=actor,
                cause=Cause.LOST,
                account=str(first),
                container=str(second),
                blob=str(third),
            )
