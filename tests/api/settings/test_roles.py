"""Role lists: who reads, who writes, who makes (docs/wire/settings.md, section 7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.settings import ADMIN, ANN, Client, User, settings_client

JSON_PATCH = ("Content-Type", "application/json-patch+json")
R, W, RW = User("r", ("R",)), User("w", ("W",)), User("rw", ("R", "W"))


async def guard(client: Client, metadata: Any, value: Any = 1) -> None:
    answer = await client.call("POST", "global/c", {"v": value, "__metadata": metadata}, user=ADMIN)
    assert answer.status == 201


@pytest.mark.parametrize(
    "metadata",
    [
        {"readRoles": ["X", "R"], "writeRoles": ["W"]},
        {"ReadRoles": ["X", "R"], "WriteRoles": ["W"]},
        {"readRoles": ["R"], "WriteRoles": ["W", "Y"]},
    ],
)
async def test_reading_needs_a_read_role_and_writing_a_write_role(client: Client, metadata: Any) -> None:
    """docs/wire/settings.md, sections 7 and 11.13: both spellings; one role suffices."""
    await guard(client, metadata)
    for user, reads, writes in [
        (ANN, 403, 403),
        (R, 200, 403),
        (W, 403, 204),
        (RW, 200, 204),
        (ADMIN, 200, 204),
    ]:
        assert (await client.call("GET", "global/c", user=user)).status == reads
        assert (await client.call("GET", "global/c/v", user=user)).status == reads
        assert (await client.call("GET", "global/c/none", user=user)).status == (404 if reads == 200 else 403)
        assert (await client.call("PUT", "global/c/v", 2, user=user)).status == writes
        assert (await client.call("PATCH", "global/c", {"v": 3}, user=user)).status == writes


@pytest.mark.parametrize("tail", ["currentuser/{}/a", "device/d/{}/a"])
@pytest.mark.parametrize(
    ("method", "below", "value", "headers"),
    [
        ("POST", "/b", 1, []),
        ("POST", "/b/c", 1, []),
        ("PATCH", "", {"b": 1}, []),
        ("PATCH", "", [{"op": "add", "path": "/b", "value": 1}], [JSON_PATCH]),
    ],
    ids=["POST", "POST-deep", "merge", "patch"],
)
async def test_a_write_below_what_may_be_hidden_is_refused_as_by_the_role(
    client: Client, tail: str, method: str, below: str, value: Any, headers: list[tuple[str, str]]
) -> None:
    """docs/wire/settings.md, section 4: 403 although there is nothing, as a configuration is hidden."""
    answers = []
    for user in (ANN, R):
        answers.append(await client.call(method, tail.format("c") + below, value, user=user, headers=headers))
    assert [answer.status for answer in answers] == [404, 404]
    await guard(client, {"readRoles": ["R"]})
    before = client.digest()
    for user, name, status in ((ANN, "c", 403), (ANN, "none", 404), (R, "c", 404), (R, "none", 404)):
        answer = await client.call(method, tail.format(name) + below, value, user=user, headers=headers)
        assert answer.status == status, (user, name)
    assert client.digest() == before


@pytest.mark.parametrize("level", ["global", "currentuser", "device/d"])
async def test_null_is_a_configuration_nowhere(client: Client, level: str) -> None:
    """docs/wire/settings.md, section 7: at global level it is an object, elsewhere anything but null."""
    assert (await client.call("POST", level, {"c": {"a": 1}})).status == 201
    before = client.digest()
    for method, tail, value in (
        ("POST", f"{level}/new", None),
        ("POST", level, {"new": None}),
        ("PUT", f"{level}/c", None),
        ("PUT", level, {"c": None}),
    ):
        assert (await client.call(method, tail, value)).status == 400, (method, tail)
    assert client.digest() == before
    other = 400 if level == "global" else 204
    for value in (5, "x", [], False):
        assert (await client.call("PUT", f"{level}/c", value)).status == other
    assert (await client.call("PATCH", level, {"c": None})).status == 204
    assert (await client.call("GET", f"{level}/c")).status == 404


@pytest.mark.parametrize("metadata", [{}, {"readRoles": [], "writeRoles": []}, {"other": 1}])
async def test_without_roles_everyone_may(client: Client, metadata: Any) -> None:
    """docs/wire/settings.md, section 7."""
    await guard(client, metadata)
    assert (await client.call("GET", "global/c")).status == 200
    assert (await client.call("DELETE", "global/c")).status == 204


async def test_roles_are_told_apart_by_case(client: Client) -> None:
    await guard(client, {"readRoles": ["r"]})
    assert (await client.call("GET", "global/c", user=R)).status == 403


async def test_the_spelling_is_kept_and_paths_find_either(client: Client) -> None:
    await guard(client, {"ReadRoles": ["R"], "writeRoles": ["W"]})
    assert (await client.call("GET", "global/c", user=R)).json()["__metadata"] == {
        "ReadRoles": ["R"],
        "writeRoles": ["W"],
    }
    for spelling in ["readRoles", "ReadRoles", "READROLES"]:
        assert (await client.call("GET", f"global/c/__metadata/{spelling}", user=R)).json() == ["R"]
    assert (await client.call("PUT", "global/c/__metadata/readroles", ["Q"], user=W)).status == 204
    assert (await client.call("GET", "global/c/__metadata", user=ADMIN)).json() == {
        "ReadRoles": ["Q"],
        "writeRoles": ["W"],
    }


@pytest.mark.parametrize(
    "metadata",
    [
        None, 5, [], "R", {"readRoles": "R"}, {"readRoles": None}, {"writeRoles": {}}, {"readRoles": [1]},
        {"readRoles": [""]}, {"readRoles": [["R"]]}, {"readRoles": ["R"], "ReadRoles": ["R"]},
        {"__metadata": {}}, {"readRoles": ["R"] * 1001},
    ],
)  # fmt: skip
async def test_lists_that_are_none_are_refused(client: Client, metadata: Any) -> None:
    before = client.digest()
    assert (await client.call("POST", "global/c", {"__metadata": metadata})).status == 400
    assert (await client.call("POST", "global", {"c": {"__metadata": metadata}})).status == 400
    assert client.digest() == before
    await client.call("POST", "global/c", {"v": 1})
    assert (await client.call("PUT", "global/c", {"__metadata": metadata})).status == 400
    if metadata is not None:
        removes = metadata == {"readRoles": None}
        patched = await client.call("PATCH", "global/c", {"__metadata": metadata})
        assert patched.status == (204 if removes else 400)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_metadata_below_a_configuration_s_own_is_refused(client: Client, method: str) -> None:
    """A deeper one has no force: ignoring it silently would be dangerous."""
    await client.call("POST", "global/c", {"p": {}})
    for tail, value in [
        ("c/p", {"__metadata": {}}),
        ("c", {"p": {"__metadata": {}}}),
        ("", {"c": {"p": {"__metadata": {}}}}),
        ("c/p/__metadata", {}),
        ("__metadata", {}),
        ("", {"__metadata": {}}),
    ]:
        answer = await client.call(method, f"global/{tail}", value)
        assert answer.status in {400} or (method == "POST" and answer.status == 409)


async def test_a_configuration_cannot_be_called_metadata(client: Client) -> None:
    for method in ["POST", "PUT", "PATCH"]:
        for level in ["global", "currentuser", "device/d"]:
            assert (await client.call(method, f"{level}/__metadata", {})).status == 400
            assert (await client.call(method, level, {"__metadata": {}})).status in {400, 404}


async def test_put_without_lists_keeps_the_old_ones(client: Client) -> None:
    await guard(client, {"readRoles": ["R"], "writeRoles": ["W"]})
    assert (await client.call("PUT", "global/c", {"new": 1}, user=W)).status == 204
    assert (await client.call("GET", "global/c", user=R)).json() == {
        "new": 1,
        "__metadata": {"readRoles": ["R"], "writeRoles": ["W"]},
    }
    assert (await client.call("PUT", "global", {"c": {"newer": 1}}, user=W)).status == 204
    assert (await client.call("GET", "global/c", user=ANN)).status == 403


@pytest.mark.parametrize("first", [True, False])
async def test_a_put_of_several_keeps_the_lists_of_each(client: Client, first: bool) -> None:
    """Whichever of them has lists, and whether or not the body has some for another."""
    await guard(client, {"writeRoles": ["W"]})
    for beside in ({"x": 1}, {"x": 2, "__metadata": {"readRoles": ["R"]}}):
        both = [("c", {"v": 2}), ("other", beside)]
        assert (await client.call("PUT", "global", dict(both if first else both[::-1]), user=W)).status == 204
        for name, whole in (("c", {"v": 2, "__metadata": {"writeRoles": ["W"]}}), ("other", beside)):
            assert (await client.call("GET", f"global/{name}", user=R)).json() == whole


async def test_lists_are_removed_by_delete_or_by_an_empty_object(client: Client) -> None:
    await guard(client, {"readRoles": ["R"]})
    assert (await client.call("DELETE", "global/c/__metadata")).status == 204
    assert (await client.call("GET", "global/c")).json() == {"v": 1}
    await client.call("PUT", "global/c", {"__metadata": {"readRoles": ["R"]}})
    assert (await client.call("PUT", "global/c", {"v": 2, "__metadata": {}})).status == 204
    assert (await client.call("GET", "global/c")).json() == {"v": 2, "__metadata": {}}


async def test_a_level_s_read_leaves_out_what_may_not_be_read(client: Client) -> None:
    await guard(client, {"readRoles": ["R"]})
    await client.call("POST", "global/open", {"x": 1})
    assert (await client.call("GET", "global")).json() == {"open": {"x": 1}}
    assert (await client.call("GET", "global?keys")).json() == ["open"]
    assert list((await client.call("GET", "global", user=R)).json()) == ["c", "open"]


async def test_a_level_s_write_that_touches_one_forbidden_is_refused_for_all(client: Client) -> None:
    await guard(client, {"writeRoles": ["W"]})
    await client.call("POST", "global/open", {"x": 1})
    before = client.digest()
    for method, value in [
        ("PUT", {"open": {}}), ("PUT", {}), ("PATCH", {"open": {}, "c": {}}), ("PATCH", {"c": None}),
        ("POST", {"c": {}, "new": {}}), ("DELETE", ...),
    ]:  # fmt: skip
        assert (await client.call(method, "global", value)).status == 403
    assert client.digest() == before
    assert (await client.call("PATCH", "global", {"open": {"y": 1}, "new": {}})).status == 204


async def test_a_writer_who_may_not_read_writes_all_the_same(client: Client) -> None:
    await guard(client, {"readRoles": ["R"], "writeRoles": ["W"]})
    assert (await client.call("PUT", "global/c/none", 1, user=W)).status == 404
    assert (await client.call("POST", "global/c/n", 1, user=W)).status == 201
    assert (await client.call("DELETE", "global/c/n", user=W)).status == 204


async def test_who_may_make_configurations() -> None:
    async with settings_client(global_create_roles=("Maker",)) as client:
        maker = User("m", ("Maker",))
        for method in ["POST", "PATCH"]:
            assert (await client.call(method, "global", {"c": {}})).status in {403, 404}
        assert (await client.call("POST", "global/c", {})).status == 403
        assert (await client.call("POST", "global/c", {}, user=maker)).status == 201
        assert (await client.call("PUT", "global/c", {"x": 1})).status == 204
        assert (await client.call("PATCH", "global", {"d": {}})).status == 403
        assert (await client.call("PUT", "global", {"c": {}, "d": {}})).status == 403
        assert (await client.call("POST", "global/d", {}, user=ADMIN)).status == 201
        assert (await client.call("POST", "currentuser/c", {})).status == 201
        assert (await client.call("PUT", "device/d/c", {})).status in {201, 204}


async def test_only_admins_set_lists_where_the_setting_says_so() -> None:
    """docs/wire/settings.md, section 11.24."""
    async with settings_client(metadata_writers="admin") as client:
        guarded = {"v": 1, "__metadata": {"readRoles": []}}
        assert (await client.call("POST", "global/c", guarded)).status == 403
        assert (await client.call("POST", "global/c", guarded, user=ADMIN)).status == 201
        assert (await client.call("PATCH", "global/c", {"__metadata": {"readRoles": ["R"]}})).status == 403
        assert (await client.call("DELETE", "global/c/__metadata")).status == 403
        assert (await client.call("PUT", "global/c/__metadata/readRoles", ["R"])).status == 403
        assert (await client.call("PUT", "global/c", {**guarded, "v": 2})).status == 204
        assert (await client.call("PUT", "global/c", {"v": 3})).status == 204
        assert (await client.call("PATCH", "global/c", {"v": 4})).status == 204


async def test_an_admin_acts_for_any_user(client: Client) -> None:
    assert (await client.call("POST", "user/ann/c", {"x": 1}, user=ADMIN)).status == 201
    assert (await client.call("GET", "currentuser/c", user=ANN)).json() == {"x": 1}
    assert (await client.call("GET", "user/ann/c", user=ADMIN)).json() == {"x": 1}
    assert (await client.call("DELETE", "user/ann", user=ADMIN)).status == 204


@pytest.mark.parametrize("level", ["currentuser", "device/d"])
async def test_lists_have_no_meaning_below_the_application(client: Client, level: str) -> None:
    """They are dropped from bodies."""
    body = {"v": 1, "__metadata": {"readRoles": ["Nobody"]}}
    assert (await client.call("POST", f"{level}/c", body)).status == 201
    assert (await client.call("GET", f"{level}?overwrite=false")).json() == {"c": {"v": 1}}
    assert (await client.call("PATCH", level, {"c": {"__metadata": None, "w": 1}})).status == 204
    assert (await client.call("PUT", level, {"c": body})).status == 204
    assert (await client.call("GET", f"{level}/c")).json() == {"v": 1}
    assert (await client.call("PUT", f"{level}/c/__metadata", {})).status == 400
    assert (await client.call("DELETE", f"{level}/c/__metadata")).status in {400, 404}
    assert (await client.call("GET", f"{level}/c/__metadata")).status == 404


async def test_a_configuration_at_global_level_is_an_object(client: Client) -> None:
    """docs/wire/settings.md, section 7: role lists stand in it."""
    for value in [5, "x", [], None, True]:
        assert (await client.call("POST", "global/c", value)).status == 400
        assert (await client.call("POST", "global", {"c": value})).status == 400
    await client.call("POST", "global/c", {})
    for value in [5, "x", [1], None]:
        assert (await client.call("PUT", "global/c", value)).status == 400
        assert (await client.call("PATCH", "global/c", value)).status == 400
        assert (await client.call("PUT", "global", {"c": value})).status == 400
    for value in [5, "x", [1]]:
        assert (await client.call("PATCH", "global", {"c": value})).status == 400


async def test_devices_are_shared_where_the_setting_says_so() -> None:
    """docs/wire/settings.md, section 11.15."""
    async with settings_client(device_isolation="per_user") as client:
        bob = User("bob")
        assert (await client.call("PUT", "device/d/c", {"x": 1})).status == 201
        assert (await client.call("PUT", "device/d/c", {"x": 2}, user=bob)).status == 201
        assert (await client.call("GET", "device/d/c/x")).json() == 1
        assert (await client.call("GET", "device/d/c/x", user=bob)).json() == 2
        assert (await client.call("DELETE", "device/d", user=bob)).status == 204
        assert (await client.call("GET", "device/d/c/x")).json() == 1


async def test_a_json_patch_reads_only_what_its_sender_may(client: Client) -> None:
    await guard(client, {"readRoles": ["R"], "writeRoles": []}, value="secret")
    await client.call("POST", "global/open", {"x": 1})
    kind = [("Content-Type", "application/json-patch+json")]
    for steps in [
        [{"op": "copy", "from": "/c/v", "path": "/open/y"}],
        [{"op": "test", "path": "/c/v", "value": "secret"}],
        [{"op": "test", "path": "", "value": {}}],
        [{"op": "copy", "from": "", "path": "/open/all"}],
    ]:
        assert (await client.call("PATCH", "global", steps, headers=kind)).status == 403


@pytest.mark.parametrize(
    ("tail", "below"), [("global", "/c"), ("global/c", "")], ids=["of the level", "of the configuration"]
)
@pytest.mark.parametrize(
    "step",
    [
        {"op": "add", "path": "/new", "value": 1},
        {"op": "replace", "path": "/v", "value": 2},
        {"op": "remove", "path": "/v"},
        {"op": "copy", "from": "/v", "path": "/w"},
        {"op": "move", "from": "/v", "path": "/w"},
        {"op": "test", "path": "/v", "value": 1},
    ],
    ids=lambda step: step["op"],
)
async def test_a_json_patch_needs_both_rights(client: Client, tail: str, below: str, step: Any) -> None:
    await guard(client, {"readRoles": ["R"], "writeRoles": ["W"]})
    step = {name: f"{below}{value}" if name in {"path", "from"} else value for name, value in step.items()}
    kind = [("Content-Type", "application/json-patch+json")]
    before = client.digest()
    for user in [ANN, R, W]:
        assert (await client.call("PATCH", tail, [step], user=user, headers=kind)).status == 403
        assert client.digest() == before
    assert (await client.call("PATCH", tail, [step], user=RW, headers=kind)).status == 204


async def test_a_json_patch_of_a_level_needs_the_rights_over_all_that_it_names(client: Client) -> None:
    await guard(client, {"writeRoles": ["W"]})
    await client.call("POST", "global/open", {"x": 1})
    kind = [("Content-Type", "application/json-patch+json")]
    for steps in [
        [{"op": "replace", "path": "", "value": {}}],
        [{"op": "copy", "from": "", "path": "/open/all"}],
        [{"op": "move", "from": "/c", "path": "/open/c"}],
        [{"op": "add", "path": "/open/x", "value": 2}, {"op": "remove", "path": "/c"}],
    ]:
        assert (await client.call("PATCH", "global", steps, headers=kind)).status == 403
    allowed = [{"op": "add", "path": "/open/x", "value": 2}]
    assert (await client.call("PATCH", "global", allowed, headers=kind)).status == 204


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_roles_of_a_configuration_are_not_those_of_a_member_with_its_name(
    client: Client, method: str
) -> None:
    """`a/c` is below `a`, whatever the roles of the configuration `c` are."""
    await guard(client, {"readRoles": ["R"], "writeRoles": ["W"]})
    await client.call("POST", "global/a", {} if method == "POST" else {"c": {"v": 1}})
    body = ... if method == "DELETE" else {"v": 2}
    status = 201 if method == "POST" else 204
    assert (await client.call(method, "global/a/c", body, user=ANN)).status == status
    below = "global/a/c/v"
    if method == "POST":
        assert (await client.call(method, "global/a/c/w", 5, user=ANN)).status == 201
    elif method == "PUT":
        assert (await client.call(method, below, 5, user=ANN)).status == 204


@pytest.mark.parametrize("level", ["global", "currentuser"])
async def test_a_json_patch_makes_no_configuration_that_no_other_write_makes(
    client: Client, level: str
) -> None:
    await client.call("POST", level, {"c": {"v": 5}})
    kind = [("Content-Type", "application/json-patch+json")]
    before = client.digest()
    values = [None] if level == "currentuser" else [5, "x", [], None, True]
    refused = [{"op": op, "path": "/c", "value": value} for op in ("add", "replace") for value in values]
    refused += [{"op": "add", "path": "/new", "value": value} for value in values]
    refused += [{"op": "add", "path": "/__metadata", "value": {}}, {"op": "add", "path": "/", "value": {}}]
    refused += [{"op": "add", "path": "/a\0b", "value": {}}]
    if level == "global":
        refused += [{"op": op, "from": "/c/v", "path": "/d"} for op in ("copy", "move")]
    for step in refused:
        assert (await client.call("PATCH", level, [step], headers=kind)).status == 400, step
    assert client.digest() == before
