"""Any bytes at all: a well-formed answer below 500, and a refused request changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kit.crash import SCALE
from tests.kit.settings import ANN, BOB, ROOT, Client, User, settings_client

SEGMENTS = st.one_of(
    st.sampled_from(
        [
            "app",
            "global",
            "currentuser",
            "user",
            "device",
            "d1",
            "ann",
            "c",
            "__metadata",
            "readRoles",
            "x",
            "",
        ]
    ),
    st.sampled_from(
        [
            "%2F",
            "%25",
            "%2e%2e%2f",
            "..",
            ".",
            "%00",
            "%ff%fe",
            "%252e",
            "\\",
            "%0d%0a",
            "%7f",
            "+",
            "%C3%A9",
            "*",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="/?#"), max_size=5),
)
PREFIXES = st.sampled_from(
    [
        ROOT,
        "/Storage/v1/runtime/application",
        "/mobileservices/origin/hcpms/Storage/v1/runtime/application",
        "/mobileservices/application/app/Storage/v1/runtime/application",
        "/mobileservices",
        "/",
    ]
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["overwrite", "Overwrite", "keys", "wait", "history", "version", "restore", "%ff", "x"]
        ),
        st.sampled_from(["", "true", "false", "0", "1", "-1", "99999999999", "%00", "%zz", "é", "a&b"]),
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "If-Match",
                "If-None-Match",
                "Content-Type",
                "X-CSRF-Token",
                "Content-Encoding",
                "Accept",
                "Last-Event-ID",
                "X-HTTP-Method-Override",
                "Content-Length",
            ]
        ),
        st.sampled_from(
            [
                "*",
                '"x"',
                'W/"x"',
                "fetch",
                "application/json-patch+json",
                "application/json",
                "gzip",
                "text/plain;=",
                "application/json;charset=utf-16",
                "0",
                "999999999",
                "\xff",
                ";;;",
                '"',
            ],
        ),
    ),
    max_size=3,
)
JSON_TEXTS = st.sampled_from(
    [
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"1",
        b'{"c":{"x":1}}',
        b'{"__metadata":{}}',
        b'{"c":{"__metadata":{"readRoles":[]}}}',
        b'[{"op":"add","path":"/x","value":1}]',
        b'[{"op":"copy","from":"","path":"/y"}]',
        b'{"a":1e999}',
        b"{",
        b"\xff",
        b'{"a":[{"b":1}]}',
        b"[" * 500,
        b'{"\\ud800":1}',
        b'{"c":null}',
        b'{"c":{"x":null,"y":{"z":null}}}',
    ]
)
BODIES = JSON_TEXTS | st.binary(max_size=12)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO", ""])
USERS = st.sampled_from([ANN, BOB, User("root", ("admin",)), User(""), User("\x7f"), User("ü" * 300)])


@st.composite
def requests(draw: st.DrawFn) -> Any:
    target = "/".join([draw(PREFIXES), *draw(st.lists(SEGMENTS, max_size=6))])
    query = draw(QUERIES)
    body = draw(BODIES)
    headers = [(name, value) for name, value in draw(HEADERS) if name != "Content-Length"]
    return draw(METHODS), f"{target}?{query}" if query else target, headers, body, draw(USERS)


async def fill(client: Client) -> None:
    value = {"c": {"x": {"y": 1}, "l": [1]}, "g": {"__metadata": {"readRoles": ["R"]}}}
    await client.call("POST", "global", value)
    await client.call("POST", "currentuser", {"c": {"x": {"z": 1}}})
    await client.call("POST", "device/d1", {"c": {"x": 5}})


@settings(max_examples=30 * SCALE, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests(), min_size=10, max_size=40))
async def test_any_request_gets_an_answer_below_500(sequence: list[Any]) -> None:
    async with settings_client() as client:
        await fill(client)
        for method, target, headers, body, user in sequence:
            before = client.digest()
            answer = await client.send(method, target, headers, body, user=user)
            assert 200 <= answer.status < 500, (method, target, headers, body, answer)
            if answer.status >= 400:
                assert client.digest() == before
                assert set(answer.json()) == {"code", "message"}
            elif method in {"GET", "HEAD", "OPTIONS"}:
                assert client.digest() == before
