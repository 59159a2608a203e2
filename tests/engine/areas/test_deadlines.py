"""Deadlines of areas: one per key, to the nanosecond, before and after the sweeper."""

from __future__ import annotations

import pytest

from retain.engine import NotFound
from retain.engine.areas import (
    AreasPolicy,
    NewFile,
)
from retain.engine.areas.events import AreaCreated, AreaDeleted, AreaUpdated, KeysExpired
from retain.engine.core.event import Cause
from retain.engine.core.time import SECOND
from tests.kit.areas_state import START, A, B, payload


def test_an_area_is_gone_at_its_deadline_to_the_nanosecond(areas):
    areas.create(A, {"k": "v"}, ttl=60)
    areas.now = START + 60 * SECOND - 1
    assert areas.listing(A) == {"k": "v"}
    areas.now += 1
    assert areas.is_gone(A)
    with pytest.raises(NotFound):
        areas.value(A, "k")
    with pytest.raises(NotFound):
        areas.update(A, {"k": "w"})
    with pytest.raises(NotFound):
        areas.delete(A)


def test_an_update_re_arms_only_the_keys_it_carries(areas):
    areas.create(A, {"old": "1", "both": "1"}, ttl=10)
    areas.update(A, {"both": "2", "new": "2"}, ttl=100)
    areas.pass_time(10)
    assert areas.listing(A) == {"both": "2", "new": "2"}
    areas.pass_time(90)
    assert areas.is_gone(A)


def test_an_update_can_shorten_a_key(areas):
    areas.create(A, {"short": "1", "long": "1"}, ttl=100)
    areas.update(A, {"short": "2"}, ttl=1)
    areas.pass_time(1)
    assert areas.listing(A) == {"long": "1"}
    with pytest.raises(NotFound, match="key"):
        areas.value(A, "short")


def test_with_the_scope_of_the_area_an_update_re_arms_all_keys_and_revives_none(areas):
    whole = AreasPolicy(whole_area=True)
    areas.create(A, {"a": "1", "b": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(10)
    areas.update(A, {"c": "3"}, ttl=50, policy=whole)
    assert areas.listing(A) == {"b": "2", "c": "3"}
    areas.pass_time(49)
    assert areas.listing(A) == {"b": "2", "c": "3"}
    areas.pass_time(1)
    assert areas.is_gone(A)


def test_with_the_scope_of_the_area_an_update_without_keys_re_arms_it(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {}, ttl=100, policy=AreasPolicy(whole_area=True))
    areas.pass_time(50)
    assert areas.listing(A) == {"a": "1"}


def test_an_area_without_keys_lives_until_its_own_deadline(areas):
    areas.create(A, {}, ttl=60)
    assert areas.listing(A) == {}
    areas.update(A, {"k": "v"}, ttl=10)
    areas.pass_time(10)
    assert areas.listing(A) == {}
    areas.sweep()
    assert areas.listing(A) == {}
    areas.pass_time(50)
    assert areas.is_gone(A)
    areas.sweep()
    assert not areas.state.areas.areas


def test_an_empty_update_re_arms_an_area_without_keys_and_changes_no_other(areas):
    areas.create(A, {}, ttl=10)
    areas.update(A, {}, ttl=60)
    areas.pass_time(59)
    assert areas.listing(A) == {}
    areas.create(B, {"k": "v"}, ttl=10)
    before = len(areas.events)
    areas.update(B, {}, ttl=60)
    assert len(areas.events) == before


def test_the_sweeper_ends_keys_one_by_one_and_then_the_area(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(10)
    areas.sweep()
    event = areas.events[-1]
    assert isinstance(event, KeysExpired)
    assert event.keys == ("a",)
    assert event.cause is Cause.EXPIRED
    areas.pass_time(10)
    areas.sweep()
    event = areas.events[-1]
    assert isinstance(event, AreaDeleted)
    assert event.cause is Cause.EXPIRED
    assert len(areas.state.deadlines) == 0
    assert areas.state.areas.size == 0


def test_a_command_before_the_sweeper_journals_the_expiry_itself(areas):
    areas.create(A, {"a": "1"}, ttl=10)
    areas.update(A, {"b": "2"}, ttl=20)
    areas.pass_time(15)
    areas.update(A, {"b": "3"}, ttl=20)
    assert [type(event) for event in areas.events[-2:]] == [KeysExpired, AreaUpdated]
    areas.create("x", {"a": "1"}, ttl=1, user="u")
    areas.pass_time(1)
    areas.create("x", {"b": "2"}, ttl=1, user="u")
    assert [type(event) for event in areas.events[-2:]] == [AreaDeleted, AreaCreated]
    assert areas.listing("x", user="u") == {"b": "2"}


def test_an_expired_key_releases_its_payload_file(areas):
    areas.create(A, {"f": NewFile("a", "t/t", payload("p1"))}, ttl=1)
    areas.update(A, {"k": "v"}, ttl=60)
    areas.pass_time(1)
    areas.sweep()
    assert areas.state.shared.take_released() == ["p1"]


def test_with_the_scope_of_the_area_one_that_had_keys_gets_no_deadline_of_its_own(areas):
    """Else it would outlive its last key, as an area that was created empty does."""
    areas.create(A, {"k": "1"}, ttl=10)
    areas.update(A, {"k": "2"}, ttl=100, policy=AreasPolicy(whole_area=True))
    areas.update(A, {"k": "3"}, ttl=1)
    areas.pass_time(1)
    assert areas.is_gone(A)


def test_with_the_scope_of_the_area_one_created_empty_keeps_a_deadline_of_its_own(areas):
    whole = AreasPolicy(whole_area=True)
    areas.create(A, {}, ttl=10)
    areas.update(A, {"k": "1"}, ttl=100, policy=whole)
    areas.update(A, {"k": "2"}, ttl=1)
    areas.pass_time(99)
    assert areas.listing(A) == {}
    areas.pass_time(1)
    assert areas.is_gone(A)
