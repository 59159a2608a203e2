"""Texts that earlier reads showed: served while they are current, to callers with the same rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from retain.engine.settings import Asker, Level, Place
from retain.engine.settings import shown as module
from retain.engine.settings.queries import read_value
from retain.engine.settings.shown import ShownKey, ShownText, ShownTexts, entry_size, shown_key
from tests.kit.settings import ADMIN, ANN, BOB, Client, User, settings_client
from tests.kit.spread import own_texts

R = User("r", ("R",))
S = User("s", ("R", "S"))
GLOBAL = Place("app", Level.GLOBAL)


@pytest.fixture
def made(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The reads that were made anew."""
    made: list[Any] = []

    def counting(*args: Any, **keywords: Any) -> Any:
        made.append(args)
        return read_value(*args, **keywords)

    monkeypatch.setattr("retain.api.settings.reads.read_value", counting)
    return made


async def shown(client: Client, tail: str, user: User = ANN) -> Any:
    answer = await client.call("GET", tail, user=user)
    return answer.json() if answer.status == 200 else answer.status


async def three_levels(client: Client) -> None:
    await client.call("POST", "global", {"c": {"g": 1, "x": 1}}, user=ADMIN)
    await client.call("POST", "currentuser", {"c": {"u": 1, "x": 2}})
    await client.call("PUT", "device/d", {"c": {"d": 1, "x": 3}})


MERGED = {"c": {"g": 1, "u": 1, "d": 1, "x": 3}}


@own_texts
async def test_a_second_read_is_not_made_anew_and_is_the_same(client: Client, made: list[Any]) -> None:
    await three_levels(client)
    for tail in (
        "device/d",
        "device/d/c",
        "device/d/c/x",
        "device/d?overwrite=false",
        "currentuser",
        "global",
    ):
        before = len(made)
        first = await client.call("GET", tail)
        again = await client.call("GET", tail)
        assert len(made) == before + 1, tail
        assert (first.status, first.headers, first.body) == (again.status, again.headers, again.body), tail
    tag = (await client.call("GET", "device/d")).tag
    before = len(made)
    assert (await client.call("GET", "device/d", headers=[("If-None-Match", tag)])).status == 304
    assert (await client.call("GET", "device/d", headers=[("If-Match", '"other"')])).status == 412
    assert len(made) == before


@pytest.mark.parametrize(
    ("method", "tail", "value", "expected"),
    [
        ("PUT", "global/c/g", 2, {"c": {**MERGED["c"], "g": 2}}),
        ("PATCH", "global", {"n": {"y": 1}}, {**MERGED, "n": {"y": 1}}),
        ("DELETE", "global", ..., {"c": {"u": 1, "d": 1, "x": 3}}),
        ("PUT", "currentuser/c/u", 2, {"c": {**MERGED["c"], "u": 2}}),
        ("DELETE", "currentuser", ..., {"c": {"g": 1, "d": 1, "x": 3}}),
        ("PUT", "device/d/c/d", 2, {"c": {**MERGED["c"], "d": 2}}),
        ("DELETE", "device/d", ..., {"c": {"g": 1, "u": 1, "x": 2}}),
    ],
)
async def test_a_change_of_any_level_shows_at_once(
    client: Client, method: str, tail: str, value: Any, expected: Any
) -> None:
    await three_levels(client)
    before = await client.call("GET", "device/d")
    assert before.json() == MERGED
    assert (await client.call(method, tail, value)).status == 204
    after = await client.call("GET", "device/d")
    assert after.json() == expected
    assert after.tag != before.tag


async def test_a_level_that_is_created_shows_at_once(client: Client) -> None:
    """A text is made from levels that do not exist, too."""
    await client.call("PUT", "device/d", {"c": {"d": 1}})
    assert await shown(client, "device/d") == {"c": {"d": 1}}
    await client.call("POST", "currentuser", {"c": {"u": 1}})
    assert await shown(client, "device/d") == {"c": {"u": 1, "d": 1}}
    await client.call("POST", "global", {"c": {"g": 1}})
    assert await shown(client, "device/d") == {"c": {"g": 1, "u": 1, "d": 1}}
    assert await shown(client, "device/d?overwrite=false") == {"c": {"d": 1}}


