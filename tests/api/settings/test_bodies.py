"""Bodies: strict JSON, the value rule, types, sizes, and both kinds of patch over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.settings.jsontext import parse
from retain.engine import Invalid
from retain.engine.settings.sliced import nesting
from retain.engine.settings.value import depth_of
from tests.engine.settings.strategies import VALUES
from tests.engine.settings.test_merge_patch import APPENDIX_A
from tests.kit.settings import ROOT, Client, settings_client

CFG = f"{ROOT}/app/global/c"
JSON_PATCH = [("Content-Type", "application/json-patch+json")]

BAD = {
    "empty object name twice": b'{"a":1,"a":2}',
    "twice, escaped": b'{"a":1,"\\u0061":2}',
    "twice, deep": b'{"x":{"a":{},"a":{}}}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "too large": b'{"a":1e400}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"\\udc00x"}',
    "lone surrogate in a name": b'{"\\ud83d":1}',
    "long integer": b'{"a":' + b"9" * 10_000 + b"}",
    "deep arrays": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and unfinished": b"[" * 100_000,
    "a little too deep": b'{"a":' + b"[" * 63 + b"]" * 63 + b"}",
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "comment": b'{"a":1 /* x */}',
    "two values": b"{}{}",
    "nothing": b"",
    "blanks": b"  ",
    "control character": b'{"a":"\x01"}',
    "unfinished": b'{"a":',
    "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}',
    "many unfinished strings": b'{"a":"' + b'\\"' * 100_000,
    "array of objects": b'{"a":[{"b":1}]}',
    "array of arrays of objects": b'{"a":[1,[2,[{}]]]}',
    "form": b"a=1&b=2",
    "XML": b"<a/>",
}  # fmt: skip


@pytest.mark.parametrize("what", ["empty object name twice", "NaN", "too large", "unfinished", "nothing"])
def test_what_is_no_json_has_one_reason(what: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(BAD[what], 64)
    assert refused.value.reason == "json"


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_bad_json_is_refused_at_once_and_changes_nothing(
    client: Client, method: str, name: str
) -> None:
    if method != "POST":
        await client.call("POST", "global/c", {"x": 1})
    before = client.digest()
    started = time.perf_counter()
    answer = await client.send(method, CFG, [], BAD[name])
    assert time.perf_counter() - started < 20, "what is read more than once takes minutes"
    assert answer.status == 400
    assert set(answer.json()) == {"code", "message"}
    assert client.digest() == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[]}', b'{"a":[1,[2,[3]],"x",null]}', b'{"a":{}}', b'\n{ "a" : "\\ud83d\\ude00" }\r\n', b"{}",
        b'{"a":"[[[[{{{{"}', b'{"a":' + b"9" * 4_000 + b"}", b'{"a":' + b"[" * 62 + b"]" * 62 + b"}",
        b'{"":{"":1}}',
    ],
)  # fmt: skip
async def test_good_json_is_stored(client: Client, body: bytes) -> None:
    assert (await client.send("POST", CFG, [], body)).status == 201
    assert (await client.send("GET", CFG)).json() == json.loads(body)


async def test_object_arrays_where_the_setting_allows_them() -> None:
    """docs/wire/settings.md, section 11.26: SAP's own managed document holds one."""
    async with settings_client(allow_object_arrays=True) as client:
        policies = {"restrictedPolicies": [{"name": "x"}]}
        assert (await client.call("POST", "global/mobileservices", policies)).status == 201
        assert (await client.call("GET", "global/mobileservices")).json() == policies


async def test_the_path_counts_as_depth(client: Client) -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"a": deep}
    assert (await client.call("POST", "global/c", deep)).status == 201
    tail = "global/c/" + "/".join("a" * 59)
    assert (await client.call("PUT", f"{tail}", {"a": {"a": {"a": {"a": 1}}}})).status == 204
    assert (await client.call("PUT", f"{tail}", {"a": {"a": {"a": {"a": {"a": 1}}}}})).status == 400


@given(VALUES)
def test_any_value_is_read_as_it_is(value: Any) -> None:
    text = json.dumps(value).encode()
    body = parse(text, 64)
    assert json.dumps(body.value) == json.dumps(json.loads(text))
    assert body.depth == depth_of(value)


@given(VALUES)
def test_nesting_is_what_the_value_says(value: Any) -> None:
    assert nesting(json.dumps(value)) == depth_of(value)


