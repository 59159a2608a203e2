"""Token headers and claims of any JSON type: each is believed as it may be, or refused with 401."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.config.load import SettingsConfig
from retain.api.identity import BearerOptions, Identity, IdentityOptions, Unauthenticated
from retain.api.identity.caller import is_user_name
from retain.api.identity.keys import KeySetError, read_key_set
from retain.api.settings import Settings
from retain.engine.testing import ManualClock, open_memory_engine
from tests.kit.requests import make_request
from tests.kit.settings import Answer, whole

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000
HEADER = {"alg": "HS256", "kid": "k"}
CLAIMS = {"sub": "ann", "exp": NOW + 600, "aud": "retain", "roles": ["Role1"]}

_texts = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["HS256", "RS256", "none", "ann", "retain", "a.b", "\ud800", "\udc80x", ""]
)
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)


def _members(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), _values, max_size=3)


_headers = _members(["alg", "kid", "crit", "b64", "typ", "cty", "jku", "jwk", "x5u", "x5c", "zip", "enc"])
_claims = _members(
    ["exp", "nbf", "iat", "iss", "aud", "sub", "email", "given_name", "family_name", "user_name",
     "preferred_username", "roles", "groups", "scope", "realm_access", "realm_access.roles",
     "xs.system.attributes", "xs.system", "", "xs"]
)  # fmt: skip


def _part(value: Any) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def token(header: Any, claims: Any) -> str:
    """A token with a true HS256 signature, whatever its header says."""
    body = _part(header) + b"." + _part(claims)
    mac = hmac.digest(SECRET, body, hashlib.sha256)
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def identity() -> Identity:
    options = BearerOptions(secret=SECRET, issuer=None, audiences=("retain",))
    return Identity(IdentityOptions(bearer=options), now=lambda: NOW * 10**9)


async def me(text: str) -> Answer:
    """The answer that names the caller, with all that the token says."""
    async with open_memory_engine(clock=ManualClock()) as engine:
        settings = Settings(engine, SettingsConfig(), identity())
        target = "/mobileservices/application/app/roleservice/application/app/v2/Me"
        request = make_request("GET", target, [("Authorization", f"Bearer {text}")])
        return await whole(await settings.handle(request))


@pytest.mark.parametrize("alg", [["HS256"], {"HS256": 1}, 7, True, None, 1.5, [], {}])
async def test_an_algorithm_that_is_no_text_is_refused(alg: Any) -> None:
    with pytest.raises(Unauthenticated):
        await identity().authenticate(
            make_request(headers=[("Authorization", f"Bearer {token({'alg': alg}, CLAIMS)}")])
        )


async def test_a_role_that_utf_8_cannot_carry_is_none() -> None:
    answer = await me(token(HEADER, {**CLAIMS, "roles": ["\ud800", "Role1"], "groups": "\udfff"}))
    assert answer.status == 200
    assert answer.json()["roles"] == [{"value": "Role1"}]


@given(_headers | _values, _claims | _values)
async def test_a_token_of_any_shape_is_believed_or_refused(header: Any, claims: Any) -> None:
    header = {**HEADER, **header} if isinstance(header, dict) else header
    claims = {**CLAIMS, **claims} if isinstance(claims, dict) else claims
    request = make_request(headers=[("Authorization", f"Bearer {token(header, claims)}")])
    try:
        caller = await identity().authenticate(request)
    except Unauthenticated as refusal:
        assert refusal.message == "invalid token"  # noqa: PT017 (other outcomes are legal)
        return
    assert header["alg"] == "HS256"
    assert is_user_name(caller.name)
    for text in (*caller.roles, caller.email, caller.given_name, caller.family_name):
        assert text is None or (isinstance(text, str) and text.encode().decode() == text)


@given(st.text(st.characters(max_codepoint=255), max_size=80), st.sampled_from(["", "Basic ", "Bearer "]))
async def test_credentials_of_any_shape_are_refused(text: str, scheme: str) -> None:
    with pytest.raises(Unauthenticated):
        await identity().authenticate(make_request(headers=[("Authorization", scheme + text)]))


@given(
    st.dictionaries(
        st.sampled_from(["kty", "crv", "alg", "use", "key_ops", "kid", "n", "e", "x", "y"]),
        _values | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "ES256"]),
    )
)
def test_a_key_of_any_shape_is_left_out(member: dict[str, Any]) -> None:
    with pytest.raises(KeySetError):
        read_key_set(json.dumps({"keys": [member]}).encode())
