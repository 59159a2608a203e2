"""Events about what is gone: a replay meets them where the record of the making is erased, and nothing comes
of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from retain.engine.blobs.commands import (
    DeleteBlob,
    LeaseBlob,
    SetBlobHeaders,
    SetBlobMetadata,
    SetBlobTags,
    SetBlobTier,
)
from retain.engine.blobs.conditions import Conditions
from retain.engine.blobs.container_commands import (
    DeleteContainer,
    LeaseContainer,
    SetContainerAccess,
    SetContainerMetadata,
    SetContainerRetention,
)
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.leases import LeaseAction, LeaseRequest
from retain.engine.core.command import Command
from retain.engine.core.event import Stamp
from tests.kit.blobs import BlobDesk
from tests.kit.slices import SECOND

TEXT = ContentHeaders("text/plain")
LEASE = LeaseRequest(LeaseAction.ACQUIRE, None, "aaaaaaaa-0000", 30)

CHANGES: dict[str, Callable[[dict[str, Any]], Command[Any]]] = {
    "headers": lambda where: SetBlobHeaders(
        **where, name="a", headers=ContentHeaders("text/plain"), md5=None
    ),
    "metadata": lambda where: SetBlobMetadata(**where, name="a", metadata=(("k", "v"),)),
    "tags": lambda where: SetBlobTags(**where, name="a", tags=(("k", "v"),)),
    "tier": lambda where: SetBlobTier(**where, name="a", tier="Cool"),
    "lease": lambda where: LeaseBlob(**where, name="a", request=LEASE),
    "delete": lambda where: DeleteBlob(**where, name="a"),
    "container's metadata": lambda where: SetContainerMetadata(**where, metadata=(("k", "v"),)),
    "container's access": lambda where: SetContainerAccess(**where, policies=(), public_access="blob"),
    "container's retention": lambda where: SetContainerRetention(**where, days=3),
    "container's lease": lambda where: LeaseContainer(**where, request=LEASE),
    "container's end": lambda where: DeleteContainer(**where),
}


def seen(desk: BlobDesk) -> list[Any]:
    rows = desk.state.blobs.freeze().rows()
    return [*rows, desk.state.deadlines.entries()]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_what_is_gone_changes_nothing(desk: BlobDesk, what: str) -> None:
    desk.put("a")
    first = len(desk.history)
    desk.do(CHANGES[what](desk.where()))
    events = desk.events(first)
    assert events
    if what != "container's end":
        desk.do(DeleteContainer(**desk.where(), conditions=conditions(what if "container" in what else "")))
    desk.now += SECOND
    while desk.sweep():
        desk.now += SECOND
    before = seen(desk)
    for event in events:
        desk.state.apply(event, Stamp(desk.state.seq + 1, desk.now, -1, 0))
    assert seen(desk) == before
    desk.state.check()


def conditions(what: str) -> Conditions:
    """What a deletion after the change needs."""
    return Conditions(lease=LEASE.proposed if "lease" in what else None)


@pytest.mark.parametrize("what", [what for what in CHANGES if "container" not in what])
def test_a_change_of_an_older_blob_leaves_the_one_that_has_its_name_now(desk: BlobDesk, what: str) -> None:
    desk.put("a")
    first = len(desk.history)
    desk.do(CHANGES[what](desk.where()))
    events = desk.events(first)
    if what != "delete":
        desk.do(DeleteBlob(**desk.where(), name="a", conditions=conditions(what)))
    desk.put("a", b"newer")
    before = seen(desk)
    for event in events:
        desk.state.apply(event, Stamp(desk.state.seq + 1, desk.now, -1, 0))
    assert seen(desk) == before
    desk.state.check()
