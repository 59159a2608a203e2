"""Errors as a table, credentials, clients' habits, and a proxy that authenticates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import retain.engine.core.errors as kinds
from retain.api.config.load import Config, SettingsConfig
from retain.api.http.message import (
    BadRequest,
    BodyTooLarge,
    BodyTooSlow,
    HeadersTooLarge,
    Request,
    RequestError,
    UnexpectedError,
)
from retain.api.identity import (
    BearerOptions,
    Caller,
    IdentityError,
    IdentityUnavailable,
    Method,
    TooManyAttempts,
    Unauthenticated,
)
from retain.api.settings import Settings, settings_interface
from retain.api.settings.errors import CODE, TooManyWaiting, error_answer
from tests.kit.requests import make_request
from tests.kit.settings import ADMIN, ANN, ROOT, Client, User, identity, settings_client, whole


def refused(status: int) -> RequestError:
    """A refusal that comes before any interface is asked (`api.app`)."""
    error = RequestError("x")
    error.status = status
    return error


TABLE: list[tuple[Exception, int, str]] = [
    (kinds.Invalid("x"), 400, "invalid"),
    (BadRequest("x"), 400, "invalid"),
    (Unauthenticated("x"), 401, "unauthenticated"),
    (kinds.Forbidden("x"), 403, "forbidden"),
    (kinds.NotFound("x"), 404, "not-found"),
    (BodyTooSlow("x"), 408, "timeout"),
    (kinds.Conflict("x"), 409, "conflict"),
    (kinds.PreconditionFailed("x"), 412, "precondition-failed"),
    (kinds.TooLarge("x"), 413, "too-large"),
    (BodyTooLarge(1), 413, "too-large"),
    (kinds.Unsupported("x"), 415, "unsupported"),
    (refused(417), 417, "expectation-failed"),
    (TooManyAttempts(3), 429, "too-many-requests"),
    (TooManyWaiting(), 429, "too-many-requests"),
    (HeadersTooLarge("x"), 431, "headers-too-large"),
    (UnexpectedError("id"), 500, "internal"),
    (IdentityUnavailable(3), 503, "unavailable"),
    (kinds.StorageFailed("x"), 503, "unavailable"),
    (kinds.EngineClosed("x"), 503, "unavailable"),
    (refused(505), 505, "version-not-supported"),
    (kinds.QuotaExceeded("x"), 507, "full"),
    (kinds.StorageFull("x"), 507, "full"),
    (kinds.EngineError("x"), 500, "internal"),
    (RuntimeError("secret"), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=lambda item: type(item).__name__)
async def test_every_error_has_its_status_and_one_shape(error: Exception, status: int, code: str) -> None:
    answer = await whole(error_answer(make_request(), error))
    assert answer.status == status
    body = answer.json()
    assert list(body) == ["code", "message"]
    assert body["code"] == code
    assert "secret" not in body["message"]
    if isinstance(error, IdentityError):
        assert answer.headers.items() >= dict(error.headers).items()


async def test_a_method_that_is_none_has_its_code(client: Client) -> None:
    answer = await client.call("COPY", "global/c")
    assert (answer.status, answer.json()["code"]) == (405, "method-not-allowed")


def test_the_table_is_complete() -> None:
    assert {status for _, status, _ in TABLE} | {405} == CODE.keys()


async def test_every_row_can_be_forced(client: Client) -> None:
    """Statuses that clients meet, each by a request of its own."""
    await client.call("POST", "global", {"c": {"x": 1}, "g": {"__metadata": {"readRoles": ["R"]}}})
    calls: dict[int, Callable[[], Any]] = {
        400: lambda: client.call("GET", "global/%2e"),
        401: lambda: client.settings.handle(make_request("GET", f"{ROOT}/app/global")),
        403: lambda: client.call("GET", "global/g"),
        404: lambda: client.call("GET", "global/none"),
        405: lambda: client.call("COPY", "global/c"),
        409: lambda: client.call("POST", "global/c", {}),
        412: lambda: client.call("PUT", "global/c", {}, headers=[("If-Match", '"x"')]),
        413: lambda: client.send("PUT", f"{ROOT}/app/global/c", [("Content-Length", "99999999")], b"{}"),
        415: lambda: client.send("PUT", f"{ROOT}/app/global/c", [("Content-Type", "text/xml")], b"<a/>"),
    }
    for status, call in calls.items():
        assert (await call()).status == status


class TestCredentials:
    async def test_401_with_the_challenges_that_are_offered(self, client: Client) -> None:
        bearer = BearerOptions(secret=b"x" * 32)
        settings = Settings(client.engine, SettingsConfig(), identity(client.engine, bearer=bearer))
        response = await settings.handle(make_request("GET", f"{ROOT}/app/global"))
        assert response.status == 401
        assert [value for name, value in response.headers if name == "WWW-Authenticate"] == [
            'Bearer realm="Retain"'
        ]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
    async def test_no_credentials_change_nothing(self, client: Client, method: str) -> None:
        before = client.digest()
        for level in ["global", "currentuser", "device/d"]:
            request = make_request(method, f"{ROOT}/app/{level}/c", [], b"{}")
            response = await client.settings.handle(request)
            assert response.status == 401
            assert ("WWW-Authenticate", 'Basic realm="Retain", charset="UTF-8"') in response.headers
        assert client.digest() == before

    async def test_anonymous_callers_have_no_level_of_their_own(self, client: Client) -> None:
        settings = Settings(client.engine, SettingsConfig(), identity(client.engine, anonymous=True))
        await client.call("POST", "global", {"c": {}, "g": {"__metadata": {"readRoles": ["R"]}}})
        for tail, status in [
            ("global/c", 200),
            ("global/g", 403),
            ("currentuser/c", 401),
            ("device/d/c", 401),
        ]:
            response = await settings.handle(make_request("GET", f"{ROOT}/app/{tail}"))
            assert response.status == status


class TestHabits:
    """docs/wire/settings.md, section 9."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_a_csrf_token_is_given_to_those_who_fetch_one(self, client: Client, method: str) -> None:
        await client.call("POST", "global/c", {})
        answer = await client.call(method, "global/c", headers=[("X-CSRF-Token", "Fetch")])
        assert len(answer.headers["X-CSRF-Token"]) == 32
        assert "X-CSRF-Token" not in (await client.call(method, "global/c")).headers

    async def test_none_is_demanded(self, client: Client) -> None:
        assert (await client.call("POST", "global/c", {})).status == 201
        assert (await client.call("PUT", "global/c", {}, headers=[("X-CSRF-Token", "wrong")])).status == 204

    async def test_headers_of_the_sdks_do_not_matter(self, client: Client) -> None:
        headers = [
            ("X-SMP-APPID", "a"),
            ("X-SMP-DEVICEID", "d"),
            ("X-SMP-SDK-VERSION", "9"),
            ("X-HTTP-Method", "PUT"),
        ]
        assert (await client.call("POST", "global/c", {}, headers=headers)).status == 201


