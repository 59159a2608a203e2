"""The examples of SAP's page (docs/wire/settings.md, sections 3.2 and 3.4), byte for byte where it gives
bytes."""

from __future__ import annotations

import json

from tests.kit.settings import ROOT, Client, User

DOC1 = b"""{
  "endpoints":{
    "ep1": { "url": "http://endpoint1"},
    "ep2": { "url": "http://endpoint2"}
  },
  "push": {
    "APN": { "host": "www.apple.com",
             "user": "useraaa",
             "pwd": "pwd"},
    "GCM": { "host": "www.google.com",
             "token": "ABABABA"},
    "__metadata": {
             "readRoles": ["Role1", "Role2"],
             "writeRoles": ["Role1"] }
  }
}"""
"""The first sample, with the brace that it lacks (docs/wire/settings.md, section 11.19)."""

BES = b"""{
  "endpoints":{
    "ep2": { "url": "http://newEndpoint2" }
  },
  "push": {
    "BES": { "host": "www.blackberry.com",
             "user": "useraaa",
             "pwd": "pwd"}
  }
}"""
"""Seed lines 319-328."""

MERGED = b"""{
  "endpoints":{
    "ep1": { "url": "http://endpoint1"},
    "ep2": { "url": "http://newEndpoint2"}
  },
  "push": {
    "APN": { "host": "www.apple.com",
             "user": "useraaa",
             "pwd": "pwd"},
    "GCM": { "host": "www.google.com",
             "token": "ABABABA"},
    "BES": { "host": "www.blackberry.com",
             "user": "useraaa",
             "pwd": "pwd"},
    "__metadata": {
             "readRoles": ["Role1", "Role2"],
             "writeRoles": ["Role1"] }
  }
}"""
"""Seed lines 332-350."""

WRITER = User("ann", ("Role1",))
READER = User("bob", ("Role2",))
JSON = [("Content-Type", "application/json")]


async def make_test1(client: Client, app: str = "test1") -> None:
    answer = await client.send("POST", f"{ROOT}/{app}", JSON, DOC1, user=WRITER)
    assert answer.status == 201


async def test_the_first_post_makes_the_application_test1(client: Client) -> None:
    """The URL has no level word (docs/wire/settings.md, section 11.9)."""
    await make_test1(client)
    answer = await client.call("GET", "global", app="test1", user=WRITER)
    assert answer.status == 200
    assert answer.json() == json.loads(DOC1)
    assert answer.body == json.dumps(json.loads(DOC1), separators=(",", ":")).encode()


async def test_the_samples_as_printed_are_malformed(client: Client) -> None:
    """docs/wire/settings.md, section 11.19: a brace is missing in the first, a comma too many in the
    second."""
    for body in (DOC1[:-1], DOC1.replace(b'"http://endpoint2"}', b'"http://endpoint2"},')):
        answer = await client.send("POST", f"{ROOT}/test1", JSON, body, user=WRITER)
        assert answer.status == 400
    assert client.engine.state.seq == 0


async def test_a_new_endpoint_is_added_by_its_property_name(client: Client) -> None:
    """docs/wire/settings.md, section 3.2: what the sample shows is the document after adding ep3."""
    await make_test1(client)
    answer = await client.call("POST", "endpoints/ep3", {"url": "http://endpoint3"}, app="test1")
    assert answer.status == 201
    expected = json.loads(DOC1)
    expected["endpoints"]["ep3"] = {"url": "http://endpoint3"}
    assert (await client.call("GET", "", app="test1", user=WRITER)).json() == expected
    answer = await client.call("POST", "endpoints/ep3", {"url": "http://endpoint3"}, app="test1")
    assert answer.status == 409


async def test_the_patch_adds_bes_and_renews_ep2(client: Client) -> None:
    """appID1 is the application, so the whole level is patched (docs/wire/settings.md, section 11.20)."""
    await make_test1(client, "appID1")
    answer = await client.send("PATCH", f"{ROOT}/appID1", JSON, BES, user=WRITER)
    assert (answer.status, answer.body) == (204, b"")
    merged = await client.call("GET", "", app="appID1", user=WRITER)
    assert merged.json() == json.loads(MERGED)


