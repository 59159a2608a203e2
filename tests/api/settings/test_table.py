"""Methods × levels: each cell of docs/wire/settings.md, section 3, and the resolutions of section 11 that
shape it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kit.settings import ADMIN, ANN, BOB, Answer, Client, User, settings_client

GUARDED = {"v": 1, "__metadata": {"readRoles": ["R"], "writeRoles": ["W"]}}
LEVELS = ["global", "currentuser", "device/d1"]


async def put_up(client: Client) -> None:
    """One configuration at every level, one guarded, one that only the application has."""
    assert (await client.call("POST", "global", {"c": {"p": {"q": 1}}, "g": GUARDED, "app": {"x": 1}},
                              user=ADMIN)).status == 201  # fmt: skip
    assert (await client.call("POST", "currentuser", {"c": {"p": {"q": 2}}})).status == 201
    assert (await client.call("POST", "device/d1", {"c": {"p": {"q": 3}}})).status == 201


async def unchanged(client: Client, *call: Any, **more: Any) -> Answer:
    """A refused request: state and journal stay as they were."""
    before = client.digest()
    answer = await client.call(*call, **more)
    assert answer.status >= 400
    assert client.digest() == before
    assert set(answer.json()) == {"code", "message"}
    assert answer.headers["Content-Type"] == "application/json"
    return answer


class TestGet:
    @pytest.mark.parametrize(("level", "q"), list(zip(LEVELS, [1, 2, 3], strict=True)))
    async def test_200_value(self, client: Client, level: str, q: int) -> None:
        """docs/wire/settings.md, sections 3.1, 11.5 and 11.6."""
        await put_up(client)
        for tail, body in [("c", b'{"p":{"q":%d}}'), ("c/p", b'{"q":%d}'), ("c/p/q", b"%d")]:
            answer = await client.call("GET", f"{level}/{tail}")
            assert (answer.status, answer.body) == (200, body % q)
            assert answer.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("level", LEVELS)
    async def test_404_missing(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.1 and 11.6."""
        assert (await unchanged(client, "GET", level)).status == 404
        await put_up(client)
        for tail in ["none", "c/none", "c/p/none", "c/p/q/r"]:
            assert (await unchanged(client, "GET", f"{level}/{tail}")).status == 404
        assert (await unchanged(client, "GET", f"{level}/c", app="other")).status == 404

    async def test_403_global_without_a_role(self, client: Client) -> None:
        """docs/wire/settings.md, section 3.1."""
        await put_up(client)
        assert (await unchanged(client, "GET", "global/g/v")).status == 403

    @pytest.mark.parametrize("level", ["currentuser", "device/d1"])
    async def test_403_where_all_there_is_may_not_be_read(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.1 and 4."""
        await put_up(client)
        assert (await unchanged(client, "GET", f"{level}/g")).status == 403
        assert (await unchanged(client, "GET", f"{level}/g/v")).status == 403
        assert (await unchanged(client, "GET", f"{level}/g/none")).status == 403

    async def test_403_another_user(self, client: Client) -> None:
        """docs/wire/settings.md, section 11.22."""
        await put_up(client)
        assert (await unchanged(client, "GET", "user/ann/c", user=BOB)).status == 403
        assert (await unchanged(client, "GET", "device/d1/c", user=BOB)).status == 403

    @pytest.mark.parametrize("level", LEVELS)
    async def test_head_is_a_get_without_the_body(self, client: Client, level: str) -> None:
        await put_up(client)
        get = await client.call("GET", f"{level}/c")
        head = await client.call("HEAD", f"{level}/c")
        assert (head.status, head.tag) == (200, get.tag)
        assert (await client.call("HEAD", f"{level}/none")).status == 404


class TestPost:
    @pytest.mark.parametrize("level", LEVELS)
    async def test_201_created(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, section 3.2, with Location and ETag."""
        await put_up(client)
        answer = await client.call("POST", f"{level}/c/p/new", [1, "x"])
        assert (answer.status, answer.body) == (201, b"")
        location = f"/mobileservices/Storage/v1/runtime/application/app/{level}/c/p/new"
        assert answer.headers["Location"] == location
        read = await client.call("GET", f"{level}/c/p/new")
        assert (read.body, read.tag) == (b'[1,"x"]', answer.tag)

    @pytest.mark.parametrize("level", LEVELS)
    async def test_409_exists_and_nothing_changes(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.2 and 11.21."""
        await put_up(client)
        for tail in ["c", "c/p", "c/p/q"]:
            assert (await unchanged(client, "POST", f"{level}/{tail}", {})).status == 409
        assert (await unchanged(client, "POST", level, {"new": {}, "c": {}})).status == 409

    @pytest.mark.parametrize("level", LEVELS)
    async def test_404_missing_parent(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, section 3.2: parents must exist."""
        await put_up(client)
        for tail in ["none/x", "c/none/x", "c/p/q/r"]:
            assert (await unchanged(client, "POST", f"{level}/{tail}", 1)).status == 404

    async def test_403_global_without_a_role(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.2 and 7."""
        await put_up(client)
        assert (await unchanged(client, "POST", "global/g/new", 1)).status == 403
        assert (await unchanged(client, "POST", "global", {"g": {}, "new": {}})).status == 403

    async def test_403_another_user(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.2 and 8."""
        await put_up(client)
        assert (await unchanged(client, "POST", "user/ann/x", {}, user=BOB)).status == 403
        assert (await unchanged(client, "POST", "device/d1/x", {}, user=BOB)).status == 403

    @pytest.mark.parametrize("level", LEVELS[1:])
    async def test_an_application_default_can_be_overridden(self, client: Client, level: str) -> None:
        """Existence is tested on the own document (docs/wire/settings.md, section 3.2); parents may be
        inherited."""
        await put_up(client)
        assert (await client.call("POST", f"{level}/app/x", 7)).status == 201
        assert (await client.call("GET", f"{level}/app")).json() == {"x": 7}
        assert (await client.call("GET", "global/app")).json() == {"x": 1}
        assert (await unchanged(client, "POST", f"{level}/app/x", 8)).status == 409
        assert (await client.call("POST", f"{level}/app/y", 1)).status == 201

    async def test_post_of_a_level_makes_every_member_a_configuration(self, client: Client) -> None:
        answer = await client.call("POST", "currentuser", {"a": {"x": 1}, "b": 2})
        assert answer.status == 201
        assert (await client.call("GET", "currentuser/b")).json() == 2
        assert (await client.call("POST", "currentuser", {"c": {}})).status == 201
        assert (await client.call("GET", "currentuser")).json() == {"a": {"x": 1}, "b": 2, "c": {}}

    async def test_an_empty_post_makes_the_level(self, client: Client) -> None:
        assert (await client.call("POST", "global", {})).status == 201
        assert (await client.call("GET", "global")).json() == {}


class TestPut:
    @pytest.mark.parametrize("level", LEVELS)
    async def test_204_replaced(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, section 3.3."""
        await put_up(client)
        answer = await client.call("PUT", f"{level}/c/p", {"r": 1})
        assert (answer.status, answer.body) == (204, b"")
        assert (await client.call("GET", f"{level}/c/p?overwrite=false")).json() == {"r": 1}

    @pytest.mark.parametrize("level", LEVELS[:2])
    async def test_404_missing(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.3 and 11.1."""
        assert (await unchanged(client, "PUT", level, {})).status == 404
        await put_up(client)
        for tail in ["none", "c/none", "c/p/none/x", "c/p/q/r"]:
            assert (await unchanged(client, "PUT", f"{level}/{tail}", {})).status == 404

    async def test_device_201_when_new(self, client: Client) -> None:
        """docs/wire/settings.md, section 11.2: upsert, never 409."""
        answer = await client.call("PUT", "device/d1/c/p/q", 5)
        assert answer.status == 201
        assert (await client.call("GET", "device/d1")).json() == {"c": {"p": {"q": 5}}}
        assert (await client.call("PUT", "device/d1/c/p/q", 6)).status == 204
        assert (await client.call("PUT", "device/d2", {"a": {}})).status == 201
        assert (await client.call("PUT", "device/d2", {"b": {}})).status == 204
        assert (await client.call("GET", "device/d2")).json() == {"b": {}}

    async def test_device_404_below_a_primitive(self, client: Client) -> None:
        await put_up(client)
        assert (await unchanged(client, "PUT", "device/d1/c/p/q/r", 5)).status == 404

    async def test_403_global_without_a_role(self, client: Client) -> None:
        """docs/wire/settings.md, section 3.3."""
        await put_up(client)
        assert (await unchanged(client, "PUT", "global/g/v", 2)).status == 403
        assert (await unchanged(client, "PUT", "global", {"c": {}})).status == 403

    async def test_403_another_user(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.3 and 8."""
        await put_up(client)
        assert (await unchanged(client, "PUT", "user/ann/c", {}, user=BOB)).status == 403
        assert (await unchanged(client, "PUT", "device/d1/c", {}, user=BOB)).status == 403

    @pytest.mark.parametrize("level", LEVELS[1:])
    async def test_what_is_inherited_exists(self, client: Client, level: str) -> None:
        """Existence is judged on the effective document, the write goes to the own level
        (docs/wire/settings.md, section 11.25)."""
        await client.call("POST", "global", {"c": {"p": {"q": 1, "r": 2}}})
        assert (await client.call("PUT", f"{level}/c/p/q", 9)).status == 204
        assert (await client.call("GET", f"{level}?overwrite=false")).json() == {"c": {"p": {"q": 9}}}
        assert (await client.call("GET", f"{level}/c/p")).json() == {"q": 9, "r": 2}

    async def test_put_of_a_level_replaces_it(self, client: Client) -> None:
        await put_up(client)
        assert (await client.call("PUT", "currentuser", {"n": {}})).status == 204
        assert (await client.call("GET", "currentuser?overwrite=false")).json() == {"n": {}}

    async def test_put_creates_where_the_setting_says_so(self) -> None:
        async with settings_client(put_creates=True) as client:
            for level, name in zip(LEVELS, "abc", strict=True):
                assert (await client.call("PUT", f"{level}/{name}/x", 1)).status == 201
                assert (await client.call("PUT", f"{level}/{name}/x", 1)).status == 204
                assert (await unchanged(client, "PUT", f"{level}/{name}/x/y", 1)).status == 404


class TestPatch:
    @pytest.mark.parametrize("level", LEVELS)
    async def test_204_merged(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, section 3.4."""
        await put_up(client)
        answer = await client.call("PATCH", f"{level}/c", {"p": {"q": None, "r": 1}, "s": [1]})
        assert (answer.status, answer.body) == (204, b"")
        assert (await client.call("GET", f"{level}/c?overwrite=false")).json() == {"p": {"r": 1}, "s": [1]}

    @pytest.mark.parametrize("level", LEVELS)
    async def test_404_missing(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 11.3 and 11.4: SAP's tables say 409 because it exists."""
        assert (await unchanged(client, "PATCH", level, {"a": {}})).status == 404
        await put_up(client)
        for tail in ["none", "c/none", "c/p/q/r"]:
            assert (await unchanged(client, "PATCH", f"{level}/{tail}", {})).status == 404

    async def test_403_global_without_a_role(self, client: Client) -> None:
        """docs/wire/settings.md, section 3.4."""
        await put_up(client)
        assert (await unchanged(client, "PATCH", "global/g", {"v": 2})).status == 403
        assert (await unchanged(client, "PATCH", "global", {"c": {}, "g": None})).status == 403

    async def test_403_another_user(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.4 and 8."""
        await put_up(client)
        assert (await unchanged(client, "PATCH", "user/ann/c", {}, user=BOB)).status == 403
        assert (await unchanged(client, "PATCH", "device/d1/c", {}, user=BOB)).status == 403

    @pytest.mark.parametrize("level", LEVELS[1:])
    async def test_what_is_inherited_can_be_patched(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, section 11.25."""
        await client.call("POST", "global", {"c": {"p": {"q": 1}, "s": "text"}})
        assert (await client.call("PATCH", f"{level}/c/p", {"r": 2})).status == 204
        assert (await client.call("GET", f"{level}/c?overwrite=false")).json() == {"p": {"r": 2}}
        assert (await client.call("GET", f"{level}/c")).json() == {"p": {"q": 1, "r": 2}, "s": "text"}

    async def test_a_primitive_replaces_a_property(self, client: Client) -> None:
        """docs/wire/settings.md, section 5; RFC 7396, case 11: a body of null stores null."""
        await put_up(client)
        for value in ["bar", None, [1, [2]], False]:
            assert (await client.call("PATCH", "global/c/p/q", value)).status == 204
            assert (await client.call("GET", "global/c/p/q")).json() == value

    @pytest.mark.parametrize("level", LEVELS)
    async def test_null_cannot_replace_a_configuration_or_a_level(self, client: Client, level: str) -> None:
        await put_up(client)
        assert (await unchanged(client, "PATCH", f"{level}/c", None)).status == 400
        assert (await unchanged(client, "PATCH", level, None)).status == 400

    async def test_patch_of_a_level_adds_changes_and_removes_configurations(self, client: Client) -> None:
        """docs/wire/settings.md, section 11.20."""
        await put_up(client)
        assert (
            await client.call("PATCH", "currentuser", {"c": None, "d": {"x": None, "y": 1}})
        ).status == 204
        assert (await client.call("GET", "currentuser?overwrite=false")).json() == {"d": {"y": 1}}


class TestDelete:
    @pytest.mark.parametrize("level", LEVELS)
    async def test_204_deleted(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.5 and 11.8."""
        await put_up(client)
        for tail in ["c/p/q", "c/p", "c"]:
            answer = await client.call("DELETE", f"{level}/{tail}")
            assert (answer.status, answer.body) == (204, b"")
            own = await client.call("GET", f"{level}/{tail}?overwrite=false")
            assert own.status == 404

    @pytest.mark.parametrize("level", LEVELS)
    async def test_404_missing(self, client: Client, level: str) -> None:
        """docs/wire/settings.md, sections 3.5, 11.7 and 11.8."""
        assert (await unchanged(client, "DELETE", level)).status == 404
        await put_up(client)
        for tail in ["none", "c/none", "c/p/q/r"]:
            assert (await unchanged(client, "DELETE", f"{level}/{tail}")).status == 404

    async def test_403_global_without_a_role(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.5 and 7."""
        await put_up(client)
        assert (await unchanged(client, "DELETE", "global/g")).status == 403
        assert (await unchanged(client, "DELETE", "global")).status == 403

    async def test_403_another_user(self, client: Client) -> None:
        """docs/wire/settings.md, sections 3.5 and 8."""
        await put_up(client)
        assert (await unchanged(client, "DELETE", "user/ann/c", user=BOB)).status == 403
        assert (await unchanged(client, "DELETE", "device/d1/c", user=BOB)).status == 403

    @pytest.mark.parametrize("level", LEVELS[1:])
    async def test_the_inherited_value_shows_again_and_stays(self, client: Client, level: str) -> None:
        await client.call("POST", "global", {"c": {"q": 1}})
        await client.call("PUT", f"{level}/c/q", 2)
        assert (await client.call("DELETE", f"{level}/c/q")).status == 204
        assert (await client.call("GET", f"{level}/c/q")).json() == 1
        assert (await unchanged(client, "DELETE", f"{level}/c/q")).status == 404

    @pytest.mark.parametrize("level", LEVELS)
    async def test_deleting_a_level_empties_it(self, client: Client, level: str) -> None:
        await put_up(client)
        assert (await client.call("DELETE", level, user=ADMIN if level == "global" else ANN)).status == 204
        assert (await client.call("DELETE", level, user=ADMIN if level == "global" else ANN)).status == 404


@pytest.mark.parametrize("method", ["TRACK", "PROPFIND", "get", "LOCK", "M-SEARCH"])
async def test_405_other_methods(client: Client, method: str) -> None:
    """docs/wire/settings.md, section 11.28."""
    answer = await unchanged(client, method, "global/c")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


async def test_options_tells_what_can_be_done(client: Client) -> None:
    answer = await client.call("OPTIONS", "global/c")
    assert answer.status == 204
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert "application/json-patch+json" in answer.headers["Accept-Patch"]


async def test_declared_applications_are_the_only_ones() -> None:
    """docs/wire/settings.md, section 3: 404 if applications are declared and this is none of them."""
    async with settings_client(applications=("known",)) as client:
        assert (await client.call("POST", "global", {"a": {}}, app="known")).status == 201
        for method in ["POST", "PUT", "PATCH"]:
            assert (await unchanged(client, method, "global", {"a": {}}, app="new")).status == 404
        assert (await unchanged(client, "GET", "global", app="new")).status == 404
        assert (await unchanged(client, "PUT", "device/d", {}, app="new")).status == 404


async def test_writes_of_many_users_do_not_meet(client: Client) -> None:
    for name in ["ann", "bob", "Ann", "änn", "a/b", "x y"]:
        user = User(name)
        assert (await client.call("POST", "currentuser/me", {"name": name}, user=user)).status == 201
    for name in ["ann", "bob", "Ann", "änn", "a/b", "x y"]:
        assert (await client.call("GET", "currentuser/me/name", user=User(name))).json() == name
