"""Shared Key: the string that clients sign, in each of the ways in which they sign it (docs/wire/blobs.md,
section 4)."""

from __future__ import annotations

import hmac
from base64 import b64encode

import pytest

from retain.api.blobs.sas import shared_key
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.times import http_date, parse_sas_time
from tests.kit.blob_client import authorization

KEY = b"the key of the account"
NOW = parse_sas_time("2026-11-22T12:00:00Z")
DATE = http_date(NOW)


def signed(method="GET", path=b"/tenant/recordings", query=b"", headers=()):
    own = [("x-ms-date", DATE), ("x-ms-version", "2026-10-06")]
    return shared_key.Signed(method, path, query, [*own, *headers])


def mac(text, key=KEY):
    return b64encode(hmac.digest(key, text.encode(), "sha256")).decode()


def header_for(text, scheme="SharedKey", account="tenant"):
    return shared_key.parse_authorization(f"{scheme} {account}:{mac(text)}")


def verify(text, request, version="2026-10-06", scheme="SharedKey", now=NOW):
    """The signature of `text` is accepted; that of a text with one more byte, and one of no key, are not."""
    shared_key.verify(header_for(text, scheme), request, "tenant", (b"other key", KEY), version, now)
    for header, keys in ((header_for(text + "\n", scheme), (KEY,)), (header_for(text, scheme), (b"other",))):
        with pytest.raises(AzureError) as refused:
            shared_key.verify(header, request, "tenant", keys, version, now)
        assert refused.value.code == "AuthenticationFailed"


def test_a_listing_signed_as_the_documentation_says():
    request = signed(query=b"restype=container&comp=list&prefix=a%20b")
    text = (
        "GET\n\n\n\n\n\n\n\n\n\n\n\n"
        f"x-ms-date:{DATE}\nx-ms-version:2026-10-06\n"
        "/tenant/tenant/recordings\ncomp:list\nprefix:a b\nrestype:container"
    )
    assert shared_key.strings_to_sign(request, "tenant", "2026-10-06") == [text]
    verify(text, request)


def test_every_standard_header_has_its_line():
    headers = [
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-length", "12"),
        ("content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ=="),
        ("content-type", "audio/mpeg"),
        ("date", "ignored, since x-ms-date is there"),
        ("if-modified-since", "m"),
        ("if-match", '"1"'),
        ("if-none-match", '"2"'),
        ("if-unmodified-since", "u"),
        ("range", "bytes=0-1"),
    ]
    text = shared_key.strings_to_sign(signed("PUT", headers=headers), "tenant", "2026-10-06")[0]
    assert text.startswith(
        'PUT\ngzip\nde\n12\nQ2hlY2sgSW50ZWdyaXR5IQ==\naudio/mpeg\n\nm\n"1"\n"2"\nu\nbytes=0-1\nx-ms-date:'
    )


@pytest.mark.parametrize(("version", "line"), [("2014-02-14", "0"), ("2015-02-21", ""), ("2026-10-06", "")])
def test_a_length_of_zero_is_empty_since_2015_02_21(version, line):
    text = shared_key.strings_to_sign(signed(headers=[("content-length", "0")]), "tenant", version)[0]
    assert text.split("\n")[3] == line


def test_both_orders_of_headers_verify():
    names = ["x-ms-meta-a-b", "x-ms-meta-ab", "x-ms-meta-a_b", "x-ms-meta-a"]
    by_culture = ["x-ms-meta-a", "x-ms-meta-a_b", "x-ms-meta-ab", "x-ms-meta-a-b"]
    assert sorted(names, key=shared_key.culture_key) == by_culture
    request = signed(headers=[(name, "v") for name in names])
    for order in (sorted(names), by_culture):
        lines = f"x-ms-date:{DATE}\n" + "".join(f"{name}:v\n" for name in order) + "x-ms-version:2026-10-06\n"
        verify("GET" + "\n" * 12 + lines + "/tenant/tenant/recordings", request)


def test_a_header_without_a_value_is_signed_and_whitespace_is_folded():
    request = signed(headers=[("x-ms-meta-empty", ""), ("x-ms-meta-folded", " a \t b ")])
    text = shared_key.strings_to_sign(request, "tenant", "2026-10-06")[0]
    assert "\nx-ms-meta-empty:\nx-ms-meta-folded:a b\n" in text


def test_the_path_is_signed_as_it_was_sent():
    request = signed(path=b"/tenant/c/a%20b,%28c%29(d)")
    text = shared_key.strings_to_sign(request, "tenant", "2026-10-06")[0]
    assert text.endswith("\n/tenant/tenant/c/a%20b,%28c%29(d)")