async def test_a_deleted_and_recreated_document_shows_the_new_one(client: Client) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    assert await shown(client, "global") == {"c": {"x": 1}}
    await client.call("DELETE", "global")
    assert await shown(client, "global") == 404
    await client.call("POST", "global", {"c": {"x": 2}})
    assert await shown(client, "global") == {"c": {"x": 2}}


async def test_nobody_sees_what_another_role_may_see(client: Client) -> None:
    guarded = {"v": 1, "__metadata": {"readRoles": ["R"]}}
    await client.call("POST", "global", {"c": guarded, "open": {"o": 1}}, user=ADMIN)
    for _ in range(2):  # whoever asks first must not decide for the others
        assert await shown(client, "global", ADMIN) == {"c": guarded, "open": {"o": 1}}
        assert await shown(client, "global", R) == {"c": guarded, "open": {"o": 1}}
        assert await shown(client, "global", ANN) == {"open": {"o": 1}}
        assert await shown(client, "global/c", R) == guarded
        assert await shown(client, "global/c", ANN) == 403
        assert await shown(client, "global/c/none", ANN) == 403
        assert await shown(client, "currentuser/c", R) == {"v": 1}
        assert await shown(client, "currentuser/c", ANN) == 403


async def test_a_role_that_is_taken_away_counts_at_once(client: Client) -> None:
    guarded = {"v": 1, "__metadata": {"readRoles": ["R"]}}
    await client.call("POST", "global/c", guarded, user=ADMIN)
    assert await shown(client, "global/c", R) == guarded
    assert await shown(client, "global/c", User("r")) == 403
    await client.call("PATCH", "global/c", {"__metadata": {"readRoles": ["S"]}}, user=ADMIN)
    assert await shown(client, "global/c", R) == 403
    assert (await shown(client, "global/c", S))["v"] == 1


@own_texts
async def test_callers_with_the_same_rights_share_a_text(client: Client, made: list[Any]) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    assert await shown(client, "global", ANN) == await shown(client, "global", BOB) == {"c": {"x": 1}}
    assert len(made) == 1
    await client.call("POST", "currentuser", {"c": {"x": 2}}, user=ANN)
    assert await shown(client, "currentuser", ANN) == {"c": {"x": 2}}
    assert await shown(client, "currentuser", BOB) == {"c": {"x": 1}}, "their places differ"


async def test_a_device_that_became_another_users_is_refused(client: Client) -> None:
    """Bob reads what shows through before Ann owns the device."""
    await client.call("POST", "global", {"c": {"x": 1}})
    assert await shown(client, "device/d", BOB) == {"c": {"x": 1}}
    assert await shown(client, "device/d", BOB) == {"c": {"x": 1}}
    await client.call("PUT", "device/d", {"mine": {}}, user=ANN)
    assert await shown(client, "device/d", BOB) == 403
    await client.call("DELETE", "device/d", user=ANN)
    assert await shown(client, "device/d", BOB) == {"c": {"x": 1}}


@own_texts
async def test_a_deleted_value_is_not_kept_in_memory(client: Client) -> None:
    await three_levels(client)
    for tail in ("device/d", "device/d/c", "currentuser", "global"):
        await client.call("GET", tail)
    texts = client.engine.state.settings.shown
    assert len(texts) == 4
    await client.call("DELETE", "currentuser")
    assert len(texts) == 1, "what is left is made from the application alone"
    await client.call("DELETE", "global")
    assert (len(texts), texts.size, texts._made_from) == (0, 0, {})