class TestMe:
    TARGET = "/mobileservices/application/app/roleservice/application/app/v2/Me"

    async def test_it_tells_who_one_is(self, client: Client) -> None:
        answer = await client.send("GET", self.TARGET, user=User("ann", ("B", "A")))
        assert answer.status == 200
        assert answer.json() == {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "ann",
            "userName": "ann",
            "name": {},
            "emails": [],
            "roles": [{"value": "A"}, {"value": "B"}],
        }
        assert (await client.send("HEAD", self.TARGET)).status == 200
        answer = await client.send("OPTIONS", self.TARGET)
        assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")

    async def test_it_tells_the_name_and_the_address_that_a_token_carries(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def known(request: Request) -> Caller:
            names = {"given_name": "Ann", "family_name": "Lee", "email": "ann@example.org"}
            return Caller("ann", frozenset(), Method.BEARER, **names)

        monkeypatch.setattr(client.settings._identity, "authenticate", known)
        told = (await client.send("GET", self.TARGET)).json()
        assert told["name"] == {"givenName": "Ann", "familyName": "Lee"}
        assert told["emails"] == [{"value": "ann@example.org", "primary": True}]

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_it_is_read_only(self, client: Client, method: str) -> None:
        answer = await client.send(method, self.TARGET, [], b"{}")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")

    async def test_it_belongs_to_an_application(self) -> None:
        async with settings_client(applications=("other",)) as client:
            assert (await client.send("GET", self.TARGET)).status == 404


async def test_the_interface_follows_the_configuration(client: Client) -> None:
    interface = settings_interface(client.engine, Config())
    assert interface.prefixes == ("mobileservices", "Storage")
    assert interface.example is not None
    assert "http://h/mobileservices/" in interface.example("http://h")
    response = await interface.handle(make_request("GET", f"{ROOT}/app/global"))
    assert response.status == 401
    assert interface.error(make_request(), RequestError("x")).status == 400


async def test_every_change_names_its_actor_and_cause(client: Client) -> None:
    from retain.engine import Cause
    from retain.engine.settings.events import DocumentChanged, DocumentDeleted, DocumentSet
    from retain.engine.wire import from_record
    from retain.journal import scan

    await client.call("POST", "global/c", {"x": 1}, user=ANN)
    await client.call("PATCH", "global/c", {"x": 2}, user=ADMIN)
    await client.call("DELETE", "global", user=ANN)
    events = [event for record in scan(client.disk) if (event := from_record(record)) is not None]
    assert [(type(event), event.actor, event.cause) for event in events] == [
        (DocumentSet, "user:ann", Cause.REQUEST),
        (DocumentChanged, "user:root", Cause.REQUEST),
        (DocumentDeleted, "user:ann", Cause.REQUEST),
    ]
