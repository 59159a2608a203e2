"""What areas refuse: bad names, bad ttls, quotas."""

from __future__ import annotations

import pytest

from retain.engine import Inline, Invalid, QuotaExceeded, TooLarge
from retain.engine.areas import (
    MAX_TTL,
    AreasPolicy,
    NewFile,
)
from tests.kit.areas_state import A, B

AREA_NAME_BYTES, AREA_TEXT_BYTES = 512 * 1024, 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("values", "error", "reason"),
    [
        ({"": "v"}, Invalid, "key-empty"),
        ({"_k": "v"}, Invalid, "key-underscore"),
        ({"_": "v"}, Invalid, "key-underscore"),
        ({"a\0b": "v"}, Invalid, "key"),
        ({"\0": "v"}, Invalid, "key"),
        ({"k" * 256: "v"}, TooLarge, "key"),
        ({"é" * 128: "v"}, TooLarge, "key"),
        ({str(number): "v" for number in range(1001)}, TooLarge, "keys"),
    ],
)
def test_a_bad_key_refuses_the_whole_command(areas, values, error, reason):
    areas.create(A, {"kept": "1"})
    for command in (
        lambda: areas.create(B, {"good": "1", **values}),
        lambda: areas.update(A, {"good": "1", **values}),
    ):
        with pytest.raises(error) as refused:
            command()
        assert refused.value.reason == reason
    assert areas.listing(A) == {"kept": "1"}
    assert areas.is_gone(B)


@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL + 1])
def test_a_ttl_out_of_bounds_is_refused(areas, ttl):
    with pytest.raises(Invalid) as refused:
        areas.create(A, {"k": "v"}, ttl=ttl)
    assert (refused.value.reason, refused.value.data["limit"]) == ("ttl", MAX_TTL)


@pytest.mark.parametrize("ttl", [1, MAX_TTL])
def test_a_ttl_at_its_bounds_is_taken(areas, ttl):
    areas.create(A, {"k": "v"}, ttl=ttl)
    areas.pass_time(ttl - 0.5)
    assert areas.listing(A) == {"k": "v"}
    areas.pass_time(0.5)
    assert areas.is_gone(A)


@pytest.mark.parametrize("unit", ["x", "é"])
def test_names_are_bounded_in_bytes_exactly(areas, unit):
    """Ids and customers of custom areas, and the keys of all."""
    fits = unit * (254 // len(unit.encode())) + "x"
    areas.create(fits, {fits: "v"}, user=fits)
    assert areas.listing(fits, user=fits) == {fits: "v"}
    for error, reason, name, user, key in (
        (Invalid, "user", "id", fits + "x", "k"),
        (TooLarge, "id", fits + "x", "user", "k"),
        (TooLarge, "key", "id", "user", fits + "x"),
    ):
        for command in (areas.create, areas.update):
            with pytest.raises(error) as refused:
                command(name, {key: "v"}, user=user)
            assert (refused.value.reason, refused.value.data["limit"]) == (reason, 255)


def test_the_number_of_keys_counts_living_ones_of_the_whole_area(areas):
    few = AreasPolicy(max_keys=2)
    areas.create(A, {"a": "1", "b": "1"}, ttl=10, policy=few)
    areas.update(A, {"a": "2"}, ttl=20, policy=few)
    with pytest.raises(TooLarge) as refused:
        areas.update(A, {"c": "1"}, policy=few)
    assert refused.value.reason == "keys"
    areas.pass_time(10)
    areas.update(A, {"c": "1"}, policy=few)
    assert areas.listing(A) == {"a": "2", "c": "1"}


def test_quota_of_bytes(areas):
    policy = AreasPolicy(quota_bytes=10)
    areas.create(A, {"k": "12345"}, policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.create(B, {"k": "1234"}, policy=policy)
    areas.create(B, {"k": "123"}, policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.update(A, {"k": "123456"}, policy=policy)
    areas.update(A, {"k": "54321"}, policy=policy)
    areas.delete(B)
    areas.update(A, {"é": NewFile("f", "t/t", Inline(b"12", b"m" * 16))}, policy=policy)
    assert areas.state.areas.size == 10


def test_quota_of_areas_per_user_counts_the_living(areas):
    policy = AreasPolicy(quota_areas_per_user=1)
    areas.create("a", {"k": "1"}, ttl=1, user="u", policy=policy)
    areas.create("a", {"k": "2"}, ttl=1, user="u", policy=policy)
    with pytest.raises(QuotaExceeded):
        areas.update("b", {"k": "1"}, user="u", policy=policy)
    areas.create("b", {"k": "1"}, user="other", policy=policy)
    areas.pass_time(1)
    areas.create("b", {"k": "1"}, ttl=1, user="u", policy=policy)


def test_the_keys_of_an_area_together_are_bounded_exactly(areas):
    """Those that the area has already count, so that it always fits into one frame when it is restated."""
    wide = AreasPolicy(max_keys=10, max_name_bytes=AREA_NAME_BYTES)
    areas.create(A, {"a" * (AREA_NAME_BYTES - 3): "1"}, policy=wide)
    areas.update(A, {"bbb": "2"}, policy=wide)
    assert areas.listing(A)["bbb"] == "2"
    with pytest.raises(TooLarge) as refusal:
        areas.update(A, {"c": "3"}, policy=wide)
    assert refusal.value.reason == "keys"
    assert "c" not in areas.listing(A)


def test_the_texts_of_an_area_together_are_bounded_exactly(areas):
    """Those that it has already count unless they are replaced; files do not."""
    areas.create(A, {"a": "é" * (AREA_TEXT_BYTES // 2 - 1), "b": "1"})
    areas.update(A, {"b": "23", "file": NewFile("f", "t/t", Inline(b"12", b"m" * 16))})
    for command in (
        lambda: areas.update(A, {"b": "345"}),
        lambda: areas.update(A, {"c": "3"}),
        lambda: areas.create(B, {"a": "x" * AREA_TEXT_BYTES, "b": "1"}),
    ):
        with pytest.raises(TooLarge) as refused:
            command()
        assert (refused.value.reason, refused.value.data["limit"]) == ("texts", AREA_TEXT_BYTES)
    assert areas.listing(A).keys() == {"a", "b", "file"}
    areas.update(A, {"file": "", "a": "x" * (AREA_TEXT_BYTES - 2)})
    areas.create(B, {"a": "x" * AREA_TEXT_BYTES})
