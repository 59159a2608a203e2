"""Tokens that someone tampered with: more than two hundred, and not one passes."""

from __future__ import annotations

import ast
from base64 import b64decode, b64encode
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, quote

import pytest

from retain.api.blobs.sas import fields as sas_fields
from retain.api.blobs.sas import token as sas_token
from retain.api.blobs.sas import verify as sas
from retain.api.blobs.sas.issue import issue_account_sas, issue_service_sas
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.times import parse_sas_time

KEY, OTHER = b"k" * 64, b"o" * 64
NOW = parse_sas_time("2026-11-22T12:00:00Z")
HOUR = 3600 * 10**9
FACTS = sas.SasFacts(NOW, "10.0.0.5", secure=True)

CONTAINER = issue_service_sas(
    KEY,
    account="tenant",
    container="recordings",
    permissions="rl",
    start=NOW - HOUR,
    expiry=NOW + HOUR,
    addresses="10.0.0.0-10.0.0.9",
    protocol="https",
    overrides={"rscd": "attachment", "rsct": "audio/mpeg"},
)
BLOB = issue_service_sas(
    KEY,
    account="tenant",
    container="recordings",
    blob="a/b",
    permissions="r",
    expiry=NOW + HOUR,
    version="2015-04-05",
)
POLICY = issue_service_sas(KEY, account="tenant", container="recordings", policy="p1")
ACCOUNT = issue_account_sas(KEY, account="tenant", permissions="f", expiry=NOW + HOUR, start=NOW - HOUR)
TARGETS = {
    CONTAINER: sas.SignedResource("tenant", "recordings", "a/b"),
    BLOB: sas.SignedResource("tenant", "recordings", "a/b"),
    POLICY: sas.SignedResource("tenant", "recordings", "a/b"),
    ACCOUNT: sas.SignedResource("tenant"),
}
POLICIES = {
    ("recordings", "p1"): sas.Policy(None, NOW + HOUR, "rl"),
    ("recordings", "p2"): sas.Policy(None, NOW + HOUR, "racwdl"),
}


def rebuilt(pairs):
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)


def with_signature(pairs, signature):
    return rebuilt([(name, signature if name == "sig" else value) for name, value in pairs])


def signature_forgeries(token):
    pairs = parse_qsl(token)
    text = dict(pairs)["sig"]
    signature = b64decode(text)
    for bit in range(0, 256, 5):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        yield with_signature(pairs, b64encode(flipped).decode())
    yield with_signature(pairs, "")
    yield with_signature(pairs, text.rstrip("="))
    yield with_signature(pairs, text + "=")
    yield with_signature(pairs, text + "\n")
    yield with_signature(pairs, " " + text)
    yield with_signature(pairs, text[:20] + "!" + text[20:])
    yield with_signature(pairs, "é" * 43 + "=")
    # the last character of 32 bytes in Base64 carries four bits only, so this decodes to the same bytes
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    yield with_signature(pairs, text[:42] + alphabet[alphabet.index(text[42]) ^ 1] + "=")
    yield with_signature(pairs, b64encode(signature[:31]).decode())
    yield with_signature(pairs, b64encode(signature + b"\0").decode())
    yield with_signature(pairs, signature.hex())


def field_forgeries(token):
    pairs = parse_qsl(token)
    for at, (name, value) in enumerate(pairs):
        others = pairs[:at] + pairs[at + 1 :]
        if name in sas_fields.ALL:
            yield rebuilt(others)
            yield rebuilt([*pairs, (name, value)])
            yield rebuilt([(name, value), *pairs])
            yield rebuilt([*others, (name.upper(), value)])
            yield rebuilt([*pairs, (name.upper(), value)])
        if name != "sig":
            for changed in (
                value + "0",
                value + " ",
                value.swapcase(),
                value[:-1],
                value + "\n",
                value + "\0",
            ):
                if changed != value:
                    yield rebuilt([*others[:at], (name, changed), *others[at:]])
    widened = {
        "sp": "racwdl",
        "se": "2030-01-01T00:00:00Z",
        "st": "2020-01-01",
        "spr": "https,http",
        "sr": "b",
    }
    widened |= {"sip": "0.0.0.0-255.255.255.255", "si": "p2", "sv": "2018-11-09", "ss": "bqtf", "srt": "o"}
    for name, value in widened.items():
        if dict(pairs).get(name) not in (None, value):
            yield rebuilt([(found, value if found == name else old) for found, old in pairs])
    for name, value in {
        "rsct": "text/html",
        "sip": "10.0.0.5",
        "si": "p2",
        "ses": "scope",
        "skoid": "1",
    }.items():
        if name not in dict(pairs) and not (token == ACCOUNT and name == "rsct"):
            yield rebuilt([*pairs, (name, value)])
    for (one, first), (two, second) in pairwise(pairs):
        if first and second and "sig" not in (one, two):
            swapped = {one: second, two: first}
            yield rebuilt([(name, swapped.get(name, value)) for name, value in pairs])
            yield rebuilt(
                [(name, {one: f"{first}\n{second}", two: ""}.get(name, value)) for name, value in pairs]
            )


