"""What a token is judged by: times, policy, protocol, address, form; each with the verdict of
docs/wire/blobs.md, section 8."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from dataclasses import replace
from urllib.parse import parse_qs, quote

import pytest

from retain.api.blobs.sas import token as sas_token
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.issue import issue_account_sas, issue_service_sas
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.query import parse_query
from retain.api.blobs.wire.times import parse_sas_time

KEYS = (b"first key", b"second key")
NOW = parse_sas_time("2026-11-22T12:00:00Z")
HOUR = 3600 * 10**9
TARGET = sas.SignedResource("tenant", "recordings", "a/b.mp3")
FACTS = sas.SasFacts(NOW, "10.0.0.5", secure=True)


def service(key=KEYS[0], **changes):
    fields = {
        "account": "tenant",
        "container": "recordings",
        "permissions": "rl",
        "expiry": NOW + HOUR,
        **changes,
    }
    return issue_service_sas(key, **fields)


def judge(text, target=TARGET, facts=FACTS, policies=None, keys=KEYS):
    token = sas_token.parse_token(text.encode())
    assert token is not None
    return sas.verify(
        token, target, keys, facts, lambda container, name: (policies or {}).get((container, name))
    )


def refusal(text, **places):
    with pytest.raises(AzureError) as caught:
        judge(text, **places)
    return caught.value


def test_either_key_of_the_account_signs():
    for key in KEYS:
        assert judge(service(key)).letters == frozenset("rl")
    assert refusal(service(b"retired key")).code == "AuthenticationFailed"


def test_a_wrong_signature_says_which_string_was_signed():
    error = refusal(service(b"another"))
    assert (error.code, error.status) == ("AuthenticationFailed", 403)
    assert error.detail.startswith("Signature did not match. String to sign used was rl\n")
    assert "/blob/tenant/recordings" in error.detail


def test_expiry_is_the_first_instant_that_is_refused():
    text = service(expiry=NOW)
    assert judge(text, facts=sas.SasFacts(NOW - 1, "::1", True)).kind is sas.GrantKind.CONTAINER
    error = refusal(text)
    assert error.detail == (
        "Signature not valid in the specified time frame: "
        "Expiry [Sun, 22 Nov 2026 12:00:00 GMT] - Current [Sun, 22 Nov 2026 12:00:00 GMT]"
    )


def test_start_is_the_first_instant_that_is_allowed():
    text = service(start=NOW)
    assert judge(text).kind is sas.GrantKind.CONTAINER
    error = refusal(text, facts=sas.SasFacts(NOW - 1, "::1", True))
    assert "Start [Sun, 22 Nov 2026 12:00:00 GMT] - Expiry [" in error.detail


def test_a_window_that_ends_before_it_starts_is_refused():
    error = refusal(service(start=NOW + HOUR, expiry=NOW))
    assert error.detail == (
        "Signed expiry time [Sun, 22 Nov 2026 12:00:00 GMT] has to be after "
        "signed start time [Sun, 22 Nov 2026 13:00:00 GMT]"
    )


def test_https_only_tokens_are_refused_over_http():
    text = service(protocol="https")
    judge(text)
    error = refusal(text, facts=sas.SasFacts(NOW, "10.0.0.5", secure=False))
    assert (error.code, error.status) == ("AuthorizationProtocolMismatch", 403)
    judge(service(protocol="https,http"), facts=sas.SasFacts(NOW, "10.0.0.5", secure=False))


@pytest.mark.parametrize("peer", ["10.0.0.1", "10.0.0.9", "::ffff:10.0.0.4"])
def test_an_address_inside_the_range_passes(peer):
    text = service(addresses="10.0.0.1-10.0.0.9")
    assert judge(text, facts=sas.SasFacts(NOW, peer, True)).letters == frozenset("rl")


@pytest.mark.parametrize("peer", ["10.0.0.0", "10.0.0.10", "::1", "", "unix"])
def test_an_address_outside_the_range_is_named_in_the_refusal(peer):
    error = refusal(service(addresses="10.0.0.1-10.0.0.9"), facts=sas.SasFacts(NOW, peer, True))
    assert error.code == "AuthorizationSourceIPMismatch"
    assert peer in error.message


def account(**changes):
    fields = {"account": "tenant", "permissions": "r", "expiry": NOW + HOUR, **changes}
    return issue_account_sas(KEYS[0], **fields)


def test_an_account_token_is_bound_to_its_protocol_and_addresses_as_well():
    text = account(protocol="https", addresses="10.0.0.1-10.0.0.9")
    assert judge(text).letters == frozenset("r")
    assert refusal(text, facts=sas.SasFacts(NOW, "10.0.0.5", False)).code == "AuthorizationProtocolMismatch"
    for peer in ("10.0.0.0", "10.0.0.10", "unix"):
        error = refusal(text, facts=sas.SasFacts(NOW, peer, True))
        assert error.code == "AuthorizationSourceIPMismatch"


def test_an_account_token_is_bound_to_its_times_as_well():
    text = account(start=NOW)
    for now, refused in ((NOW - 1, True), (NOW, False), (NOW + HOUR - 1, False), (NOW + HOUR, True)):
        facts = sas.SasFacts(now, "10.0.0.5", True)
        if refused:
            assert "time frame" in refusal(text, facts=facts).detail
        else:
            assert judge(text, facts=facts).letters == frozenset("r")


def test_what_is_printed_of_a_token_opens_nothing():
    for text in (service(overrides={"rscd": "attachment; filename=anna"}), account()):
        signature = parse_qs(text)["sig"][0]
        shown = repr(sas_token.parse_token(text.encode())) + repr(parse_query(text.encode()))
        raw = b64decode(signature)
        for secret in (signature, signature[:8], repr(raw), raw.hex(), text, "verified"):
            assert secret not in shown
        assert "expiry" in shown


def test_a_token_that_was_verified_is_the_same_token():
    for text in (service(), account()):
        token = sas_token.parse_token(text.encode())
        used = replace(token, verified={("a",): (b"key",)})
        assert used == token
        assert repr(used) == repr(token)


def test_the_order_is_signature_then_time_then_protocol_then_address():
    everything_wrong = sas.SasFacts(NOW + 2 * HOUR, "192.0.2.1", secure=False)
    text = service(b"another", protocol="https", addresses="10.0.0.1")
    assert "did not match" in refusal(text, facts=everything_wrong).detail
    text = service(protocol="https", addresses="10.0.0.1")
    assert "time frame" in refusal(text, facts=everything_wrong).detail
    assert refusal(text, facts=sas.SasFacts(NOW, "192.0.2.1", False)).code == "AuthorizationProtocolMismatch"
    assert refusal(text, facts=sas.SasFacts(NOW, "192.0.2.1", True)).code == "AuthorizationSourceIPMismatch"


def test_a_container_token_covers_every_blob_of_its_container_only():
    judge(service(), target=sas.SignedResource("tenant", "recordings"))
    judge(service(), target=sas.SignedResource("tenant", "recordings", "other"))
    for target in (
        sas.SignedResource("tenant", "gim-export"),
        sas.SignedResource("tenant", "recordingsx", "a"),
        sas.SignedResource("tenant2", "recordings"),
        sas.SignedResource("tenant"),
    ):
        assert refusal(service(), target=target).code == "AuthenticationFailed"


def test_a_blob_token_covers_its_blob_only():
    text = service(blob="a/b.mp3")
    assert judge(text).kind is sas.GrantKind.BLOB
    for name in ("a/b.mp", "a/b.mp3/", "a/B.mp3", "a%2Fb.mp3", None):
        assert (
            refusal(text, target=sas.SignedResource("tenant", "recordings", name)).code
            == "AuthenticationFailed"
        )


POLICY_FULL = {("recordings", "p1"): sas.Policy(NOW - HOUR, NOW + HOUR, "rl")}


def by_policy(**changes):
    return service(**{"permissions": None, "expiry": None, "policy": "p1", **changes})


def test_a_policy_gives_all_that_the_token_leaves_out():
    grant = judge(by_policy(), policies=POLICY_FULL)
    assert (grant.letters, grant.policy) == (frozenset("rl"), "p1")


def test_a_policy_that_is_not_there_revokes_the_token():
    error = refusal(by_policy(), policies={("gim-export", "p1"): sas.Policy(None, NOW + HOUR, "rl")})
    assert error.detail == "SAS identifier cannot be found for specified signed identifier"
    assert error.status == 403


def test_token_and_policy_may_share_the_fields_between_them():
    grant = judge(
        by_policy(permissions="r"), policies={("recordings", "p1"): sas.Policy(None, NOW + HOUR, None)}
    )
    assert grant.letters == frozenset("r")
    judge(by_policy(expiry=NOW + HOUR), policies={("recordings", "p1"): sas.Policy(None, None, "l")})
    judge(by_policy(start=NOW), policies={("recordings", "p1"): sas.Policy(None, NOW + HOUR, "l")})


@pytest.mark.parametrize(
    ("field", "changes"),
    [("sp", {"permissions": "r"}), ("se", {"expiry": NOW + HOUR}), ("st", {"start": NOW})],
)
def test_a_field_on_both_sides_is_refused(field, changes):
    error = refusal(by_policy(**changes), policies=POLICY_FULL)
    assert (error.code, error.status) == ("InvalidQueryParameterValue", 400)
    assert ("QueryParameterName", field) in error.extras


@pytest.mark.parametrize(
    ("policy", "missing"), [(sas.Policy(None, NOW + HOUR, None), "sp"), (sas.Policy(None, None, "r"), "se")]
)
def test_a_field_on_neither_side_is_refused(policy, missing):
    error = refusal(by_policy(), policies={("recordings", "p1"): policy})
    assert error.detail == f"{missing} is mandatory. Cannot be empty"


def test_an_expired_policy_kills_its_tokens():
    error = refusal(by_policy(), policies={("recordings", "p1"): sas.Policy(None, NOW, "rl")})
    assert "time frame" in error.detail


def test_the_signature_is_judged_before_the_policy_is_looked_up():
    asked = []
    token = sas_token.parse_token(by_policy(key=b"another").encode())
    with pytest.raises(AzureError):
        sas.verify(token, TARGET, KEYS, FACTS, lambda *names: asked.append(names))
    assert asked == []


def test_overrides_come_with_the_grant():
    text = service(overrides={"rsct": "audio/mpeg", "rscd": "attachment"})
    assert judge(text).overrides == (("rscd", "attachment"), ("rsct", "audio/mpeg"))


@pytest.mark.parametrize(
    "version", ["2012-02-12", "2013-08-15", "2014-02-14", "2015-02-21", "2015-04-05", "2099-01-01"]
)
def test_every_version_verifies_what_it_signs(version):
    assert judge(service(version=version)).letters == frozenset("rl")


def test_a_version_signs_only_what_it_knows():
    for version, changes in (
        ("2014-02-14", {"addresses": "10.0.0.5"}),
        ("2014-02-14", {"protocol": "https"}),
        ("2012-02-12", {"overrides": {"rsct": "text/html"}}),
    ):
        with pytest.raises(ValueError, match="not part of this version"):
            service(version=version, **changes)
    with pytest.raises(ValueError, match="signs no such token"):
        issue_account_sas(KEYS[0], account="tenant", permissions="r", expiry=NOW, version="2014-02-14")


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("sig=x", "sr is mandatory. Cannot be empty"),
        ("sr=c&sig=x", "sv is mandatory. Cannot be empty"),
        ("sr=c&sv=2020-12-06&sig=x", "sp is mandatory. Cannot be empty"),
        ("sr=c&sv=2020-12-06&sp=r&sig=x", "se is mandatory. Cannot be empty"),
        ("sr=c&sv=2020-12-06&sp=r&se=2030-01-01", "sig is mandatory. Cannot be empty"),
        ("sr=c&sv=2020-12-06&sp=r&se=soon&sig=x", "Signature fields not well formed."),
        ("sr=c&sv=2020-12-06&sp=rr&se=2030-01-01&sig=x", "Signature fields not well formed."),
        ("sr=c&sv=2020-12-06&sp=rq&se=2030-01-01&sig=x", "Signature fields not well formed."),
        ("sr=d&sdd=1&sv=2020-12-06&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sr"),
        ("sr=c&sv=2020-1-6&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sv"),
        ("sr=bs&sv=2018-11-08&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sr"),
        ("sr=bv&sv=2018-11-08&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sr"),
        ("sr=c&sv=2012-02-11&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sv"),
        ("sr=c&sv=2013-08-14&rscl=de&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. rscl"),
        ("sr=c&sv=2015-04-04&sip=10.0.0.1&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sip"),
        ("sr=c&sv=2015-04-04&spr=https&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. spr"),
        ("sr=c&sv=2020-12-05&ses=x&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. ses"),
        ("sr=c&sv=2020-12-06&ses=x&sp=r&se=2030-01-01&sig=x", "Encryption scopes are not supported"),
        ("ss=b&srt=s&sv=2020-12-06&ses=x&sp=f&se=2030-01-01&sig=x", "Encryption scopes are not supported"),
        ("ss=b&srt=s&sp=f&se=2030-01-01&sv=2015-04-04&sig=x", "Signature fields not well formed. sv"),
        ("sr=c&sv=2011-08-18&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sv"),
        ("sr=c&sv=2020-08-04&ses=x&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. ses"),
        ("sr=c&sv=2014-02-14&sip=10.0.0.1&sp=r&se=2030-01-01&sig=x", "Signature fields not well formed. sip"),
        ("sr=c&sv=2020-12-06&sp=r&se=2030-01-01&spr=http&sig=x", "Signature fields not well formed. spr"),
        (
            "sr=c&sv=2020-12-06&sp=r&se=2030-01-01&sip=10.0.0.9-10.0.0.1&sig=x",
            "Signature fields not well formed.",
        ),
        ("sr=c&sv=2020-12-06&sp=r&se=2030-01-01&sip=::1&sig=x", "Signature fields not well formed."),
        (
            "sr=c&sv=2020-12-06&sp=r&sp=rw&se=2030-01-01&sig=x",
            "Signature fields not well formed. A parameter",
        ),
        ("sr=c&sv=2020-12-06&sp=r&SE=2030-01-01&sig=x", "Signature fields not well formed. Parameter names"),
        ("SIG=x&sv=2020-12-06", "Signature fields not well formed."),
        ("sr=c&sv=2020-12-06&sp=r&se=2030-01-01&rsct=a%0d%0ab&sig=x", "Signature fields not well formed."),
        ("sr=c&sv=2020-12-06&sp=r&se=2030-01-01&skoid=1&sig=x", "User delegation signatures are not"),
        (f"sr=c&sv=2020-12-06&si={'x' * 65}&sig=x", "Signature fields not well formed. si"),
        (
            "ss=b&srt=sco&sp=f&se=2030-01-01&sv=2020-12-06&si=p&sig=x",
            "Signature fields not well formed. An account",
        ),
        (
            "ss=b&srt=sco&sp=f&se=2030-01-01&sv=2020-12-06&sr=c&sig=x",
            "Signature fields not well formed. An account",
        ),
        ("ss=b&srt=sco&sp=f&se=2030-01-01&sv=2014-02-14&sig=x", "Signature fields not well formed. sv"),
        (
            "ss=b&srt=sco&sp=f&se=2030-01-01&sv=2020-08-04&ses=e&sig=x",
            "Signature fields not well formed. ses",
        ),
        ("ss=b&srt=scoo&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("ss=b&srt=ss&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("ss=bb&srt=sco&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("ss=b&srt=sco&sp=ff&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("ss=bz&srt=sco&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("ss=b&srt=scox&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "Signature fields not well formed."),
        ("srt=sco&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "ss is mandatory. Cannot be empty"),
        ("ss=b&sp=f&se=2030-01-01&sv=2020-12-06&sig=x", "srt is mandatory. Cannot be empty"),
        ("ss=b&srt=sco&se=2030-01-01&sv=2020-12-06&sig=x", "sp is mandatory. Cannot be empty"),
        ("ss=b&srt=sco&sp=f&sv=2020-12-06&sig=x", "se is mandatory. Cannot be empty"),
    ],
)
def test_a_malformed_token_is_authentication_failed_and_says_why(query, detail):
    # A signature of the right form, so that nothing but what is meant can be wrong.
    query = query.replace("sig=x", f"sig={'A' * 43}%3D")
    with pytest.raises(AzureError) as caught:
        sas_token.parse_token(query.encode())
    assert (caught.value.code, caught.value.status) == ("AuthenticationFailed", 403)
    assert caught.value.detail.startswith(detail)


@pytest.mark.parametrize(
    "signature", ["x", "A" * 43, "A" * 44, "A" * 42 + "%3D%3D", "%20" + "A" * 42 + "%3D"]
)
def test_a_signature_of_another_form_is_refused_as_such(signature):
    query = f"sr=c&sv=2020-12-06&sp=r&se=2030-01-01&sig={signature}"
    with pytest.raises(AzureError) as caught:
        sas_token.parse_token(query.encode())
    assert caught.value.detail == "Signature fields not well formed. sig is not a signature."


def test_a_query_without_a_signature_carries_no_token():
    assert sas_token.parse_token(b"restype=container&comp=list&prefix=a%2Fb") is None
    assert sas_token.parse_token(b"") is None


def test_unknown_parameters_are_no_part_of_the_signature():
    surrounded = judge(f"comp=list&{service()}&restype=container&timeout=30&spare=1")
    assert surrounded == judge(service())
    assert surrounded.letters == frozenset("rl")


def test_a_raw_plus_in_the_signature_is_kept():
    for number in range(64):
        text = service(expiry=NOW + HOUR + number * 10**9)
        if "%2B" in text:
            judge(text.replace("%2B", "+"))
            assert refusal_of_parse(text.replace("%2B", "%20")).code == "AuthenticationFailed"
            return
    pytest.fail("no signature with a plus among 64")


def refusal_of_parse(text):
    with pytest.raises(AzureError) as caught:
        sas_token.parse_token(text.encode())
    return caught.value


def test_parameters_may_come_in_any_order():
    text = service(protocol="https", addresses="10.0.0.5")
    resorted = "&".join(sorted(text.split("&")))
    assert resorted != text
    assert judge(resorted) == judge(text)


def test_an_account_token_does_not_override_headers():
    text = issue_account_sas(KEYS[1], account="tenant", permissions="r", expiry=NOW + HOUR)
    grant = judge(f"{text}&rsct=text%2Fhtml", target=sas.SignedResource("tenant"))
    assert grant.overrides == ()


def test_a_snapshot_token_signs_the_snapshot_of_the_url():
    text = service(blob="a/b.mp3").replace("sr=b", "sr=bs")
    assert refusal(text).code == "AuthenticationFailed"
    assert refusal(
        text, target=sas.SignedResource("tenant", "recordings", "a/b.mp3", "2026-01-01T00:00:00.0000000Z")
    )


@pytest.mark.parametrize("resource", ["bs", "bv"])
def test_a_snapshot_or_version_is_signed_and_no_other_is_granted(resource):
    """The text is that of Microsoft's *Create a service SAS*: the time stands behind `sr`."""
    moment = "2026-01-01T00:00:00.0000000Z"
    lines = ["r", "", "2026-11-22T13:00:00Z", "/blob/tenant/recordings/a/b.mp3", "", "", ""]
    lines += ["2020-12-06", resource, moment, "", "", "", "", "", ""]
    signed = b64encode(hmac.digest(KEYS[0], "\n".join(lines).encode(), "sha256")).decode()
    text = f"sv=2020-12-06&sr={resource}&sp=r&se=2026-11-22T13:00:00Z&sig={quote(signed, safe='')}"
    token = sas_token.parse_token(text.encode())
    assert token is not None
    target = TARGET._replace(snapshot=moment)
    for _ in range(2):  # the second time by what is remembered of the first
        assert sas.verify(token, target, KEYS, FACTS, lambda *_: None).kind is sas.GrantKind.BLOB
        for other in ("", "2026-01-02T00:00:00.0000000Z"):
            with pytest.raises(AzureError) as caught:
                sas.verify(token, target._replace(snapshot=other), KEYS, FACTS, lambda *_: None)
            assert caught.value.code == "AuthenticationFailed"
