"""Receipts from anybody: whatever is in them, the check answers, and never proves more than the log says."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.audit.receipts import BadReceipt, Verdict, check, receipt
from retain.engine.testing import SteppedClock, open_memory_engine
from tests.engine.audit.test_receipts import KEY, erased_area, noted
from tests.engine.persons.test_find import QUIET

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], Verdict]:
    async def make() -> dict[str, Any]:
        clock = SteppedClock()
        async with open_memory_engine(clock=clock, options=QUIET) as engine:
            resource = await erased_area(engine, clock)
            return json.loads(json.dumps(receipt(engine.disk, resource, noted(engine), KEY, names=True)))

    value = trio.run(make)
    return value, check(value, KEY)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


def checked(value: Any) -> Verdict | None:
    try:
        return check(value, KEY)
    except BadReceipt:
        return None


@given(JSON)
def test_anything_is_answered(value: Any) -> None:
    assert checked(value) is None


@given(data=st.data())
def test_no_change_proves_more(made: tuple[dict[str, Any], Verdict], data: st.DataObject) -> None:
    value, verdict = copy.deepcopy(made[0]), made[1]
    path = data.draw(st.sampled_from(places(value)[1:]))
    holder: Any = value
    for key in path[:-1]:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[path[-1]] = data.draw(JSON)
    else:
        del holder[path[-1]]
    found = checked(value)
    if found is None:
        return
    assert (found.checkpoint, found.resource) == (verdict.checkpoint, verdict.resource)
    known = {record.header.seq: record for record in verdict.records}
    for record in found.records:
        same = known[record.header.seq]
        assert record.header == same.header
        assert record.about in (None, same.about)
        assert record.content in (None, same.content) or record.content.done is None
        assert record.details in (None, same.details)
