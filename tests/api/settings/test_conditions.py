"""Tags and preconditions: invisible to original clients (docs/wire/settings.md, section 12; RFC 9110 section
13)."""

from __future__ import annotations

import pytest

from tests.kit.settings import Answer, Client, User

LEVELS = ["global", "currentuser", "device/d"]


def matching(tag: str) -> list[tuple[str, str]]:
    return [("If-Match", tag)]


def none_matching(tag: str) -> list[tuple[str, str]]:
    return [("If-None-Match", tag)]


async def put_up(client: Client) -> None:
    for level in LEVELS:
        assert (await client.call("POST", level, {"c": {"x": 1}})).status == 201


@pytest.mark.parametrize("level", LEVELS)
async def test_every_get_and_write_tells_a_strong_tag(client: Client, level: str) -> None:
    await put_up(client)
    tags = {(await client.call("GET", f"{level}/c")).tag}
    for method, tail, value in [
        ("POST", "c/y", 1),
        ("PUT", "c/y", 2),
        ("PATCH", "c", {"y": 3}),
        ("DELETE", "c/y", ...),
    ]:
        written: Answer = await client.call(method, f"{level}/{tail}", value)
        assert written.tag.startswith('"')
        assert (await client.call("GET", f"{level}/c")).tag == written.tag
        tags.add(written.tag)
    assert len(tags) == 5


@pytest.mark.parametrize("level", LEVELS)
async def test_304_while_nothing_changed(client: Client, level: str) -> None:
    await put_up(client)
    tag = (await client.call("GET", f"{level}/c")).tag
    for header in [tag, f'"other", {tag}', f"W/{tag}", "*", f'W/"x",{tag} , "y"']:
        answer = await client.call("GET", f"{level}/c", headers=none_matching(header))
        assert (answer.status, answer.body, answer.tag) == (304, b"", tag)
    assert (await client.call("HEAD", f"{level}/c", headers=none_matching(tag))).status == 304
    assert (await client.call("GET", f"{level}/c", headers=none_matching('"other"'))).status == 200


async def test_a_change_above_changes_the_tag_below(client: Client) -> None:
    await put_up(client)
    tags = {level: (await client.call("GET", level)).tag for level in LEVELS}
    own = (await client.call("GET", "device/d?overwrite=false")).tag
    await client.call("PUT", "global/c/x", 2)
    for level in LEVELS:
        assert (await client.call("GET", level, headers=none_matching(tags[level]))).status == 200
    assert (await client.call("GET", "device/d?overwrite=false", headers=none_matching(own))).status == 304


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("method", "tail", "value"), [
    ("POST", "c/new", 1), ("PUT", "c/x", 1), ("PATCH", "c", {"x": 2}), ("DELETE", "c/x", ...),
    ("DELETE", "", ...), ("PUT", "", {"c": {}}),
])  # fmt: skip
async def test_412_when_another_was_faster(
    client: Client, level: str, method: str, tail: str, value: object
) -> None:
    await put_up(client)
    old = (await client.call("GET", f"{level}/c")).tag
    await client.call("PUT", f"{level}/c", {"x": 5})
    before = client.digest()
    new = (await client.call("GET", f"{level}/c")).tag
    for headers in [
        none_matching(new),
        matching(old),
        matching('"other"'),
        matching(f"W/{old}"),
        none_matching("*"),
    ]:
        if headers == none_matching("*") and tail == "c/new":
            continue
        answer = await client.call(method, f"{level}/{tail}", value, headers=headers)
        assert answer.status == 412
    assert client.digest() == before
    answer = await client.call(method, f"{level}/{tail}", value, headers=matching(f'"x", {new}'))
    assert answer.status < 300


@pytest.mark.parametrize("level", LEVELS[1:])
async def test_the_own_level_s_tag_matches_too(client: Client, level: str) -> None:
    await put_up(client)
    own = (await client.call("GET", f"{level}/c?overwrite=false")).tag
    assert (await client.call("PUT", f"{level}/c/x", 2, headers=matching(own))).status == 204
    assert (await client.call("PUT", f"{level}/c/x", 3, headers=matching(own))).status == 412