async def test_the_names_of_children_and_earlier_versions_are_no_values(client: Client) -> None:
    await client.call("POST", "global", {"c": {"x": 1}})
    assert await shown(client, "global/c") == {"x": 1}
    assert await shown(client, "global/c?keys") == ["x"]
    await client.call("PUT", "global/c/x", 2)
    assert await shown(client, "global/c?version=1") == {"x": 1}
    assert await shown(client, "global/c") == {"x": 2}


@pytest.fixture
async def sharing() -> AsyncIterator[Client]:
    async with settings_client(device_isolation="per_user") as connected:
        yield connected


async def test_shared_devices_are_apart_by_user(sharing: Client) -> None:
    for user, value in ((ANN, 1), (BOB, 2)):
        await sharing.call("PUT", "device/d", {"c": {"x": value}}, user=user)
    for _ in range(2):
        assert await shown(sharing, "device/d", ANN) == {"c": {"x": 1}}
        assert await shown(sharing, "device/d", BOB) == {"c": {"x": 2}}


def key(name: str) -> ShownKey:
    return shown_key(Asker("ann"), Place("app", Level.USER, user=name), (), merged=True)


def test_the_bytes_are_bounded_and_the_least_recently_read_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    each = entry_size(key("a"), ShownText(b"0123456789", "a"))
    monkeypatch.setattr(module, "SHOWN_BYTES_MAX", 3 * each)
    texts = ShownTexts()
    for name in ("a", "b", "c"):
        texts.add(key(name), ShownText(b"0123456789", name), [GLOBAL])
    assert texts.find(key("a")) is not None
    texts.add(key("d"), ShownText(b"0123456789", "d"), [GLOBAL])
    assert [name for name in "abcd" if texts.find(key(name))] == ["a", "c", "d"]
    assert texts.size == 3 * each
    texts.changed(GLOBAL)
    assert (len(texts), texts.size) == (0, 0)


def test_a_long_text_is_not_kept_and_the_same_is_counted_once() -> None:
    texts = ShownTexts()
    texts.add(key("a"), ShownText(bytes(module.TEXT_BYTES_MAX + 1), "a"), [GLOBAL])
    assert len(texts) == texts.size == 0
    longest = ShownText(bytes(module.TEXT_BYTES_MAX), "a")
    for _ in range(2):
        texts.add(key("a"), longest, [GLOBAL])
    assert (len(texts), texts.size) == (1, entry_size(key("a"), longest))


def test_long_names_count_as_bytes() -> None:
    """A caller may have many roles, and a path many names, that the text does not contain."""
    asker = Asker("ann", frozenset({"r" * 5000}))
    long = shown_key(asker, Place("app", Level.USER, user="u" * 5000), ("p" * 5000,), merged=True)
    assert entry_size(long, ShownText(b"1", "t")) > entry_size(key("a"), ShownText(b"1", "t")) + 14_900


@pytest.mark.parametrize("number", [module.DROPPED_SINGLY_MAX, module.DROPPED_SINGLY_MAX + 1])
def test_a_change_of_what_many_are_made_from_drops_all_of_them(number: int) -> None:
    texts = ShownTexts()
    other = Place("other", Level.GLOBAL)
    texts.add(key("other"), ShownText(b"{}", "o"), [other])
    for one in range(number):
        texts.add(key(str(one)), ShownText(b"{}", str(one)), [GLOBAL])
    texts.changed(GLOBAL)
    assert not any(texts.find(key(str(one))) for one in range(number))
    texts.changed(other)
    assert (len(texts), texts.size, texts._made_from) == (0, 0, {})


def test_a_change_costs_nothing_that_grows_with_other_texts() -> None:
    texts = ShownTexts()
    for number in range(100):
        own = Place("app", Level.USER, user=str(number))
        texts.add(key(str(number)), ShownText(b"{}", str(number)), [own])
    texts.changed(Place("app", Level.USER, user="7"))
    texts.changed(GLOBAL)
    assert len(texts) == 99
    assert texts.find(key("7")) is None
