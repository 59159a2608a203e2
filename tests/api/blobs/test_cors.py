"""Cross-origin rules as wholes: every header of an answer, for every kind of rule and request."""

from __future__ import annotations

import pytest

from retain.api.blobs.request import cors
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.xml.service_properties import CorsRule

OURS = "https://a.test"


def rule(**changes):
    blank = {"origins": (OURS,), "methods": ("GET",), "allowed": (), "exposed": (), "max_age": 5}
    return CorsRule(**{**blank, **changes})


NAMED = [
    ("Access-Control-Allow-Origin", OURS),
    ("Access-Control-Allow-Credentials", "true"),
    ("Vary", "Origin"),
]
ANYONE = [("Access-Control-Allow-Origin", "*")]


@pytest.mark.parametrize(
    ("rules", "origin", "method", "expected"),
    [
        ([rule()], OURS, "GET", NAMED),
        ([rule(origins=("https://b.test", OURS))], OURS, "GET", NAMED),
        ([rule(origins=("*",))], OURS, "GET", ANYONE),
        ([rule(origins=("https://b.test", "*"))], OURS, "GET", ANYONE),
        (
            [rule(exposed=("x-ms-a", "x-ms-b"))],
            OURS,
            "GET",
            [*NAMED, ("Access-Control-Expose-Headers", "x-ms-a,x-ms-b")],
        ),
        ([rule(methods=("PUT", "HEAD"))], OURS, "HEAD", NAMED),
        ([rule(methods=("PUT",)), rule(origins=("*",))], OURS, "GET", ANYONE),
        ([rule(), rule(origins=("*",))], OURS, "GET", NAMED),
        ([rule(methods=("PUT",))], OURS, "GET", [("Vary", "Origin")]),
        ([rule()], "https://a.test:8443", "GET", [("Vary", "Origin")]),
        ([rule()], "http://a.test", "GET", [("Vary", "Origin")]),
        ([rule()], "", "GET", []),
        ([], OURS, "GET", []),
    ],
)
def test_the_headers_of_an_answer(rules, origin, method, expected):
    assert cors.response_headers(rules, method, {"origin": origin} if origin else {}) == expected


def preflight(headers: str | None, **changes) -> list[tuple[str, str]]:
    """The answer to a preflight that asks for a GET with these headers."""
    asked = {"origin": OURS, "access-control-request-method": "GET"}
    if headers is not None:
        asked["access-control-request-headers"] = headers
    return cors.preflight_headers([rule(**changes)], asked)


GET, AGE = ("Access-Control-Allow-Methods", "GET"), ("Access-Control-Max-Age", "5")


@pytest.mark.parametrize(
    ("asked", "allowed", "echoed"),
    [
        (None, (), None),
        ("", (), None),
        (" , ", (), None),
        ("x-one", ("x-one",), "x-one"),
        ("X-One ,x-TWO", ("x-two", "X-ONE"), "x-one,x-two"),
        ("x-ms-a,x-ms-b", ("X-MS-*",), "x-ms-a,x-ms-b"),
        ("anything", ("*",), "anything"),
    ],
)
def test_a_preflight_is_answered_with_what_it_asked_for(asked, allowed, echoed):
    echo = [("Access-Control-Allow-Headers", echoed)] if echoed else []
    assert preflight(asked, allowed=allowed) == [*NAMED, GET, *echo, AGE]


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [("x-one", ()), ("x-one,x-two", ("x-one",)), ("x-m", ("x-ms-*",)), ("x-one-more", ("x-one",))],
)
def test_a_preflight_for_one_header_too_many_is_refused(asked, allowed):
    with pytest.raises(AzureError) as caught:
        preflight(asked, allowed=allowed)
    assert (caught.value.status, caught.value.code) == (403, "CorsPreflightFailure")


def test_a_preflight_is_answered_by_the_first_rule_that_allows_all_of_it():
    rules = [rule(max_age=1), rule(allowed=("x-one",), max_age=2), rule(allowed=("*",), max_age=3)]
    for headers, age in (("", "1"), ("x-one", "2"), ("x-two", "3")):
        asked = {"origin": OURS, "access-control-request-method": "GET"}
        asked["access-control-request-headers"] = headers
        assert cors.preflight_headers(rules, asked)[-1] == ("Access-Control-Max-Age", age)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"access-control-request-method": "GET"}, "Origin"),
        ({"origin": OURS}, "Access-Control-Request-Method"),
        ({}, "Origin"),
    ],
)
def test_a_preflight_without_what_makes_it_one_is_told_which_header_it_lacks(asked, named):
    with pytest.raises(AzureError) as caught:
        cors.preflight_headers([rule()], asked)
    assert (caught.value.status, caught.value.code) == (400, "InvalidHeaderValue")
    assert ("HeaderName", named) in tuple(caught.value.extras)


@pytest.mark.parametrize(
    ("allowed", "origin", "covered"),
    [
        ("https://*.a.test", "https://b.a.test", True),
        ("https://*.a.test", "https://c.b.a.test", True),
        ("https://*.a.test", "https://B-1.a.test", True),
        ("https://*.a.test", "https://a.test", False),
        ("https://*.a.test", "https://.a.test", False),
        ("https://*.a.test", "https://b..a.test", False),
        ("https://*.a.test", "http://b.a.test", False),
        ("https://*.a.test", "https://b.a.test.evil", False),
        ("https://*.a.test", "https://evil/b.a.test", False),
        ("https://*.a.test", "https://user@b.a.test", False),
        ("https://*.*.a.test", "https://c.b.a.test", False),
        ("*.a.test", "b.a.test", False),
        ("https://*.a.test:8443", "https://b.a.test:8443", True),
        ("https://*.a.test:8443", "https://b.a.test", False),
    ],
)
def test_a_wildcard_covers_the_hosts_below_it(allowed, origin, covered):
    found = cors.response_headers([rule(origins=(allowed,))], "GET", {"origin": origin})
    assert found[0] == (("Access-Control-Allow-Origin", origin) if covered else ("Vary", "Origin"))
