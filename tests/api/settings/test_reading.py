"""Reading: how levels are laid over one another, and what `overwrite` shows (docs/wire/settings.md, section
4)."""

from __future__ import annotations

import pytest

from tests.kit.settings import ANN, BOB, ROOT, Client, User

GLOBAL = {"c": {"a": 1, "o": {"x": 1, "y": 1}, "l": [1, 2], "n": 1}, "only": {"v": 1}}


async def put_up(client: Client) -> None:
    assert (await client.call("POST", "global", GLOBAL)).status == 201
    user = {"c": {"a": 2, "o": {"y": 2, "z": 2}, "l": [3], "n": None}, "mine": {"u": 1}}
    assert (await client.call("POST", "currentuser", user)).status == 201
    device = {"c": {"a": 3, "o": {"z": 3}}, "here": {"d": 1}}
    assert (await client.call("POST", "device/d", device)).status == 201


async def test_device_over_user_over_application(client: Client) -> None:
    """docs/wire/settings.md, sections 4 and 11.16."""
    await put_up(client)
    assert (await client.call("GET", "device/d")).json() == {
        "c": {"a": 3, "o": {"x": 1, "y": 2, "z": 3}, "l": [3], "n": None},
        "only": {"v": 1},
        "mine": {"u": 1},
        "here": {"d": 1},
    }
    assert (await client.call("GET", "currentuser/c")).json() == {
        "a": 2,
        "o": {"x": 1, "y": 2, "z": 2},
        "l": [3],
        "n": None,
    }


@pytest.mark.parametrize(
    "spelling", ["overwrite=false", "Overwrite=False", "OVERWRITE=FALSE", "x=1&overWrite=fAlse"]
)
async def test_false_shows_the_own_level_alone(client: Client, spelling: str) -> None:
    """docs/wire/settings.md, section 4: any case."""
    await put_up(client)
    answer = await client.call("GET", f"device/d?{spelling}")
    assert answer.json() == {"c": {"a": 3, "o": {"z": 3}}, "here": {"d": 1}}
    assert (await client.call("GET", f"currentuser/only?{spelling}")).status == 404
    assert (await client.call("GET", f"device/other?{spelling}")).status == 404


@pytest.mark.parametrize("spelling", ["", "?overwrite=true", "?Overwrite=TRUE"])
async def test_true_is_the_default_and_writes_nothing(client: Client, spelling: str) -> None:
    """docs/wire/settings.md, section 11.17."""
    await put_up(client)
    before = client.digest()
    assert (await client.call("GET", f"currentuser/only{spelling}")).json() == {"v": 1}
    assert client.digest() == before


@pytest.mark.parametrize(
    "query", ["overwrite=", "overwrite", "overwrite=1", "overwrite=yes", "overwrite=true&Overwrite=false"]
)
async def test_other_values_are_refused_where_it_has_a_meaning(client: Client, query: str) -> None:
    await put_up(client)
    assert (await client.call("GET", f"currentuser/c?{query}")).status == 400
    assert (await client.call("HEAD", f"device/d/c?{query}")).status == 400
    assert (await client.call("GET", f"global/c?{query}")).status == 200
    assert (await client.call("PUT", f"currentuser/c?{query}", {})).status == 204


async def test_nothing_at_all_is_not_found(client: Client) -> None:
    for level in ["global", "currentuser", "device/d"]:
        assert (await client.call("GET", level)).status == 404


async def test_without_own_data_the_application_shows_alone(client: Client) -> None:
    """docs/wire/settings.md, section 4."""
    await client.call("POST", "global", GLOBAL)
    assert (await client.call("GET", "currentuser")).json() == GLOBAL
    assert (await client.call("GET", "device/new")).json() == GLOBAL


async def test_differing_kinds_the_lower_level_wins(client: Client) -> None:
    await client.call("POST", "global", {"c": {"o": {"x": 1}, "p": 5}})
    await client.call("POST", "currentuser", {"c": {"o": [1], "p": {"q": 1}}})
    assert (await client.call("GET", "currentuser/c")).json() == {"o": [1], "p": {"q": 1}}
    assert (await client.call("GET", "currentuser/c/o/x")).status == 404
    assert (await client.call("GET", "currentuser/c/p/q")).json() == 1


async def test_a_stored_null_is_kept_and_shown(client: Client) -> None:
    await client.call("POST", "global", {"c": {"restrictedPolicies": None}})
    assert (await client.call("GET", "global/c")).body == b'{"restrictedPolicies":null}'
    assert (await client.call("GET", "global/c/restrictedPolicies")).body == b"null"
    assert (await client.call("GET", "currentuser/c/restrictedPolicies")).body == b"null"


