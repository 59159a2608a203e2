"""Every form of a path, in the table of docs/wire/areas.md, section 2."""

from __future__ import annotations

import pytest

from retain.api.areas.routes import AreaOperation, AreaTarget, resolve
from retain.api.http.errors import MethodNotAllowed, NoRoute
from tests.kit.areas import STORAGE, Client

CREATE, UPDATE, LIST = AreaOperation.CREATE, AreaOperation.UPDATE, AreaOperation.LIST
VALUE, BINARY, DELETE = AreaOperation.VALUE, AreaOperation.BINARY, AreaOperation.DELETE


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("POST", "60", AreaTarget(CREATE, ttl="60")),
        ("POST", "abc", AreaTarget(CREATE, ttl="abc")),
        ("POST", "custom", AreaTarget(CREATE, ttl="custom")),
        ("POST", "binary", AreaTarget(CREATE, ttl="binary")),
        ("GET", "a", AreaTarget(LIST, "a")),
        ("HEAD", "a", AreaTarget(LIST, "a")),
        ("GET", "custom", AreaTarget(LIST, "custom")),
        ("DELETE", "a", AreaTarget(DELETE, "a")),
        ("POST", "a/60", AreaTarget(UPDATE, "a", ttl="60")),
        ("GET", "a/k", AreaTarget(VALUE, "a", "k")),
        ("GET", "a/custom", AreaTarget(VALUE, "a", "custom")),
        ("GET", "a/binary", AreaTarget(VALUE, "a", "binary")),
        ("GET", "custom/x", AreaTarget(LIST, "x", custom=True)),
        ("DELETE", "custom/x", AreaTarget(DELETE, "x", custom=True)),
        ("POST", "custom/x/60", AreaTarget(CREATE, "x", ttl="60", custom=True)),
        ("GET", "custom/x/k", AreaTarget(VALUE, "x", "k", custom=True)),
        ("GET", "binary/a/k", AreaTarget(BINARY, "a", "k")),
        ("GET", "binary/a/binary", AreaTarget(BINARY, "a", "binary")),
        ("HEAD", "binary/a/k", AreaTarget(BINARY, "a", "k")),
        ("GET", "binary/custom/x/k", AreaTarget(BINARY, "x", "k", custom=True)),
    ],
)
def test_mapped(method, path, target):
    assert resolve(method, path.split("/")) == target


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "") for method in ("GET", "POST", "DELETE", "PUT", "HEAD")),
        ("DELETE", "a/b"),
        ("POST", "custom/x"),
        *((method, "binary/x") for method in ("GET", "POST", "DELETE", "PUT")),
        ("DELETE", "custom/x/60"),
        ("DELETE", "binary/a/k"),
        ("POST", "binary/custom/x/60/z"),
        ("GET", "a/b/c"),
        ("POST", "a/b/c"),
        ("GET", "custom/x/k/z"),
        ("GET", "binary/a/k/z"),
        ("PUT", "a/b/c"),
    ],
)
def test_unmapped(method, path):
    with pytest.raises(NoRoute):
        resolve(method, [part for part in path.split("/") if part])


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "a", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("PATCH", "a/b", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "custom/x", "DELETE, GET, HEAD, OPTIONS"),
        ("PUT", "custom/x/60", "GET, HEAD, OPTIONS, POST"),
        ("POST", "binary/a/k", "GET, HEAD, OPTIONS"),
        ("POST", "binary/custom/x/k", "GET, HEAD, OPTIONS"),
        ("FOO", "binary/a/k", "GET, HEAD, OPTIONS"),
    ],
)
async def test_other_methods_are_told_what_is_allowed(client: Client, method, path, allow):
    with pytest.raises(MethodNotAllowed):
        resolve(method, path.split("/"))
    answer = await client.send(method, f"{STORAGE}/{path}")
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    options = await client.send("OPTIONS", f"{STORAGE}/{path}")
    assert (options.status, options.headers["Allow"]) == (200, allow)


async def test_slashes_collapse_but_encoded_ones_are_data(client: Client):
    name = await client.create({"a/b": "slash", "a": "plain"})
    assert (await client.send("GET", f"/genesys//1///storage//{name}///a%2Fb/")).body == b"slash"
    assert (await client.get(f"/{name}/a/")).body == b"plain"
    assert (await client.send("GET", f"//genesys/1/storage/{name}/a")).body == b"plain"
    assert (await client.get(f"/{name}/a%252Fb")).status == 404


@pytest.mark.parametrize(
    "path",
    ["/genesys", "/genesys/1", "/genesys/2/storage/x", "/genesys/1/storages/x", "/genesys/1/service/x"],
)
async def test_other_addresses_are_json_404s(client: Client, path):
    answer = await client.send("GET", path)
    assert answer.status == 404
    assert set(answer.json()) == {"exception", "message"}
    assert (await client.send("OPTIONS", path)).status == 404


NAMES = [
    "..",
    ".",
    "../../etc/passwd",
    "%2e%2e%2f",
    "a\\b",
    "CON",
    "aux.txt",
    "a b",
    "a+b",
    "a&b=c",
    "a?b#c",
    "\x7f",
    "a\r\nSet-Cookie: x=1",
    "é",
    "e\u0301",
    "\u202egnp.exe",
    "\ufeff",
    "名前",
    "😀",
    "k" * 255,
    '"',
    "'",
    "<script>",
]


@pytest.mark.parametrize("key", NAMES)
async def test_any_name_round_trips_as_a_key_and_as_a_custom_id(client: Client, key: str):
    """T16: names are database values; they never touch a file system and never mean two things."""
    from urllib.parse import quote

    encoded, user = quote(key, safe=""), [("gms_user", "u")]
    before = set(client.disk.names(""))
    name = await client.create({key: "text"})
    assert (await client.get(f"/{name}")).json() == {key: "text"}
    assert (await client.get(f"/{name}/{encoded}")).body == b"text"
    created = await client.post(f"/custom/{encoded}/60", {key: "mine"}, user)
    assert created.json() == {"id": key}
    assert (await client.get(f"/{encoded}/{encoded}", user)).body == b"mine"
    assert (await client.delete(f"/{encoded}", user)).status == 200
    assert set(client.disk.names("")) - {"clock"} == before


async def test_names_in_two_normal_forms_are_two_names(client: Client):
    name = await client.create({"é": "composed", "e\u0301": "decomposed"})
    assert (await client.get(f"/{name}/%C3%A9")).body == b"composed"
    assert (await client.get(f"/{name}/e%CC%81")).body == b"decomposed"


@pytest.mark.parametrize("part", ["%ff%fe", "%", "%zz", "%4", "%C0%AF", "%ED%A0%80", "%00", "a%00b"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_undecodable_segments_are_400(client: Client, method: str, part: str):
    for path in (f"/{part}", f"/x/{part}", f"/custom/{part}/60"):
        answer = await client.send(method, STORAGE + path)
        assert answer.status == 400
        assert set(answer.json()) == {"exception", "message"}


async def test_node_status(client: Client):
    answer = await client.send("GET", "/genesys/1/admin/node/status")
    assert (answer.status, answer.body) == (200, b"ONLINE")
    assert answer.headers["Content-Type"] == "text/plain;charset=utf-8"
    assert (await client.send("HEAD", "/genesys/1/admin/node/status")).status == 200
    assert (await client.send("POST", "/genesys/1/admin/node/status")).status == 405
    assert (await client.send("OPTIONS", "/genesys/1/admin/node/status")).status == 200
