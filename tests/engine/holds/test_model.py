"""Holds against whatever else happens: what is held stays as it is, and nothing else is kept."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from retain.engine.areas import DeleteArea, UpdateArea
from retain.engine.blobs import expiry
from retain.engine.blobs.commands import DeleteBlob, StageBlock
from retain.engine.blobs.container_commands import DeleteContainer, SetContainerRetention
from retain.engine.core.errors import Refused
from retain.engine.holds import Hold, HoldKind
from tests.engine.holds.test_holds import HoldDesk
from tests.kit.blobs import ACCOUNT
from tests.kit.slices import DAY, SECOND, inline

NAMES = st.sampled_from(("a", "b"))
CONTAINERS = st.sampled_from(("one", "two"))

STEPS = st.one_of(
    st.tuples(st.just("area"), NAMES, st.integers(1, 100)),
    st.tuples(st.just("update"), NAMES, st.integers(1, 100)),
    st.tuples(st.just("end area"), NAMES),
    st.tuples(st.just("put"), CONTAINERS, NAMES),
    st.tuples(st.just("block"), CONTAINERS, NAMES),
    st.tuples(st.just("end blob"), CONTAINERS, NAMES),
    st.tuples(st.just("create"), CONTAINERS),
    st.tuples(st.just("end container"), CONTAINERS),
    st.tuples(st.just("keep"), CONTAINERS, st.sampled_from((None, 0, 1, 40))),
    st.tuples(st.just("hold area"), NAMES),
    st.tuples(st.just("hold blob"), CONTAINERS, NAMES),
    st.tuples(st.just("hold container"), CONTAINERS),
    st.tuples(st.just("hold tenant")),
    st.tuples(st.just("lift"), st.integers(0, 20)),
    st.tuples(st.just("wait"), st.sampled_from((10 * SECOND, DAY, 35 * DAY))),
    st.tuples(st.just("sweep")),
)


class Campaign(HoldDesk):
    """Does the steps, refusals included."""

    def __init__(self) -> None:
        super().__init__()
        self.lasting: list[Hold] = []

    def step(self, what: str, *given: Any) -> None:
        # What is refused changes nothing: the comparison afterwards sees to that.
        with suppress(Refused):
            self._step(what, *given)

    def _step(self, what: str, *given: Any) -> None:
        match what, given:
            case "area", (name, ttl):
                self.area(name, ttl=ttl)
            case "update", (name, ttl):
                values = {"b": "2"}
                self.do(UpdateArea(actor="x", name=name, resource=self.fresh(), values=values, ttl=ttl))
            case "end area", (name,):
                self.do(DeleteArea(actor="x", name=name))
            case "put", (container, name):
                self.put(name, container=container)
            case "block", (container, name):
                body = inline(b"block")
                where = self.where(container)
                self.do(StageBlock(**where, name=name, resource=self.fresh(), block_id=b"1", body=body))
            case "end blob", (container, name):
                self.do(DeleteBlob(**self.where(container), name=name))
            case "create", (container,):
                self.create(container)
            case "end container", (container,):
                self.do(DeleteContainer(**self.where(container)))
            case "keep", (container, days):
                self.do(SetContainerRetention(**self.where(container), days=days))
            case "wait", (time,):
                self.now += time
            case "sweep", ():
                self.sweep()
            case _:
                self._about_holds(what, *given)

    def _about_holds(self, what: str, *given: Any) -> None:
        match what, given:
            case "hold area", (name,):
                self.lasting.append(self.hold(HoldKind.AREA, name, None))
            case "hold blob", (container, name):
                self.lasting.append(self.hold(HoldKind.BLOB, ACCOUNT, container, name))
            case "hold container", (container,):
                self.lasting.append(self.hold(HoldKind.CONTAINER, ACCOUNT, container))
            case "hold tenant", ():
                self.lasting.append(self.hold(HoldKind.TENANT, ACCOUNT))
            case "lift", (number,) if self.lasting:
                self.lift(self.lasting.pop(number % len(self.lasting)))

    def held(self) -> dict[Any, Any]:
        """All that is held, as it is: areas whole; blobs by what their body is."""
        found: dict[Any, Any] = {}
        for hold in self.lasting:
            match hold.target.kind:
                case HoldKind.AREA:
                    found[hold.target] = self.state.areas.areas[hold.target.names[0]]
                case HoldKind.TENANT | HoldKind.CONTAINER:
                    for container in self.state.blobs.containers():
                        if hold.target.kind is HoldKind.TENANT or container.name == hold.target.names[1]:
                            found |= {
                                (container.name, name): (blob.resource, blob.modified)
                                for name, blob in container.blobs.items()
                            }
                case _:
                    _, container_name, name = hold.target.names
                    container = self.state.blobs.accounts[ACCOUNT][container_name]
                    blob = container.blobs[name]
                    found[container_name, name] = (blob.resource, blob.modified)
        return found


@given(st.lists(STEPS, max_size=40))
def test_what_is_held_stays_as_it_is_and_nothing_else_is_kept(steps: list[tuple[Any, ...]]) -> None:
    compare(steps)


@given(st.lists(STEPS, max_size=40))
def test_also_where_deleted_containers_are_let_go_blob_by_blob(steps: list[tuple[Any, ...]]) -> None:
    with patch.object(expiry, "FREED", 1):
        compare(steps)


def compare(steps: list[tuple[Any, ...]]) -> None:
    desk = Campaign()
    desk.create("one")
    for step in steps:
        before = desk.held()
        desk.step(*step)
        after = desk.held()
        if step[0] != "lift":
            assert before.items() <= after.items(), step
    desk.verify()
    kept = desk.held()
    for hold in desk.lasting:
        assert desk.state.holds.held(hold.target.resource) or hold.target.kind in (
            HoldKind.CONTAINER,
            HoldKind.TENANT,
        )
    while desk.lasting:
        desk.lift(desk.lasting.pop())
    desk.now += 100 * DAY
    for container in list(desk.state.blobs.accounts.get(ACCOUNT, {})):
        desk.step("keep", container, 1)
    desk.now += 2 * DAY
    desk.sweep()
    assert not desk.state.areas.areas, kept
    assert not desk.state.blobs.closed
    assert not [name for container in desk.state.blobs.containers() for name in container.blobs], kept
    assert not desk.state.shared.held
    assert not desk.state.deadlines.asleep
    desk.verify()
