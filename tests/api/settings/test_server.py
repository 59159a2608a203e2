"""The interface on real sockets: Basic and bearer credentials, raw paths, waiting, streams, and a restart."""

from __future__ import annotations

import http.client
import json
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.kit.passwords import cheap_hash
from tests.kit.server import Server, running

ROOT = "/mobileservices/origin/hcpms/Storage/v1/runtime/application/app"
SECRET = "0123456789abcdef0123456789abcdef"
BASIC = {"Authorization": "Basic " + b64encode(b"ann:s\xc3\xa9same").decode()}


@pytest.fixture(scope="module")
def config() -> str:
    return f"""
[identity]
jwt_secret = "{SECRET}"
jwt_audience = "retain"
[settings]
max_watchers = 2
[[users]]
name = "ann"
password = "{cheap_hash("sésame")}"
roles = ["Role1"]
"""


@pytest.fixture
def server(tmp_path: Path, config: str) -> Iterator[Server]:
    with running(tmp_path, config) as started:
        yield started


def call(server: Server, method: str, target: str, value: Any = None, **headers: str) -> tuple[int, Any, str]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=120)
    body = None if value is None else json.dumps(value)
    sent = {**BASIC, **{name.replace("_", "-"): text for name, text in headers.items()}}
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, target, body, sent)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, json.loads(data) if data else None, answer.getheader("ETag", "")


def bearer(name: str, *roles: str) -> str:
    claims = {"sub": name, "aud": "retain", "exp": time.time() + 600, "roles": list(roles)}
    return "Bearer " + jwt.encode(claims, SECRET, algorithm="HS256")


def test_basic_bearer_and_nobody(server: Server) -> None:
    lists = {"readRoles": ["Role1"]}
    assert call(server, "POST", f"{ROOT}/global/c", {"x": 1, "__metadata": lists})[0] == 201
    assert call(server, "GET", f"{ROOT}/global/c/x")[:2] == (200, 1)
    bob = bearer("bob", "Role1")
    assert call(server, "GET", f"{ROOT}/global/c/x", Authorization=bob)[0] == 200
    assert call(server, "GET", f"{ROOT}/global/c/x", Authorization=bearer("eve"))[0] == 403
    for wrong in ["Basic " + b64encode(b"ann:wrong").decode(), bob[:-2], "Negotiate x", ""]:
        status, body, _ = call(server, "GET", f"{ROOT}/global/c/x", Authorization=wrong)
        assert (status, body["code"]) == (401, "unauthenticated")


def test_raw_paths_reach_the_interface_undecoded(server: Server) -> None:
    for name in ["a%2Fb", "100%25", "a+b", "%C3%A9", "a%3Fb"]:
        assert call(server, "PUT", f"{ROOT}/device/d/{name}", {"n": name})[0] in {201, 204}
        assert call(server, "GET", f"{ROOT}/device/d/{name}/n")[:2] == (200, name)
    assert sorted(call(server, "GET", f"{ROOT}/device/d")[1]) == ["100%", "a+b", "a/b", "a?b", "é"]
    for name in ["%2e%2e", "%00", "%ff"]:
        assert call(server, "PUT", f"{ROOT}/device/d/{name}", {})[0] == 400


def come_and_go(server: Server, query: str, tag: str) -> None:
    """A client that asks and hangs up; it comes again as long as it is sent away."""
    deadline = time.monotonic() + 60
    said = b"HTTP/1.1 429"
    while said.startswith(b"HTTP/1.1 429"):
        assert time.monotonic() < deadline
        with socket.create_connection((server.host, server.port)) as raw:
            raw.sendall(
                f"GET {ROOT}/device/d/c?{query} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n"
                f"Authorization: {BASIC['Authorization']}\r\n\r\n".encode()
            )
            said = raw.recv(4096) if query == "watch" else b""


def test_clients_that_leave_give_their_places_back(server: Server) -> None:
    """Only two may wait; those who came and went are not counted, whether they polled or streamed."""
    _, _, tag = call(server, "PUT", f"{ROOT}/device/d/c", {"x": 1})
    for _ in range(3):
        come_and_go(server, "wait=300", tag)
        come_and_go(server, "watch", tag)
    deadline = time.monotonic() + 60
    while (status := call(server, "GET", f"{ROOT}/device/d/c?wait=1", If_None_Match=tag)[0]) == 429:
        assert time.monotonic() < deadline
    assert status == 304


def test_a_restart_keeps_everything(tmp_path: Path, config: str) -> None:
    with running(tmp_path, config) as server:
        call(server, "POST", f"{ROOT}/currentuser", {"c": {"big": 10**40, "null": None}})
        _, _, tag = call(server, "PATCH", f"{ROOT}/currentuser/c", {"x": 1})
        server.kill()
    with running(tmp_path, config) as server:
        assert call(server, "GET", f"{ROOT}/currentuser/c") == (
            200,
            {"big": 10**40, "null": None, "x": 1},
            tag,
        )
        assert [row["revision"] for row in call(server, "GET", f"{ROOT}/currentuser?history")[1]] == [2, 1]