def test_repeated_parameters_are_sorted_and_joined_and_names_fold():
    request = signed(query=b"include=tags&COMP=list&include=metadata")
    text = shared_key.strings_to_sign(request, "tenant", "2026-10-06")[0]
    assert text.endswith("\ncomp:list\ninclude:metadata,tags")


def test_a_plus_in_the_query_verifies_as_plus_and_as_space():
    request = signed(query=b"where=a+b")
    texts = shared_key.strings_to_sign(request, "tenant", "2026-10-06")
    assert [text.rpartition("\n")[2] for text in texts] == ["where:a+b", "where:a b"]
    for text in texts:
        verify(text, request)


def test_without_x_ms_date_the_date_line_is_signed():
    request = shared_key.Signed("GET", b"/tenant/c", b"", [("date", DATE), ("x-ms-version", "2026-10-06")])
    text = "GET" + "\n" * 6 + f"{DATE}" + "\n" * 6 + "x-ms-version:2026-10-06\n/tenant/tenant/c"
    verify(text, request)


def test_shared_key_lite_signs_less():
    request = signed("PUT", query=b"comp=block&blockid=QQ%3D%3D", headers=[("content-type", "text/plain")])
    text = (
        f"PUT\n\ntext/plain\n\nx-ms-date:{DATE}\nx-ms-version:2026-10-06\n"
        "/tenant/tenant/recordings?comp=block"
    )
    verify(text, request, scheme="SharedKeyLite")


def test_our_own_header_verifies():
    request = signed("PUT", headers=[("content-length", "3")])
    value = authorization(KEY, request, "tenant", "2026-10-06")
    assert value == f"SharedKey tenant:{mac(shared_key.strings_to_sign(request, 'tenant', '2026-10-06')[0])}"
    shared_key.verify(shared_key.parse_authorization(value), request, "tenant", (KEY,), "2026-10-06", NOW)


def test_apostrophes_and_hyphens_count_between_equals_only():
    order = ["ab", "abc", "abc'", "abc-", "ab'c", "ab-c", "a'bc", "a-bc", "abd"]
    assert sorted([*order[5:], *order[:5]], key=shared_key.culture_key) == order


@pytest.mark.parametrize("skew", [-15 * 60, 15 * 60])
def test_a_date_may_be_fifteen_minutes_off(skew):
    request = signed()
    text = shared_key.strings_to_sign(request, "tenant", "2026-10-06")[0]
    verify(text, request, now=NOW + skew * 10**9)
    with pytest.raises(AzureError) as caught:
        verify(text, request, now=NOW + (skew + (1 if skew > 0 else -1)) * 10**9)
    assert caught.value.code == "AuthenticationFailed"
    assert "x-ms-date" in caught.value.detail


@pytest.mark.parametrize("date", [[], [("x-ms-date", "")], [("date", "yesterday")]])
def test_a_request_without_a_date_is_refused(date):
    request = shared_key.Signed("GET", b"/tenant/c", b"", date)
    text = shared_key.strings_to_sign(request, "tenant", "2026-10-06")[0]
    with pytest.raises(AzureError, match="AuthenticationFailed"):
        verify(text, request)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": b"/tenant/recordings2"},
        {"path": b"/tenant/recording%73"},
        {"query": b"comp=acl"},
        {"headers": [("x-ms-meta-a", "1")]},
        {"headers": [("content-length", "9")]},
    ],
)
def test_any_change_to_what_was_signed_is_refused(change):
    text = shared_key.strings_to_sign(signed(), "tenant", "2026-10-06")[0]
    with pytest.raises(AzureError) as caught:
        verify(text, signed(**change))
    assert caught.value.code == "AuthenticationFailed"
    ours = shared_key.strings_to_sign(signed(**change), "tenant", "2026-10-06")[0].replace(chr(10), r"\n")
    assert caught.value.detail.endswith(f" Server used following string to sign: '{ours}'.")


def test_the_account_of_the_header_must_be_the_one_of_the_url():
    text = shared_key.strings_to_sign(signed(), "tenant", "2026-10-06")[0]
    with pytest.raises(AzureError, match="account"):
        shared_key.verify(header_for(text, account="other"), signed(), "tenant", (KEY,), "2026-10-06", NOW)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 400),
        ("SharedKey", 400),
        ("SharedKey tenant", 400),
        ("SharedKey tenant:nonsense", 400),
        (f"SharedKey :{mac('x')}", 400),
        (f"Sharedkey tenant:{mac('x')}", 400),
        (f"Basic tenant:{mac('x')}", 400),
        ("SharedKey tenant:ééé", 400),
        ("Bearer abc", 401),
    ],
)
def test_a_header_that_is_none_is_refused(value, status):
    with pytest.raises(AzureError) as caught:
        shared_key.parse_authorization(value)
    assert (caught.value.code, caught.value.status) == ("InvalidAuthenticationInfo", status)
