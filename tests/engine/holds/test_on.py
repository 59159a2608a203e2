"""Which holds keep a resource: compared with looking at every hold for each."""

from __future__ import annotations

import random

from retain.engine.holds import Hold, HoldKind, HoldTarget, SetHold
from tests.kit.blobs import ACCOUNT, BlobDesk


def keeps(hold: Hold, target: HoldTarget) -> bool:
    """The rule in words: a hold keeps its own resource, its container's blobs, its tenant's blobs."""
    if hold.target.kind in (HoldKind.CONTAINER, HoldKind.TENANT):
        return target.names[: len(hold.target.names)] == hold.target.names
    return hold.target.resource == target.resource


def test_the_holds_on_each_blob_are_its_own_its_containers_and_its_tenants() -> None:
    desk, chosen = BlobDesk(), random.Random(7)
    targets = []
    for container in ("recordings", "exports"):
        desk.create(container)
        for name in ("a", "b", "c"):
            desk.put(name, b"1", container=container)
            found = desk.state.blobs.find(ACCOUNT, container)
            assert found is not None
            entry = found.blobs[name]
            targets.append(HoldTarget(HoldKind.BLOB, entry.resource, (ACCOUNT, container, name)))
    wanted = [
        *((HoldKind.BLOB, target.names) for target in chosen.choices(targets, k=5)),
        (HoldKind.CONTAINER, (ACCOUNT, "exports")),
        (HoldKind.TENANT, (ACCOUNT,)),
    ]
    assert desk.state.holds.on(targets) == [()] * len(targets)
    for kind, names in chosen.sample(wanted, len(wanted)):
        desk.now += chosen.randrange(2)
        desk.do(SetHold(actor="x", hold_id=desk.fresh(), kind=kind, names=names, reason="r"))
        every = sorted(desk.state.holds.holds.values(), key=lambda hold: (hold.time, hold.hold_id))
        assert desk.state.holds.on(targets) == [
            tuple(hold for hold in every if keeps(hold, target)) for target in targets
        ]
    assert max(map(len, desk.state.holds.on(targets))) > 2
