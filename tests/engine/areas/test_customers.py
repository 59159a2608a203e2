"""Custom ids and the customers they belong to (docs/wire/areas.md, section 3)."""

from __future__ import annotations

import pytest

from retain.engine import Conflict, Invalid, NotFound, TooLarge
from retain.engine.areas import (
    AreasPolicy,
)
from tests.kit.areas_state import A


def test_a_custom_area_is_its_customers_alone(areas):
    assert areas.create("x", {"k": "mine"}, user="ann") == "x"
    assert areas.listing("x", user="ann") == {"k": "mine"}
    for user in (None, "bob", "ANN"):
        assert areas.is_gone("x", user=user)
        with pytest.raises(NotFound):
            areas.delete("x", user=user)
    with pytest.raises(NotFound):
        areas.update("x", {"k": "stolen"})
    assert areas.create("x", {"k": "his"}, user="bob") == "x"
    assert areas.listing("x", user="ann") == {"k": "mine"}
    areas.delete("x", user="bob")
    assert areas.listing("x", user="ann") == {"k": "mine"}


def test_a_custom_id_created_twice_is_written_over_as_by_an_update(areas):
    areas.create("x", {"a": "1", "b": "1"}, ttl=10, user="u")
    areas.create("x", {"b": "2"}, ttl=20, user="u")
    assert areas.listing("x", user="u") == {"a": "1", "b": "2"}
    areas.pass_time(10)
    assert areas.listing("x", user="u") == {"b": "2"}


def test_an_update_with_a_user_creates_what_is_unknown_unless_switched_off(areas):
    assert areas.update("session", {"k": "v"}, user="service") is True
    assert areas.listing("session", user="service") == {"k": "v"}
    assert areas.update("session", {"k": "w"}, user="service") is False
    with pytest.raises(NotFound):
        areas.update("other", {"k": "v"}, user="service", policy=AreasPolicy(upsert=False))
    with pytest.raises(NotFound):
        areas.update("other", {"k": "v"})


def test_a_plain_area_is_not_bound_to_a_user(areas):
    areas.create(A, {"k": "v"})
    assert areas.listing(A, user="anyone") == {"k": "v"}
    assert areas.update(A, {"k": "w"}, user="anyone") is False
    assert areas.listing(A) == {"k": "w"}
    areas.delete(A, user="someone")
    assert areas.is_gone(A)


def test_the_customers_own_area_hides_a_plain_one_of_the_same_name(areas):
    areas.create(A, {"k": "plain"})
    areas.create(A, {"k": "custom"}, user="u")
    assert areas.listing(A, user="u") == {"k": "custom"}
    assert areas.listing(A) == {"k": "plain"}
    with pytest.raises(NotFound):
        areas.listing(A, user=None, custom=True)
    areas.delete(A, user="u", custom=True)
    with pytest.raises(NotFound):
        areas.delete(A, user="u", custom=True)
    assert areas.listing(A, user="u") == {"k": "plain"}


def test_a_customers_area_cannot_be_named_as_a_plain_one(areas):
    areas.create("x", {"k": "v"}, user="u")
    assert areas.is_gone("\0u\0x")


def test_a_taken_plain_id_is_refused(areas):
    areas.create(A, {"k": "v"})
    with pytest.raises(Conflict):
        areas.create(A, {"k": "w"})


@pytest.mark.parametrize("name", ["custom", "binary"])
def test_reserved_words_are_no_custom_ids(areas, name):
    with pytest.raises(Invalid):
        areas.create(name, {}, user="u")
    with pytest.raises(Invalid):
        areas.update(name, {}, user="u")


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 256])
def test_a_bad_custom_id_is_refused(areas, name):
    with pytest.raises((Invalid, TooLarge)):
        areas.create(name, {}, user="u")


@pytest.mark.parametrize("user", ["", "a\0b", "u" * 256])
def test_a_bad_user_is_refused(areas, user):
    with pytest.raises(Invalid):
        areas.create("x", {}, user=user)
