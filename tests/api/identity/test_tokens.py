"""Signed tokens: which are believed, and every known way to cheat."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from retain.api.identity import (
    BearerOptions,
    Caller,
    Identity,
    IdentityOptions,
    IdentityUnavailable,
    Method,
    Unauthenticated,
)
from retain.api.identity.keys import SET_BYTES_MAX, KeySetError, check_url, fetch, read_key_set
from tests.kit.requests import make_request

NOW = 1_800_000_000
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
WEAK_RSA = rsa.generate_private_key(65537, 1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
SECRET = b"0123456789abcdef0123456789abcdef"


def jwk(key: Any, kid: str | None, **extra: Any) -> dict[str, Any]:
    kind = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm = next((found for base, found in kind.items() if isinstance(key, base)), OKPAlgorithm)
    member = algorithm.to_jwk(key.public_key(), as_dict=True)
    member.pop("key_ops", None)
    return {**member, **({} if kid is None else {"kid": kid}), **extra}


def key_set(*members: Any) -> bytes:
    return json.dumps({"keys": list(members)}).encode()


SET = key_set(jwk(RSA_KEY, "r1"), jwk(EC_KEY, "e1"))


class Source:
    """A key set that can change, fail, and be counted."""

    def __init__(self, data: bytes = SET) -> None:
        self.data: bytes | None = data
        self.reads = 0

    def __call__(self) -> bytes:
        self.reads += 1
        if self.data is None:
            raise KeySetError("down")
        return self.data


CLAIMS = {"sub": "ann", "exp": NOW + 600, "iss": "https://issuer", "aud": "retain", "roles": ["Role1"]}


def make(source: Source | None = None, now: list[int] | None = None, **options: Any) -> Identity:
    defaults: dict[str, Any] = {
        "jwks_url": None if source is None else "https://issuer/keys",
        "issuer": "https://issuer",
        "audiences": ("retain",),
    }
    moment = now if now is not None else [NOW]
    return Identity(
        IdentityOptions(bearer=BearerOptions(**{**defaults, **options})),
        now=lambda: moment[0] * 10**9,
        read_keys=source,
    )


def sign(
    claims: dict[str, Any], key: Any = RSA_KEY, alg: str = "RS256", kid: str | None = "r1", **header: Any
):
    headers = {**header, **({} if kid is None else {"kid": kid})}
    return jwt.encode(claims, key, algorithm=alg, headers=headers)


async def call(identity: Identity, token: str) -> Caller:
    return await identity.authenticate(make_request(headers=[("Authorization", f"Bearer {token}")]))


async def refuse(identity: Identity, token: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await call(identity, token)
    assert caught.value.status == 401
    assert caught.value.headers == [("WWW-Authenticate", 'Bearer realm="Retain", error="invalid_token"')]
    assert caught.value.message == "invalid token"


class TestBelieved:
    async def test_rs256(self) -> None:
        caller = await call(make(Source()), sign({**CLAIMS, "email": "a@example.org", "given_name": "Ann"}))
        assert caller == Caller(
            "a@example.org", frozenset({"Role1"}), Method.BEARER, email="a@example.org", given_name="Ann"
        )

    async def test_es256(self) -> None:
        assert (await call(make(Source()), sign(CLAIMS, EC_KEY, "ES256", "e1"))).name == "ann"

    @pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
    async def test_each_algorithm_of_rsa_where_key_and_configuration_name_it(self, alg: str) -> None:
        source = Source(key_set(jwk(RSA_KEY, "r1", alg=alg)))
        assert (await call(make(source, algorithms=(alg,)), sign(CLAIMS, RSA_KEY, alg))).name == "ann"
        other = "PS512" if alg == "RS512" else "RS512"
        await refuse(make(source, algorithms=(alg,)), sign(CLAIMS, RSA_KEY, other))
        await refuse(make(source, algorithms=(other,)), sign(CLAIMS, RSA_KEY, alg))

    @pytest.mark.parametrize(("curve", "alg"), [(ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")])
    async def test_each_curve_has_its_algorithm(self, curve: ec.EllipticCurve, alg: str) -> None:
        key = ec.generate_private_key(curve)
        source = Source(key_set(jwk(key, "e")))
        assert (await call(make(source, algorithms=(alg,)), sign(CLAIMS, key, alg, "e"))).name == "ann"

    async def test_eddsa_where_it_is_allowed(self) -> None:
        source = Source(key_set(jwk(ED_KEY, "d1")))
        token = sign(CLAIMS, ED_KEY, "EdDSA", "d1")
        assert (await call(make(source, algorithms=("EdDSA",)), token)).name == "ann"
        await refuse(make(source), token)

    async def test_hs256_with_a_shared_secret(self) -> None:
        identity = make(secret=SECRET)
        assert (await call(identity, sign(CLAIMS, SECRET, "HS256", None))).name == "ann"
        assert (await call(identity, sign(CLAIMS, SECRET, "HS256", "any"))).name == "ann"

    async def test_without_a_key_id_if_only_one_key_can_be_meant(self) -> None:
        assert (await call(make(Source()), sign(CLAIMS, kid=None))).name == "ann"
        await refuse(make(Source(key_set(jwk(RSA_KEY, "a"), jwk(OTHER_RSA, "b")))), sign(CLAIMS, kid=None))

    async def test_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(SET)
        assert (await call(make(jwks_file=file), sign(CLAIMS))).name == "ann"

    @pytest.mark.parametrize("begins", [0, 0.5, NOW - 1, float(NOW)])
    async def test_from_any_date_that_has_passed(self, begins: float) -> None:
        assert (await call(make(Source()), sign({**CLAIMS, "nbf": begins}))).name == "ann"

    @pytest.mark.parametrize("begins", [-1, -0.5, 1e12, True, "0"])
    async def test_from_nothing_that_is_no_date(self, begins: object) -> None:
        await refuse(make(Source()), sign({**CLAIMS, "nbf": begins}))

    async def test_one_of_several_audiences(self) -> None:
        assert (await call(make(Source()), sign({**CLAIMS, "aud": ["x", "retain"]}))).name == "ann"

    @pytest.mark.parametrize(
        ("claims", "name"),
        [
            ({"user_name": "u", "preferred_username": "p", "email": "e"}, "u"),
            ({"preferred_username": "p", "email": "e"}, "p"),
            ({"email": "e"}, "e"),
            ({}, "ann"),
            ({"user_name": "", "email": "e"}, "e"),
            ({"user_name": 7, "preferred_username": None, "email": ["e"]}, "ann"),
        ],
    )
    async def test_the_first_claim_that_names_the_user_counts(
        self, claims: dict[str, Any], name: str
    ) -> None:
        assert (await call(make(Source()), sign({**CLAIMS, **claims}))).name == name

    async def test_a_dotted_claim_is_looked_for_in_every_place_it_can_be(self) -> None:
        identity = make(Source(), role_claims=("a.b.c", "none.b", "roles.x"))
        claims = {**CLAIMS, "a": {"b.x": 1}, "a.b": {"c": ["R"]}, "none": {"x": 1}}
        assert (await call(identity, sign(claims))).roles == {"R"}

    async def test_roles_come_from_every_role_claim(self) -> None:
        claims = {
            **CLAIMS,
            "roles": ["a", 7, "b"],
            "groups": "one group",
            "scope": "read write",
            "realm_access": {"roles": ["realm"]},
            "xs.system.attributes": {"xs.rolecollections": ["Collection"]},
        }
        caller = await call(make(Source()), sign(claims))
        assert caller.roles == {"a", "b", "one group", "read", "write", "realm", "Collection"}

    @pytest.mark.parametrize(
        ("claim", "roles"),
        [("scope", {"a", "b"}), ("scp", {"a", "b"}), ("groups", {"a b"}), ("x.scp", {"a b"})],
    )
    async def test_only_a_scope_is_a_list_with_blanks(self, claim: str, roles: set[str]) -> None:
        source = make(Source(), role_claims=(claim,))
        claims = {name: value for name, value in CLAIMS.items() if name != "roles"}
        assert (await call(source, sign({**claims, claim: "a b"}))).roles == roles

    async def test_the_first_thousand_roles_count(self) -> None:
        caller = await call(
            make(Source()), sign({**CLAIMS, "roles": [f"r{number}" for number in range(1002)]})
        )
        assert caller.roles == {f"r{number}" for number in range(1000)}


class TestRefused:
    @pytest.mark.parametrize(
        "change",
        [
            {"exp": NOW - 61},
            {"exp": None},
            {"exp": "soon"},
            {"exp": True},
            {"exp": float("inf")},
            {"nbf": NOW + 61},
            {"iss": "https://other"},
            {"iss": None},
            {"aud": "other"},
            {"aud": None},
            {"aud": []},
            {"aud": {"retain": 1}},
            {"sub": ""},
            {"sub": 7},
            {"sub": "a\nb"},
            {"sub": "x" * 300},
        ],
    )
    async def test_claims_that_do_not_hold(self, change: dict[str, Any]) -> None:
        claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
        body = b".".join(part(item) for item in ({"alg": "RS256", "kid": "r1"}, claims))
        await refuse(make(Source()), signed(body))

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"exp": NOW - 61}, "expired"),
            ({"nbf": NOW + 61}, "not valid yet"),
            ({"iss": "https://other"}, "another issuer"),
            ({"aud": None}, "no audience"),
            ({"aud": "other"}, "another audience"),
            ({"sub": ""}, "no usable user name"),
        ],
    )
    async def test_the_log_tells_the_operator_why(
        self, change: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
        with caplog.at_level("INFO", "retain.identity"):
            await refuse(make(Source()), sign(claims))
        assert [record.facts for record in caplog.records] == [{"reason": reason}]  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("key", "kid", "reason"), [(OTHER_RSA, "r1", "wrong signature"), (RSA_KEY, "r9", "no key for it")]
    )
    async def test_the_log_tells_a_wrong_signature_from_an_unknown_key(
        self, key: Any, kid: str, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level("INFO", "retain.identity"):
            await refuse(make(Source()), sign(CLAIMS, key, "RS256", kid))
            await refuse(make(Source()), "one.two")
        told = [record.facts for record in caplog.records if record.message == "token refused"]  # type: ignore[attr-defined]
        assert told == [{"reason": reason}, {"reason": "not three parts"}]

    async def test_the_log_tells_why_a_token_typed_into_a_form_was_refused(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level("INFO", "retain.identity"):
            assert await make(Source()).token_login("one.two") is None
        assert [record.facts for record in caplog.records] == [{"reason": "not three parts"}]  # type: ignore[attr-defined]

    async def test_a_token_for_somebody_where_no_audience_is_configured(self) -> None:
        await refuse(make(Source(), audiences=()), sign(CLAIMS))

    async def test_a_token_for_nobody_in_particular_where_no_audience_is_configured(self) -> None:
        claims = {name: value for name, value in CLAIMS.items() if name != "aud"}
        assert (await call(make(Source(), audiences=()), sign(claims))).name == "ann"
        await refuse(make(Source()), sign(claims))

    async def test_leeway_covers_clocks_that_differ_a_little(self) -> None:
        identity = make(Source(), leeway_s=30)
        assert (await call(identity, sign({**CLAIMS, "exp": NOW - 29, "nbf": NOW + 29}))).name == "ann"
        await refuse(identity, sign({**CLAIMS, "exp": NOW - 30}))

    @pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 7, "HS256", "ES256", "PS256"])
    async def test_another_algorithm_than_the_key_s(self, alg: Any) -> None:
        body = b".".join(part(item) for item in ({"alg": alg, "kid": "r1"}, CLAIMS))
        await refuse(make(Source()), signed(body))
        await refuse(make(Source()), (body + b".").decode())

    async def test_hs256_with_the_public_key_as_secret(self) -> None:
        """Algorithm confusion (RFC 8725 section 2.1)."""
        public = RSA_KEY.public_key()
        for encoding, form in [
            (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.PEM, PublicFormat.PKCS1),
        ]:
            body = b".".join(part(item) for item in ({"alg": "HS256", "kid": "r1"}, CLAIMS))
            mac = hmac.digest(public.public_bytes(encoding, form), body, hashlib.sha256)
            await refuse(make(Source()), (body + b"." + b64(mac)).decode())
            await refuse(make(Source(), secret=SECRET), (body + b"." + b64(mac)).decode())

    async def test_a_set_never_provides_secrets(self) -> None:
        member = {"kty": "oct", "k": b64(SECRET).decode(), "kid": "s"}
        await refuse(make(Source(key_set(jwk(RSA_KEY, "r1"), member))), sign(CLAIMS, SECRET, "HS256", "s"))

    async def test_a_key_set_does_not_serve_where_only_a_secret_is_configured(self) -> None:
        await refuse(make(secret=SECRET), sign(CLAIMS))

    @pytest.mark.parametrize(
        ("source", "secret", "alg", "key"),
        [
            (None, SECRET, "RS256", RSA_KEY),
            (Source(), None, "HS256", SECRET),
            (Source(), None, "PS256", RSA_KEY),
        ],
    )
    async def test_an_algorithm_that_is_not_configured_is_refused_before_a_key_is_looked_for(
        self,
        source: Source | None,
        secret: bytes | None,
        alg: str,
        key: Any,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with caplog.at_level("INFO", "retain.identity"):
            await refuse(make(source, secret=secret), sign(CLAIMS, key, alg, "r1"))
        assert [record.facts for record in caplog.records] == [{"reason": "algorithm not accepted"}]  # type: ignore[attr-defined]
        assert source is None or not source.reads

    async def test_another_key_under_the_same_id(self) -> None:
        await refuse(make(Source()), sign(CLAIMS, OTHER_RSA))

    async def test_a_key_that_the_token_brings_along(self) -> None:
        token = sign(CLAIMS, OTHER_RSA, jwk=jwk(OTHER_RSA, "r1"), jku="https://evil", x5u="https://evil")
        await refuse(make(Source()), token)

    async def test_an_extension_that_must_be_understood(self) -> None:
        await refuse(
            make(Source()), signed(part({"alg": "RS256", "kid": "r1", "crit": ["x"]}) + b"." + part(CLAIMS))
        )
        await refuse(
            make(Source()), signed(part({"alg": "RS256", "kid": "r1", "b64": False}) + b"." + part(CLAIMS))
        )

    async def test_every_single_flipped_bit_of_the_signature(self) -> None:
        head, _, signature = sign(CLAIMS, EC_KEY, "ES256", "e1").rpartition(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
        identity = make(Source())
        for bit in range(len(raw) * 8):
            raw[bit // 8] ^= 1 << bit % 8
            await refuse(identity, f"{head}.{b64(bytes(raw)).decode()}")
            raw[bit // 8] ^= 1 << bit % 8

    async def test_a_second_spelling_of_the_same_signature(self) -> None:
        token = sign(CLAIMS)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        sibling = letters[letters.index(token[-1]) ^ 1]
        for spelling in [token + "=", token + "==", token[:-1] + sibling, token[:-4] + "\n" + token[-4:]]:
            with pytest.raises(Unauthenticated):
                await call(make(Source()), spelling)

    @pytest.mark.parametrize(
        "token",
        [
            "", ".", "..", "...", "W10.e30.e30", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "e30.e30.e30",
            b"".join([b"[" * 20000]).decode(), "x" * 20_000,
            base64.urlsafe_b64encode(b"[" * 9000).decode().rstrip("=") + ".e30.e30",
            base64.urlsafe_b64encode(b'{"alg":"none","alg":"RS256"}').decode().rstrip("=") + ".e30.e30",
            base64.urlsafe_b64encode(b'{"alg":"RS256","kid":["r1"]}').decode().rstrip("=") + ".e30.e30",
        ],
    )  # fmt: skip
    async def test_what_is_no_token(self, token: str) -> None:
        await refuse(make(Source()), token)

    @pytest.mark.parametrize(("length", "taken"), [(16_384, True), (16_385, False)])
    async def test_a_token_has_at_most_16384_characters(self, length: int, taken: bool) -> None:
        def padded(inside: int, above: int) -> bytes:
            header = {"alg": "RS256", "kid": "r1", "typ": "J" * above}
            return b".".join((part(header), part({**CLAIMS, "pad": "x" * inside})))

        longest = length - len(signed(padded(0, 0))) + len(padded(0, 0))
        body = next(
            found
            for inside in range(11_000, 12_500)
            for above in range(3)
            if len(found := padded(inside, above)) == longest
        )
        token = signed(body)
        assert len(token) == length
        if taken:
            assert (await call(make(Source()), token)).name == "ann"
        else:
            await refuse(make(Source()), token)

    async def test_doubled_claims(self) -> None:
        body = (
            part({"alg": "RS256", "kid": "r1"})
            + b"."
            + b64(json.dumps(CLAIMS).encode()[:-1] + b',"sub":"admin"}')
        )
        await refuse(make(Source()), signed(body))

    async def test_a_token_is_not_remembered_beyond_its_end(self, autojump_clock: object) -> None:
        now = [NOW]
        identity = make(Source(), now, leeway_s=0)
        token = sign({**CLAIMS, "exp": NOW + 60})
        await call(identity, token)
        await trio.sleep(59)
        now[0] += 59
        await call(identity, token)
        await trio.sleep(1)
        now[0] += 1
        await refuse(identity, token)


class TestKeys:
    async def test_a_set_is_read_once_and_again_when_it_is_old(self, autojump_clock: object) -> None:
        source = Source()
        now = [NOW]
        identity = make(source, now)
        for number in range(5):
            await call(identity, sign({**CLAIMS, "jti": str(number)}))
        assert source.reads == 1
        await trio.sleep(3599)
        await call(identity, sign({**CLAIMS, "jti": "sooner"}))
        assert source.reads == 1
        await trio.sleep(2)
        await call(identity, sign({**CLAIMS, "jti": "later"}))
        assert source.reads == 2

    async def test_many_first_requests_read_it_once(self) -> None:
        source = Source()
        identity = make(source)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(call, identity, sign({**CLAIMS, "jti": str(number)}))
        assert source.reads == 1

    async def test_a_new_key_is_found_and_made_up_ones_cost_one_reading_in_a_while(
        self, autojump_clock: object
    ) -> None:
        source = Source()
        identity = make(source)
        await call(identity, sign(CLAIMS))
        source.data = key_set(jwk(RSA_KEY, "r1"), jwk(OTHER_RSA, "r2"))
        await trio.sleep(31)
        assert (await call(identity, sign(CLAIMS, OTHER_RSA, kid="r2"))).name == "ann"
        assert source.reads == 2
        for number in range(20):
            await refuse(identity, sign(CLAIMS, OTHER_RSA, kid=f"made up {number}"))
        assert source.reads == 2

    async def test_an_issuer_that_is_down_leaves_the_keys_in_use(self, autojump_clock: object) -> None:
        source = Source()
        identity = make(source)
        await call(identity, sign(CLAIMS))
        source.data = None
        await trio.sleep(4000)
        assert (await call(identity, sign({**CLAIMS, "jti": "x"}))).name == "ann"

    async def test_without_any_set_yet_nothing_can_be_judged(self, autojump_clock: object) -> None:
        source = Source()
        source.data = None
        identity = make(source)
        with pytest.raises(IdentityUnavailable) as caught:
            await call(identity, sign(CLAIMS))
        assert caught.value.status == 503
        assert caught.value.headers == [("Retry-After", "30")]
        source.data = SET
        await trio.sleep(31)
        assert (await call(identity, sign(CLAIMS))).name == "ann"

    @pytest.mark.parametrize(
        "member",
        [
            jwk(WEAK_RSA, "w"),
            jwk(RSA_KEY, "r", use="enc"),
            jwk(RSA_KEY, "r", alg="RSA-OAEP"),
            jwk(RSA_KEY, "r", alg="none"),
            jwk(EC_KEY, "r", alg="RS256"),
            jwk(RSA_KEY, "r", key_ops=["sign"]),
            {**jwk(RSA_KEY, "r"), "kid": 7},
            {**jwk(RSA_KEY, "r"), "n": "!"},
            {**jwk(EC_KEY, "r"), "x": "AAAA"},
            {"kty": ["RSA"]},
            "key",
            None,
        ],
    )
    def test_unusable_keys_are_left_out(self, member: Any) -> None:
        assert len(read_key_set(key_set(member, jwk(RSA_KEY, "good")))) == 1
        with pytest.raises(KeySetError):
            read_key_set(key_set(member))

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"{}", b'{"keys":{}}', b"[" * 100_000, b" " * (1 << 20) + b"  "]
    )
    def test_what_is_no_key_set(self, data: bytes) -> None:
        with pytest.raises(KeySetError):
            read_key_set(data)

    async def test_a_set_of_exactly_the_largest_size(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(SET + b" " * (SET_BYTES_MAX - len(SET)))
        assert (await call(make(jwks_file=file), sign(CLAIMS))).name == "ann"
        file.write_bytes(file.read_bytes() + b" ")
        with pytest.raises(IdentityUnavailable):
            await call(make(jwks_file=file), sign(CLAIMS))

    @pytest.mark.parametrize(
        "url", ["http://example.org/k", "file:///etc/passwd", "ftp://x/k", "https:///k", "k"]
    )
    def test_only_addresses_that_nobody_can_change_on_the_way(self, url: str) -> None:
        with pytest.raises(KeySetError):
            check_url(url)
        with pytest.raises(KeySetError):
            fetch(url)

    async def test_a_set_behind_a_url(self) -> None:
        answers = {
            b"/keys": b"HTTP/1.0 200 OK\r\n\r\n" + SET,
            b"/moved": b"HTTP/1.0 302 Found\r\nLocation: /keys\r\n\r\n",
            b"/missing": b"HTTP/1.0 404 Not Found\r\n\r\n",
        }

        async def answer(stream: trio.SocketStream) -> None:
            asked = await stream.receive_some(4096)
            assert b"\r\nAccept: application/json\r\n" in asked
            await stream.send_all(answers[asked.split()[1]])
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                trio.serve_tcp,
                answer,
                0,
            )
            port = listeners[0].socket.getsockname()[1]

            def get(target: str) -> bytes:
                return fetch(f"http://127.0.0.1:{port}{target}")

            assert await trio.to_thread.run_sync(get, "/keys") == SET
            reading = make(jwks_url=f"http://127.0.0.1:{port}/keys")
            assert (await call(reading, sign(CLAIMS))).name == "ann"
            for target in ("/moved", "/missing"):
                with pytest.raises(KeySetError):
                    await trio.to_thread.run_sync(get, target)
            nursery.cancel_scope.cancel()
        with pytest.raises(KeySetError):
            await trio.to_thread.run_sync(get, "/keys")

    async def test_a_file_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(IdentityUnavailable):
            await call(make(jwks_file=tmp_path / "none.json"), sign(CLAIMS))

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"jwks_file": Path("a"), "jwks_url": "https://x/y"},
            {"secret": b"short"},
            {"secret": SECRET, "leeway_s": 301},
            {"secret": SECRET, "name_claims": ()},
            {"jwks_url": "https://x/y", "algorithms": ("HS256",)},
        ],
    )
    def test_options_that_cannot_be(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            BearerOptions(**options)

    def test_the_challenge_names_what_is_offered(self) -> None:
        assert make(secret=SECRET)._challenges() == [("WWW-Authenticate", 'Bearer realm="Retain"')]


def b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def part(value: Any) -> bytes:
    return b64(json.dumps(value).encode())


def signed(body: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return (body + b"." + b64(RSA_KEY.sign(body, PKCS1v15(), SHA256()))).decode()