async def test_read_roles_by_path(client: Client) -> None:
    """docs/wire/settings.md, section 11.18: endpoints has no role lists in the sample data; once it has, they
    are read."""
    await make_test1(client, "appID1")
    assert (await client.call("GET", "endpoints/__metadata/readRoles", app="appID1")).status == 404
    roles = {"__metadata": {"readRoles": ["Role9"]}}
    assert (await client.call("PATCH", "endpoints", roles, app="appID1")).status == 204
    answer = await client.call(
        "GET", "endpoints/__metadata/readRoles", app="appID1", user=User("c", ("Role9",))
    )
    assert (answer.status, answer.body) == (200, b'["Role9"]')


async def test_the_url_of_an_endpoint(client: Client) -> None:
    """A string is a JSON string with quotes (docs/wire/settings.md, section 3.1)."""
    await make_test1(client, "appID1")
    answer = await client.call("GET", "endpoints/ep1/url", app="appID1")
    assert (answer.status, answer.body) == (200, b'"http://endpoint1"')
    assert answer.headers["Content-Type"] == "application/json"


async def test_push_is_guarded_by_its_roles(client: Client) -> None:
    """docs/wire/settings.md, sections 3.1, 3.3 and 7."""
    await make_test1(client)
    assert (await client.call("GET", "push", app="test1", user=READER)).status == 200
    assert (await client.call("PUT", "push", {}, app="test1", user=READER)).status == 403
    assert (await client.call("GET", "push", app="test1", user=User("eve"))).status == 403
    assert (await client.call("PUT", "push", {}, app="test1", user=WRITER)).status == 204


async def test_the_user_level_by_name(client: Client) -> None:
    """docs/wire/settings.md, section 11.10: user/ab01 is ab01's own level, configuration ep1."""
    ab01 = User("ab01")
    body = b'{ "authenticationType": "NoAuth" }'
    answer = await client.send("POST", f"{ROOT}/appID1/user/ab01/ep1", JSON, body, user=ab01)
    assert answer.status == 201
    assert (await client.call("GET", "currentuser/ep1", app="appID1", user=ab01)).json() == json.loads(body)
    answer = await client.send("POST", f"{ROOT}/appID1/user/ab01/ep2", JSON, body, user=User("eve"))
    assert answer.status == 403


async def test_the_device_sample(client: Client) -> None:
    """docs/wire/settings.md, section 4: in the application form, the device shows Menu and ShortCuts of
    HomeScreen only, and the first change to an inherited value is a PATCH (docs/wire/settings.md, section
    11.25)."""
    home = {
        "Menu": {"Order": 1},
        "ShortCuts": ["a", "b"],
        "__metadata": {"readRoles": [], "writeRoles": ["Administrator"]},
    }
    administrator = User("boss", ("Administrator",))
    base = "/mobileservices/application/mobileApp/Storage/v1/runtime/application/mobileApp"
    assert (await client.send("POST", f"{base}/global/HomeScreen", JSON, json.dumps(home).encode(),
                              user=administrator)).status == 201  # fmt: skip
    shown = await client.send("GET", f"{base}/device/mydevice/HomeScreen?overwrite=true")
    assert shown.json() == {"Menu": {"Order": 1}, "ShortCuts": ["a", "b"]}
    patch = await client.send("PATCH", f"{base}/device/mydevice/HomeScreen", JSON, b'{"ShortCuts":["c"]}')
    assert patch.status == 204
    shown = await client.send("GET", f"{base}/device/mydevice/HomeScreen")
    assert shown.json() == {"Menu": {"Order": 1}, "ShortCuts": ["c"]}
    own = await client.send("GET", f"{base}/device/mydevice/HomeScreen?overwrite=false")
    assert own.json() == {"ShortCuts": ["c"]}
    assert (await client.send("PATCH", f"{base}/global/HomeScreen", JSON, b"{}")).status == 403