def forgeries():
    for name, token in {"container": CONTAINER, "blob": BLOB, "policy": POLICY, "account": ACCOUNT}.items():
        found = dict.fromkeys([*signature_forgeries(token), *field_forgeries(token)])
        for number, text in enumerate(found):
            yield pytest.param(text, TARGETS[token], id=f"{name}-{number}")


FORGERIES = list(forgeries())


def accept(text, target, facts=FACTS, keys=(KEY, OTHER)):
    token = sas_token.parse_token(text.encode())
    return token and sas.verify(token, target, keys, facts, lambda *names: POLICIES.get(names))


def rights(text, target):
    """What a token grants; None for one that is refused, which must be with 400 or 403."""
    try:
        return accept(text, target)
    except AzureError as error:
        return None if error.status in (400, 403) else error


def test_the_genuine_tokens_pass_so_that_the_forgeries_prove_something():
    for token, target in TARGETS.items():
        assert accept(token, target)


def test_there_are_enough_forgeries():
    assert len(FORGERIES) >= 200


@pytest.mark.parametrize(("text", "target"), FORGERIES)
def test_no_forgery_is_accepted(text, target):
    assert not rights(text, target)


@pytest.mark.parametrize(
    "token", [CONTAINER, BLOB, POLICY, ACCOUNT], ids=["container", "blob", "policy", "account"]
)
def test_a_token_is_good_for_no_other_place(token):
    for account in ("tenant", "tenant2", "tenan", "Tenant"):
        for container in ("recordings", "gim-export", "Recordings", "recordings/a", "", None):
            for blob in ("a/b", "a/c", "A/B", "a/b/", "a", "../recordings/a/b", None):
                target = sas.SignedResource(account, container, blob)
                own_place = TARGETS[token]
                covered = account == "tenant" and (
                    token == ACCOUNT
                    or (
                        container == "recordings" and (token in (CONTAINER, POLICY) or blob == own_place.blob)
                    )
                )
                if not covered:
                    with pytest.raises(AzureError, match="AuthenticationFailed"):
                        accept(token, target)


def test_a_key_that_was_rotated_away_signs_nothing_any_more():
    for token, target in TARGETS.items():
        accept(token, target, keys=(OTHER, KEY))
        with pytest.raises(AzureError, match="AuthenticationFailed"):
            accept(token, target, keys=(OTHER, b"new"))


def test_a_token_found_good_is_judged_again_for_other_names_keys_and_times():
    """The signature is remembered for one target and one set of keys, and nothing else is."""
    for token, target in TARGETS.items():
        for _ in range(3):
            accept(token, target)
        for other in (
            sas.SignedResource("other", target.container, target.blob),
            sas.SignedResource("tenant2", "x", "y"),
        ):
            with pytest.raises(AzureError, match="AuthenticationFailed"):
                accept(token, other)
        with pytest.raises(AzureError, match="AuthenticationFailed"):
            accept(token, target, keys=(b"new",))
        accept(token, target)


def test_signatures_are_compared_in_constant_time_and_nowhere_else():
    """Reads our own source: `==` never touches a signature, and every comparison is compare_digest."""
    folder = Path(sas.__file__).parent
    compared = 0
    for name in ("verify.py", "fields.py", "token.py", "shared_key.py"):
        for node in ast.walk(ast.parse((folder / name).read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "compare_digest":
                compared += 1
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                names = {side.attr for side in sides if isinstance(side, ast.Attribute)}
                names |= {side.id for side in sides if isinstance(side, ast.Name)}
                is_none = any(isinstance(side, ast.Constant) and side.value is None for side in sides)
                assert is_none or "signature" not in names, f"{name}:{node.lineno}"
    assert compared == 1
