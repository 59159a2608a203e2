"""Areas in the engine: what each command comes to, where files lie, what replay and snapshots give."""

from __future__ import annotations

import pytest

from retain.engine import Inline, NotFound, OnDisk
from retain.engine.areas import (
    AreaFile,
    NewFile,
)
from retain.engine.areas.events import AreaCreated, AreaDeleted, AreaUpdated, FileStored, KeysExpired
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.event import Cause
from retain.engine.core.time import SECOND
from retain.engine.state import State
from tests.kit.areas_state import START, A, B, Harness, payload


def test_a_created_area_lists_its_keys(areas):
    assert areas.create(A, {"Key1": "Value1", "Key2": ""}) == A
    assert areas.listing(A) == {"Key1": "Value1", "Key2": ""}
    assert areas.value(A, "Key2") == ""
    (event,) = areas.events
    assert isinstance(event, AreaCreated)
    assert event.cause is Cause.REQUEST


def test_delete_removes_every_key_at_once(areas):
    areas.create(A, {"a": "1", "b": "2"})
    areas.delete(A)
    assert areas.is_gone(A)
    assert len(areas.state.deadlines) == 0
    with pytest.raises(NotFound):
        areas.delete(A)


def test_files_are_events_of_their_own_and_a_small_one_moves_to_its_record(areas):
    inline = Inline(b"bytes", b"m" * 16)
    areas.create(A, {"t": "text", "f": NewFile("a.png", "image/png", inline)})
    created, stored = areas.events
    assert isinstance(created, AreaCreated)
    assert isinstance(stored, FileStored)
    assert created.base == 0
    assert areas.value(A, "f") == AreaFile("a.png", "image/png", inline, 2)
    areas.state.place(areas.state.seq, 4711)
    assert areas.value(A, "f") == AreaFile("a.png", "image/png", OnDisk(4711, 5), 2)
    areas.state.place(areas.state.seq, 4712)
    assert areas.value(A, "f") == AreaFile("a.png", "image/png", OnDisk(4711, 5), 2)


def test_a_file_replaced_or_gone_before_it_was_placed_stays_so(areas):
    for number, after in enumerate((lambda: areas.update(A, {"f": "text"}), lambda: areas.delete(A))):
        if number == 0:
            areas.create(A, {"f": NewFile("a", "t/t", Inline(b"x", b"m" * 16))})
        else:
            areas.update(A, {"f": NewFile("a", "t/t", Inline(b"x", b"m" * 16))})
        seq = areas.state.seq
        after()
        areas.state.place(seq, 99)
        areas.state.check()
    assert areas.is_gone(A)


def test_a_key_may_change_its_kind_and_payload_files_are_kept_and_released(areas):
    shared = areas.state.shared
    areas.create(A, {"f": NewFile("a", "t/t", payload("p1")), "g": NewFile("b", "t/t", payload("p2"))})
    assert shared.payloads == {"p1", "p2"}
    areas.update(A, {"f": "now a text"})
    assert shared.payloads == {"p2"}
    areas.update(A, {"f": NewFile("c", "t/t", payload("p3"))})
    areas.delete(A)
    assert shared.payloads == set()
    assert shared.take_released() == ["p1", "p2", "p3"]


def test_many_texts_are_split_over_events_that_fit_a_record(areas):
    values = {f"key{number}": "x" * 8000 for number in range(100)}
    areas.create(A, values)
    assert areas.listing(A) == values
    assert len(areas.events) > 2
    assert all(
        sum(map(len, event.content())) <= 256 * 1024 for event in areas.events if event.content() is not None
    )
    first, *others = areas.events
    assert isinstance(first, AreaCreated)
    assert all(isinstance(event, AreaUpdated) and not event.whole for event in others)


def test_events_about_areas_that_are_not_there_change_nothing(areas):
    common = {"actor": "retain", "cause": Cause.EXPIRED, "name": A, "user": None}
    areas.apply(AreaDeleted(resource=b"r" * 16, **common))
    areas.apply(KeysExpired(resource=b"r" * 16, keys=("k",), **common))
    areas.create(A, {"k": "v"})
    areas.apply(AreaDeleted(resource=b"r" * 16, **common))
    areas.apply(KeysExpired(resource=b"r" * 16, keys=("k",), **common))
    assert areas.listing(A) == {"k": "v"}


def test_what_was_written_after_an_erased_creation_lives_on(areas):
    areas.create(A, {"gone": "1"}, ttl=60)
    areas.update(A, {"kept": "2"}, ttl=60)
    update = areas.events[-1]
    fresh = Harness()
    fresh.apply(update)
    assert fresh.listing(A) == {"kept": "2"}
    assert next(iter(fresh.state.areas.areas.values()))[0] == update.resource


def test_rows_restore_the_state(areas):
    areas.create(A, {"t": "text", "f": NewFile("a", "t/t", payload("p1"))}, ttl=10)
    areas.update(A, {"u": "later"}, ttl=20)
    areas.create("x", {"s": NewFile("", None, Inline(b"long", b"m" * 16))}, user="ann")
    areas.create(B, {})
    before = areas.state.digest()
    frozen = areas.state.freeze()
    areas.delete(B)
    other = State()
    other.load((name, [row]) for name, row in frozen.rows())
    other.check()
    assert other.digest() == before
    assert other.deadlines.entries() == [
        (START + 10 * SECOND, DeadlineKind.AREA, A),
        (START + 60 * SECOND, DeadlineKind.AREA, "\0ann\0x"),
        (START + 60 * SECOND, DeadlineKind.AREA, B),
    ]