async def test_metadata_shows_at_global_level_only(client: Client) -> None:
    """docs/wire/settings.md, section 4."""
    config = {"v": 1, "__metadata": {"readRoles": ["R"]}}
    reader = User("ann", ("R",))
    await client.call("POST", "global/c", config)
    assert (await client.call("GET", "global", user=reader)).json() == {"c": config}
    assert (await client.call("GET", "global/c/__metadata", user=reader)).json() == {"readRoles": ["R"]}
    for level in ["currentuser", "device/d"]:
        assert (await client.call("GET", level, user=reader)).json() == {"c": {"v": 1}}
        assert (await client.call("GET", f"{level}/c", user=reader)).json() == {"v": 1}
        assert (await client.call("GET", f"{level}/c/__metadata", user=reader)).status == 404


async def test_the_application_s_part_is_left_out_without_a_read_role(client: Client) -> None:
    """docs/wire/settings.md, section 4."""
    guarded = {"v": 1, "w": 1, "__metadata": {"readRoles": ["R"]}}
    await client.call("POST", "global", {"g": guarded, "c": {"x": 1}})
    assert (await client.call("GET", "currentuser")).json() == {"c": {"x": 1}}
    assert (await client.call("GET", "currentuser/g")).status == 403
    await client.call("POST", "currentuser/g", {"v": 2})
    assert (await client.call("GET", "currentuser/g")).json() == {"v": 2}
    assert (await client.call("GET", "currentuser/g/w")).status == 403
    assert (await client.call("GET", "currentuser/g/none")).status == 403
    assert (await client.call("GET", "currentuser/g", user=User("ann", ("R",)))).json() == {"v": 2, "w": 1}


async def test_only_forbidden_data_is_forbidden(client: Client) -> None:
    await client.call("POST", "global", {"g": {"__metadata": {"readRoles": ["R"]}}})
    for level in ["global", "currentuser", "device/d"]:
        assert (await client.call("GET", level)).status == 403


async def test_big_integers_and_floats_come_back_as_they_came(client: Client) -> None:
    body = '{"i":123456789012345678901234567890,"f":1.0,"e":1e+100,"n":-0.0,"t":true,"u":"ä€"}'.encode()
    await client.send("POST", f"{ROOT}/app/global/c", [], body)
    assert (await client.call("GET", "global/c")).body == body


async def test_children_are_listed_on_request(client: Client) -> None:
    await put_up(client)
    assert (await client.call("GET", "global?keys")).json() == ["c", "only"]
    assert (await client.call("GET", "device/d/c/o?keys=true")).json() == ["x", "y", "z"]
    assert (await client.call("GET", "device/d/c/o?keys&overwrite=false")).json() == ["z"]
    assert (await client.call("GET", "global/c/a?keys")).status == 400
    assert (await client.call("GET", "global/c/l?keys")).status == 400
    assert (await client.call("GET", "global/none?keys")).status == 404
    assert (await client.call("GET", "global/c?keys=maybe")).status == 400
    assert (await client.call("GET", "global/c?keys=false")).json()["a"] == 1


class TestDevices:
    """docs/wire/settings.md, sections 8 and 11.15."""

    async def test_the_first_writer_owns_it(self, client: Client) -> None:
        await client.call("POST", "global", {"c": {"x": 1}})
        assert (await client.call("GET", "device/d", user=BOB)).status == 200
        assert (await client.call("PUT", "device/d/c/x", 2, user=ANN)).status == 204
        for method, value in [("POST", {}), ("PUT", {}), ("PATCH", {}), ("DELETE", ...)]:
            assert (await client.call(method, "device/d/c", value, user=BOB)).status == 403
        for query in ["", "?overwrite=false", "?overwrite=true", "?keys", "?history"]:
            assert (await client.call("GET", f"device/d{query}", user=BOB)).status == 403
        assert (await client.call("GET", "device/d/none", user=BOB)).status == 403

    async def test_ownership_ends_with_the_record(self, client: Client) -> None:
        await client.call("PUT", "device/d/c", {}, user=ANN)
        assert (await client.call("DELETE", "device/d", user=ANN)).status == 204
        assert (await client.call("PUT", "device/d/c", {}, user=BOB)).status == 201
        assert (await client.call("GET", "device/d", user=ANN)).status == 403

    async def test_devices_of_one_name_in_two_applications_differ(self, client: Client) -> None:
        assert (await client.call("PUT", "device/d/c", {}, app="a", user=ANN)).status == 201
        assert (await client.call("PUT", "device/d/c", {}, app="b", user=BOB)).status == 201

    async def test_the_path_decides_and_not_the_header(self, client: Client) -> None:
        await client.call(
            "PUT", "device/d1/c", {"x": 1}, headers=[("X-SMP-DEVICEID", "d2"), ("X-SMP-APPID", "z")]
        )
        assert (await client.call("GET", "device/d1/c")).status == 200
        assert (await client.call("GET", "device/d2/c")).status == 404