@given(st.binary(max_size=40) | st.text('{}[]",:\\0u1ntrue', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        body = parse(data, 8)
    except Invalid as refusal:
        assert refusal.reason in {"json", "depth"}  # noqa: PT017 - both outcomes are right
    else:
        assert body.value == json.loads(data)
        assert body.depth <= 8


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ('Application/JSON;charset="UTF-8"', 201),
        ("application/json;odata.metadata=minimal", 201),
        ("", 201),
        ("application/json; charset=latin-1", 415),
        ("application/merge-patch+json", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/xml", 415),
        ("nonsense", 415),
    ],
)
async def test_types_of_bodies(client: Client, kind: str, status: int) -> None:
    answer = await client.send("POST", CFG, [("Content-Type", kind)] if kind else [], b"{}")
    assert answer.status == status


async def test_compressed_bodies_are_refused(client: Client) -> None:
    codings = [("gzip", 415), ("br", 415), ("identity, gzip", 415), ("identity", 201), ("Identity", 201)]
    for coding, status in [*codings, ("", 201)]:
        await client.call("DELETE", "global/c")
        assert (await client.send("POST", CFG, [("Content-Encoding", coding)], b"{}")).status == status


@pytest.mark.parametrize("kind", ["application/merge-patch+json", "application/json", None])
async def test_types_of_merge_patches(client: Client, kind: str | None) -> None:
    await client.call("POST", "global/c", {"a": 1})
    headers = [] if kind is None else [("Content-Type", kind)]
    assert (await client.send("PATCH", CFG, headers, b'{"a":null}')).status == 204
    assert (await client.call("GET", "global/c")).json() == {}


@pytest.mark.parametrize(
    ("path", "patch", "kind"),
    [
        ("currentuser/c", b'{"a":null}', "application/merge-patch+json"),
        ("currentuser/c/a", b'{"b":null}', "application/merge-patch+json"),
        ("currentuser/c/a", b'{"x":null,"y":null}', "application/json"),
        ("currentuser/c", b"{}", "application/json"),
        ("currentuser/c", b"[]", "application/json-patch+json"),
    ],
)
async def test_a_patch_that_takes_away_what_is_only_inherited_changes_nothing(
    client: Client, path: str, patch: bytes, kind: str
) -> None:
    """Neither an empty document nor an empty object is made, and the ETag is the one that was read."""
    await client.call("POST", "global/c", {"a": {"b": 1}})
    before, digest = await client.call("GET", "currentuser/c"), client.digest()
    answer = await client.send("PATCH", CFG.replace("global/c", path), [("Content-Type", kind)], patch)
    assert answer.status == 204
    after = await client.call("GET", "currentuser/c")
    assert (after.body, after.tag) == (before.body, before.tag)
    assert client.digest() == digest


async def test_a_body_that_is_too_long(client: Client) -> None:
    async with settings_client(max_body_bytes=1000) as small:
        assert (await small.send("POST", CFG, [], b'{"a":"' + b"x" * 990 + b'"}')).status == 201
        answer = await small.send("PUT", CFG, [], b'{"a":"' + b"x" * 993 + b'"}')
        assert answer.status == 413


async def test_a_level_that_is_full(client: Client) -> None:
    async with settings_client(max_document_bytes=1000) as small:
        assert (await small.call("POST", "global/c", {"a": "x" * 900})).status == 201
        before = small.digest()
        assert (await small.call("POST", "global/d", {"a": "x" * 100})).status == 507
        assert (await small.call("PATCH", "global/c", {"b": "x" * 100})).status == 507
        assert small.digest() == before
        assert (await small.call("PUT", "global/c", {"a": "x"})).status == 204
        assert (await small.call("POST", "global/d", {"a": "x" * 100})).status == 201


async def test_quotas_of_applications_and_devices() -> None:
    async with settings_client(quota_application_bytes=1000, quota_devices_per_user=2) as client:
        for number, status in [(1, 201), (2, 201), (3, 507), (1, 204)]:
            assert (await client.call("PUT", f"device/d{number}/c", {})).status == status
        assert (await client.call("PUT", "device/d9/c", {}, app="other")).status == 201
        assert (await client.call("POST", "currentuser/c", {"a": "x" * 2000})).status == 507
        assert (await client.call("DELETE", "device/d1")).status == 204
        assert (await client.call("PUT", "device/d3/c", {})).status == 201


@pytest.mark.parametrize(("row", "original", "patch", "result"), APPENDIX_A, ids=lambda item: f"{item}"[:12])
async def test_rfc_7396_over_http(row: int, original: Any, patch: Any, result: Any) -> None:
    """Wrapped as docs/wire/settings.md, section 5 says; row 11 removes v, row 8 needs arrays of objects."""
    async with settings_client(allow_object_arrays=True) as client:
        await client.call("POST", "global/t", {"v": original})
        assert (await client.call("PATCH", "global/t", {"v": patch})).status == 204
        expected = {} if result is None else {"v": result}
        assert (await client.call("GET", "global/t")).json() == expected


async def test_json_patch_over_http(client: Client) -> None:
    await client.call("POST", "global/c", {"a": 1, "l": [1, 2], "o": {"x": 1}})
    steps = [
        {"op": "test", "path": "/a", "value": 1},
        {"op": "replace", "path": "/a", "value": 2},
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "move", "from": "/o/x", "path": "/y"},
        {"op": "copy", "from": "/l", "path": "/o/l"},
    ]
    answer = await client.call("PATCH", "global/c", steps, headers=JSON_PATCH)
    assert answer.status == 204
    expected = {"a": 2, "l": [1, 2, 3], "o": {"l": [1, 2, 3]}, "y": 1}
    assert (await client.call("GET", "global/c")).json() == expected
    assert (await client.call("GET", "global/c")).tag == answer.tag


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([{"op": "test", "path": "/a", "value": 2}], 412),
        ([{"op": "remove", "path": "/none"}], 409),
        ([{"op": "none"}], 400),
        ({"op": "add"}, 400),
        ([{"op": "add", "path": "/b", "value": [{}]}], 400),
        ([{"op": "add", "path": "/l", "value": []}, {"op": "add", "path": "/l/-", "value": {}}], 400),
        ([{"op": "add", "path": "/x", "value": {"__metadata": {}}}], 400),
        ([{"op": "add", "path": "/__metadata", "value": {"readRoles": "R"}}], 400),
        (
            [{"op": "add", "path": "/x", "value": {}}, {"op": "add", "path": "/x/__metadata", "value": {}}],
            400,
        ),
        ([{"op": "replace", "path": "", "value": 5}], 400),
        ([{"op": "copy", "from": "", "path": f"/{number}"} for number in range(100)], 413),
    ],
)
async def test_json_patches_that_cannot_be(client: Client, steps: Any, status: int) -> None:
    await client.call("POST", "global/c", {"a": 1})
    before = client.digest()
    assert (await client.call("PATCH", "global/c", steps, headers=JSON_PATCH)).status == status
    assert client.digest() == before


