"""One table from errors to answers, each row forced; credentials; other origins; a full and a failed disk."""

from __future__ import annotations

from base64 import b64encode

import pytest

from retain.api.areas.errors import EXCEPTION, PACKAGE, error_answer
from retain.api.http.message import BadRequest, UnexpectedError
from retain.api.refusals import STATUS
from retain.engine import (
    Conflict,
    EngineClosed,
    EngineError,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Refused,
    StorageFailed,
    StorageFull,
    TooLarge,
    Unsupported,
)
from tests.kit.areas import STORAGE, Answer, Client, FilePart, areas_client
from tests.kit.passwords import cheap_hash
from tests.kit.requests import make_request


def shape(answer: Answer) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"exception", "message"}
    assert body["message"]
    assert answer.headers["Content-Type"] == "application/json;charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache, no-store"
    return answer.status, body["exception"].removeprefix(PACKAGE + ".")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Invalid, 400),
        (Forbidden, 403),
        (NotFound, 404),
        (Conflict, 409),
        (PreconditionFailed, 412),
        (TooLarge, 413),
        (Unsupported, 415),
        (QuotaExceeded, 507),
        (StorageFull, 507),
        (StorageFailed, 503),
        (EngineClosed, 503),
    ],
)
def test_each_engine_error(kind: type[EngineError], status: int):
    response = error_answer(make_request(), kind("why"))
    assert isinstance(response.body, bytes)
    answer = Answer(response.status, dict(response.headers), response.body)
    assert shape(answer) == (status, EXCEPTION[status])
    assert answer.json()["message"] == "why"


def test_every_status_has_its_exception():
    assert set(STATUS.values()) <= set(EXCEPTION)


def test_unknown_errors_tell_nothing():
    for error in (Refused("secret"), ValueError("secret"), UnexpectedError("f00d")):
        response = error_answer(make_request(), error)
        assert response.status == 500
        assert isinstance(response.body, bytes)
        assert (b"secret" in response.body) == isinstance(error, Refused)
    assert error_answer(make_request(), BadRequest("x")).status == 400


async def test_each_refusal_on_the_wire(client: Client):
    name = await client.create({"k": "v", "f": FilePart(b"x")})
    url = ("Content-Type", "application/x-www-form-urlencoded")
    for answer, status in (
        (await client.get("/unknown"), 404),
        (await client.get(f"/{name}/unknown"), 404),
        (await client.get("/%zz"), 400),
        (await client.send("PATCH", f"{STORAGE}/{name}"), 405),
        (await client.send("POST", f"{STORAGE}/60", [url], b"=v"), 400),
        (await client.send("POST", f"{STORAGE}/60", [url, ("Content-Length", "99999999999999")]), 413),
        (await client.send("POST", f"{STORAGE}/60", [("Content-Type", "text/plain")], b"x"), 415),
        (await client.get(f"/binary/{name}/f", [("Range", "bytes=9-")]), 416),
    ):
        assert shape(answer) == (status, EXCEPTION[status])


# --- credentials ----------------------------------------------------------------------------------------


def basic(user: str, password: str) -> tuple[str, str]:
    return ("Authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode())


async def test_basic_credentials_guard_everything_but_preflights_and_the_status():
    async with areas_client(username="general", password=cheap_hash("secret")) as client:
        good = basic("general", "secret")
        for headers in (
            [],
            [basic("general", "wrong")],
            [basic("other", "secret")],
            [("Authorization", "Bearer x")],
        ):
            answer = await client.post("/60", {"k": "v"}, headers)
            assert shape(answer)[0] == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert (await client.get("/unknown", headers)).status == 401
            assert (await client.send("GET", "/genesys/resources/storagetest.html", headers)).status == 401
        created = await client.post("/60", {"k": "v"}, [good])
        assert created.status == 200
        name = created.json()["id"]
        assert (await client.get(f"/{name}")).status == 401
        assert (await client.get(f"/{name}", [good])).json() == {"k": "v"}
        assert (await client.send("OPTIONS", f"{STORAGE}/{name}")).status == 200
        assert (await client.send("GET", "/genesys/1/admin/node/status")).status == 200
        assert (await client.delete(f"/{name}", [good])).status == 200


# --- other origins --------------------------------------------------------------------------------------

APP = ("Origin", "https://app.example.org")
GRANT = "Access-Control-Allow-Origin"
EXPOSED = "Access-Control-Expose-Headers"


async def test_without_configuration_no_origin_is_granted_anything(client: Client):
    answer = await client.send("OPTIONS", f"{STORAGE}/60", [APP])
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert GRANT not in (await client.get("/x", [APP])).headers


async def test_configured_origins_may_call():
    async with areas_client(cors_allowed_origins=("https://app.example.org",)) as client:
        asked = [
            APP,
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "gms_user"),
        ]
        preflight = await client.send("OPTIONS", f"{STORAGE}/60", asked)
        assert preflight.status == 200
        assert preflight.headers[GRANT] == "https://app.example.org"
        assert preflight.headers["Access-Control-Allow-Methods"] == "GET,POST,DELETE,OPTIONS"
        assert preflight.headers["Access-Control-Allow-Headers"] == "gms_user, content-type, authorization"
        assert preflight.headers["Vary"] == "Origin"
        for answer in (await client.post("/60", {"k": "v"}, [APP]), await client.get("/unknown", [APP])):
            assert answer.headers[GRANT] == "https://app.example.org"
            assert "X-Request-Id" in answer.headers[EXPOSED].split(", ")
        other = ("Origin", "https://app.example.org.evil.example")
        assert not {GRANT, EXPOSED} & set((await client.get("/x", [other])).headers)
        refused = await client.send("OPTIONS", f"{STORAGE}/60", [other])
        assert "Access-Control-Allow-Methods" not in refused.headers
        assert GRANT not in (await client.get("/x")).headers


async def test_every_origin_may_call():
    async with areas_client(cors_allowed_origins=("*",)) as client:
        found = await client.get("/x", [APP])
        assert found.headers[GRANT] == "*"
        assert "X-Request-Id" in found.headers[EXPOSED].split(", ")
        answer = await client.send("OPTIONS", f"{STORAGE}/60", [APP])
        assert "Access-Control-Allow-Methods" in answer.headers


async def test_errors_that_pass_the_interface_carry_the_grant():
    async with areas_client(cors_allowed_origins=("https://app.example.org",)) as client:
        response = client.interface.error(make_request(headers=[APP]), UnexpectedError("f00d"))
        assert response.status == 500
        assert dict(response.headers)[GRANT] == "https://app.example.org"
