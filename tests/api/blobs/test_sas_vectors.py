"""Every vector of docs/wire/blobs.md, section 4.1: signatures that the JavaScript and the Python SDK make as
well."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import parse_qs, quote

import pytest

from retain.api.blobs.sas import fields as sas_fields
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.issue import issue_account_sas, issue_service_sas
from retain.api.blobs.sas.token import parse_token
from retain.api.blobs.wire.times import parse_sas_time

ACCOUNT = "devstoreaccount1"
KEY = b64decode("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==")

RECORDINGS = {
    "container": "recordings",
    "permissions": "rl",
    "start": parse_sas_time("2021-05-26T10:56:11Z"),
    "expiry": parse_sas_time("2021-05-28T22:00:00Z"),
    "protocol": "https",
}
TENANT_BLOB = {
    "container": "recordings",
    "blob": "mytenant/a b+c.mp3",
    "permissions": "r",
    "expiry": parse_sas_time("2030-01-01T00:00:00Z"),
    "addresses": "10.0.0.1-10.0.0.9",
    "overrides": {"rscd": "attachment; filename=x.mp3", "rsct": "audio/mpeg"},
}
BY_POLICY = {"container": "recordings", "policy": "policy1"}
UNTIL_2030 = {
    "container": "recordings",
    "permissions": "rl",
    "expiry": parse_sas_time("2030-01-01T00:00:00Z"),
}

SERVICE = [
    (RECORDINGS, "2015-04-05", "PfJ2xBl8nurKEZL5sirvdMQrCamQw7mo8ZdpGiUfZsY="),
    (RECORDINGS, "2018-11-09", "geAovd2oMmAppYF8kDMoEUW22GyOt2RRjoWqtZQb8sg="),
    (RECORDINGS, "2020-02-10", "+KOdQF0rqHoIMBD1e71jKWJHGwW9OUR9owaad+soZfU="),
    (RECORDINGS, "2020-12-06", "I55zprAYrN9JZbTDgPAOMwz8jai873HoiYcpkwQxC2E="),
    (TENANT_BLOB, "2015-04-05", "IKGKR+PaX7lkx9nnxatelTPPpZsvcY6I6XHJqq+SRe0="),
    (TENANT_BLOB, "2018-11-09", "VsOMUiIvRIaXZB7rGhgWTHYdgnqbXi8icSgVlkcv9TQ="),
    (TENANT_BLOB, "2020-12-06", "XgBxSLLceOkCAE4Ptqc8Gft+Z4264a6ova9HBdy4kKg="),
    (BY_POLICY, "2020-02-10", "UtqGtZJ39WiL3QKWpFzBx+Erdi6LKyPP3JEsU8NS6tQ="),
    (BY_POLICY, "2020-12-06", "/ZL4gu1t5ca7SfkeaNdChMrhAe6RJQBJPcxkAOAAsVY="),
    (UNTIL_2030, "2026-10-06", "yZBGpT7mbtmuIu1We1G0pQdW2Ot3Ywmvmtg53qoLzZQ="),
    (BY_POLICY, "2026-10-06", "yB0mk0dM90xHnzdv/VeMUvmxSm5RoNVS4wASOqSAT2o="),
]
FIND_ONLY = [
    ("2020-08-04", "QqdgwvdpdbiQpUMEeCd+M7gsH8Xmxg7IiG3wqIyOblw="),
    ("2020-12-06", "rWaxBcdXHDS17C3JPlF72ppW9eUdxOr2QcYWyuof60o="),
]


@pytest.mark.parametrize(("token", "version", "signature"), SERVICE)
def test_a_service_sas_is_signed_as_the_sdks_sign_it(token, version, signature):
    text = issue_service_sas(KEY, account=ACCOUNT, version=version, **token)
    assert text.endswith(f"sig={quote(signature, safe='')}")


@pytest.mark.parametrize(("token", "version", "signature"), SERVICE)
def test_a_service_sas_that_an_sdk_signed_verifies(token, version, signature):
    raw = issue_service_sas(KEY, account=ACCOUNT, version=version, **token).encode()
    parsed = parse_token(raw)
    assert parsed is not None
    now = token.get("expiry", parse_sas_time("2030-01-01T00:00:00Z")) - 1
    facts = sas.SasFacts(now, "10.0.0.5", secure=True)
    target = sas.SignedResource(ACCOUNT, "recordings", token.get("blob", "any/blob"))
    policies = {("recordings", "policy1"): sas.Policy(None, parse_sas_time("2030-01-01"), "rl")}
    grant = sas.verify(parsed, target, (KEY,), facts, lambda *names: policies.get(names))
    assert grant.letters == frozenset(token.get("permissions", "rl"))
    assert sas_fields.encode_signature(parsed.signature) == signature


@pytest.mark.parametrize(("version", "signature"), FIND_ONLY)
def test_the_account_token_of_the_genesys_page_is_signed_as_the_sdks_sign_it(version, signature):
    expiry = parse_sas_time("2022-01-21T00:00:00Z")
    text = issue_account_sas(KEY, account=ACCOUNT, permissions="f", expiry=expiry, version=version)
    assert parse_qs(text)["sig"] == [signature]
    parsed = parse_token(text.encode())
    assert parsed is not None
    facts = sas.SasFacts(expiry - 1, "192.0.2.7", secure=False)
    grant = sas.verify(parsed, sas.SignedResource(ACCOUNT), (KEY,), facts, lambda *names: None)
    assert (grant.kind, grant.letters, grant.types) == (
        sas.GrantKind.ACCOUNT,
        frozenset("f"),
        frozenset("sco"),
    )


def test_the_sample_url_of_the_genesys_page_has_the_parameters_in_our_order():
    text = issue_service_sas(KEY, account=ACCOUNT, version="2020-02-10", **RECORDINGS)
    prefix = "sv=2020-02-10&spr=https&st=2021-05-26T10%3A56%3A11Z&se=2021-05-28T22%3A00%3A00Z&sr=c&sp=rl&sig="
    assert text.startswith(prefix)