async def test_json_patch_of_an_inherited_value_and_of_a_level(client: Client) -> None:
    await client.call("POST", "global", {"c": {"a": 1}})
    add = [{"op": "add", "path": "/b", "value": 2}]
    assert (await client.call("PATCH", "currentuser/c", add, headers=JSON_PATCH)).status == 204
    assert (await client.call("GET", "currentuser")).json() == {"c": {"a": 1, "b": 2}}
    assert (await client.call("GET", "currentuser?overwrite=false")).json() == {"c": {"b": 2}}
    level = [{"op": "add", "path": "/d", "value": {"e": 1}}, {"op": "remove", "path": "/c"}]
    assert (await client.call("PATCH", "global", level, headers=JSON_PATCH)).status == 204
    assert (await client.call("GET", "global")).json() == {"d": {"e": 1}}
    null = [{"op": "add", "path": "/f", "value": None}]
    assert (await client.call("PATCH", "global", null, headers=JSON_PATCH)).status == 400
    assert (await client.call("PATCH", "currentuser/zz", add, headers=JSON_PATCH)).status == 404
    meta = [{"op": "add", "path": "/__metadata", "value": {}}]
    assert (await client.call("PATCH", "currentuser/c", meta, headers=JSON_PATCH)).status == 400
    whole = [{"op": "replace", "path": "", "value": {"k": 1, "__metadata": {}}}]
    assert (await client.call("PATCH", "currentuser/c", whole, headers=JSON_PATCH)).status == 400
    assert b"__metadata" not in (await client.call("GET", "currentuser?overwrite=false")).body