async def test_any_needs_a_target(client: Client) -> None:
    assert (await client.call("PUT", "device/d/c", {}, headers=matching("*"))).status == 412
    assert (await client.call("PUT", "device/d/c", {}, headers=none_matching("*"))).status == 201
    assert (await client.call("PUT", "device/d/c", {}, headers=none_matching("*"))).status == 412
    assert (await client.call("PUT", "device/d/c", {}, headers=matching("*"))).status == 204


async def test_conditions_count_only_where_the_write_would_succeed(client: Client) -> None:
    """RFC 9110 section 13.2.1."""
    await put_up(client)
    wrong = matching('"wrong"')
    assert (await client.call("PUT", "global/none", {}, headers=wrong)).status == 404
    assert (await client.call("POST", "global/c", {}, headers=wrong)).status == 409
    assert (await client.call("PUT", "user/bob/c", {}, headers=wrong)).status == 403


async def test_a_read_may_demand_its_tag(client: Client) -> None:
    await put_up(client)
    tag = (await client.call("GET", "global/c")).tag
    assert (await client.call("GET", "global/c", headers=matching(tag))).status == 200
    assert (await client.call("GET", "global/c", headers=matching('"other"'))).status == 412


@pytest.mark.parametrize("header", ["", "abc", '"abc', 'w/"a"', '"a" "b"', '"a";"b"', '*, "a"', '"\x07"'])
async def test_what_is_no_list_of_tags_is_refused(client: Client, header: str) -> None:
    await put_up(client)
    before = client.digest()
    assert (await client.call("PUT", "global/c", {}, headers=matching(header))).status == 400
    assert (await client.call("GET", "global/c", headers=none_matching(header))).status == 400
    assert client.digest() == before


async def test_a_tag_is_not_given_again_after_a_deletion(client: Client) -> None:
    tags = set()
    for _ in range(3):
        tags.add((await client.call("POST", "currentuser", {"c": {"x": 1}})).tag)
        await client.call("DELETE", "currentuser")
    assert len(tags) == 3


async def test_two_readers_who_see_different_things_have_different_tags(client: Client) -> None:
    await client.call("POST", "global", {"g": {"__metadata": {"readRoles": ["R"]}}, "c": {}})
    reader = User("ann", ("R",))
    for level in LEVELS:
        assert (await client.call("GET", level)).tag != (await client.call("GET", level, user=reader)).tag


async def test_keys_and_values_have_different_tags(client: Client) -> None:
    await put_up(client)
    assert (await client.call("GET", "global")).tag != (await client.call("GET", "global?keys")).tag


async def test_a_patch_without_effect_is_held_against_its_conditions_all_the_same(client: Client) -> None:
    await client.call("POST", "global/c", {"a": {"b": 1}})
    tag = (await client.call("GET", "currentuser/c")).tag
    for headers, status in (
        (matching('"stale"'), 412),
        (none_matching("*"), 412),
        (none_matching(tag), 412),
        (matching(tag), 204),
        ([], 204),
    ):
        answer = await client.call("PATCH", "currentuser/c", {"a": None}, headers=headers)
        assert answer.status == status, headers


@pytest.mark.parametrize("level", ["global", "currentuser", "device/d"])
async def test_a_deleted_level_has_no_tag(client: Client, level: str) -> None:
    """There is nothing left that a tag could name."""
    assert (await client.call("POST", level, {"c": {"v": 1}})).status == 201
    answer = await client.call("DELETE", level)
    assert answer.status == 204
    assert "ETag" not in answer.headers


@pytest.mark.parametrize("level", LEVELS)
async def test_a_tag_names_the_level_so_that_of_the_last_deletion_serves_the_next_write(
    client: Client, level: str
) -> None:
    """Nothing is left at the address, but the level's document is there, empty, and can be guarded on."""
    assert (await client.call("POST", f"{level}/c", {"v": 1})).status == 201
    deleted = await client.call("DELETE", f"{level}/c")
    assert (deleted.status, (await client.call("GET", f"{level}/c")).status) == (204, 404)
    assert (await client.call("GET", level)).tag == deleted.tag
    guarded = await client.call("POST", f"{level}/d", {"v": 2}, headers=matching(deleted.tag))
    assert guarded.status == 201
    stale = await client.call("POST", f"{level}/e", {"v": 3}, headers=matching(deleted.tag))
    assert stale.status == 412
