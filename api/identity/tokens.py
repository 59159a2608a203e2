"""Bearer tokens: JSON Web Tokens (RFC 7519) under the best current practice of RFC 8725.

The signature is judged first, by a key whose algorithm is fixed; only then is anything of the token believed.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from retain.api.identity.caller import BadTokenError, Caller, IdentityUnavailable, Method, is_user_name
from retain.api.identity.keys import KeyRing, KeySetError
from retain.api.identity.memory import Memory
from retain.api.identity.options import BearerOptions

TOKEN_BYTES_MAX = 16_384
ROLES_MAX = 1_000


class Tokens:
    """Judges tokens.

    Args:
        options: What to demand.
        ring: The keys.
        memory: Where tokens once verified are remembered, for no longer than they are valid.
        now: Nanoseconds since the epoch.
    """

    def __init__(self, options: BearerOptions, ring: KeyRing, memory: Memory, now: Callable[[], int]) -> None:
        self._options = options
        self._ring = ring
        self._memory = memory
        self._now = now
        self._algorithms = {"HS256"} if options.secret is not None else set()
        if options.jwks_file is not None or options.jwks_url is not None:
            self._algorithms.update(options.algorithms)

    async def authenticate(self, token: str) -> Caller:
        """The token's user.

        Raises:
            BadTokenError: It is malformed, wrongly signed, not valid now, or not meant for this server.
            IdentityUnavailable: There is no key set to judge it by.
        """
        digest = self._memory.digest(b"bearer\0" + token.encode())
        known = self._memory.recall(digest)
        if known is not None:
            return known
        claims = await self._verified(token)
        valid_s = self._check_dates(claims)
        self._check_parties(claims)
        caller = self._caller(claims)
        self._memory.remember(digest, caller, valid_s)
        return caller

    async def _verified(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(token) > TOKEN_BYTES_MAX or len(parts) != 3:
            raise BadTokenError("not three parts")
        header = _object(_decode(parts[0]))
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._algorithms or not isinstance(key_id, str | None):
            raise BadTokenError("algorithm not accepted")
        # RFC 7515 section 4.1.11: what must be understood and is not refuses the token; nothing is understood
        # here.
        if "crit" in header or header.get("b64", True) is not True:
            raise BadTokenError("critical header not understood")
        try:
            key = await self._ring.find(key_id, algorithm)
        except KeySetError:
            raise IdentityUnavailable(int(self._options.unknown_key_pause_s)) from None
        if key is None:
            raise BadTokenError("no key for it")
        if not key.verify(f"{parts[0]}.{parts[1]}".encode(), _decode(parts[2])):
            raise BadTokenError("wrong signature")
        return _object(_decode(parts[1]))

    def _check_dates(self, claims: Mapping[str, Any]) -> float:
        """Seconds the token stays valid. A token without an end is refused."""
        now = self._now() / 1e9
        leeway = self._options.leeway_s
        expires, begins = _date(claims, "exp"), _date(claims, "nbf")
        if expires is None or expires + leeway <= now:
            raise BadTokenError("expired")
        if begins is not None and begins - leeway > now:
            raise BadTokenError("not valid yet")
        return expires + leeway - now

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        options = self._options
        if options.issuer is not None and claims.get("iss") != options.issuer:
            raise BadTokenError("another issuer")
        audience = claims.get("aud")
        if audience is None:
            if options.audiences:
                raise BadTokenError("no audience")
            return
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(item, str) and item in options.audiences for item in named):
            raise BadTokenError("another audience")

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        candidates = (claims.get(claim) for claim in self._options.name_claims)
        name = next((text for text in candidates if isinstance(text, str) and text), None)
        if name is None or not is_user_name(name):
            raise BadTokenError("no usable user name")
        roles = [role for path in self._options.role_claims for role in _roles(claims, path)]
        return Caller(
            name,
            frozenset(roles[:ROLES_MAX]),
            Method.BEARER,
            email=_text(claims, "email"),
            given_name=_text(claims, "given_name"),
            family_name=_text(claims, "family_name"),
        )


def _decode(part: str) -> bytes:
    """Base64url without padding, in its one canonical spelling: two spellings of one token would be two
    tokens."""
    try:
        raw = part.encode("ascii")
        data = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error):
        raise BadTokenError("not base64url") from None
    if urlsafe_b64encode(data).rstrip(b"=") != raw:
        raise BadTokenError("not base64url")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise BadTokenError("not JSON") from None
    if not isinstance(value, dict):
        raise BadTokenError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7515 section 4: member names are unique, or two readers could read two tokens."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadTokenError("doubled member")
    return members


def _date(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate; None if absent. RFC 7519 section 2."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise BadTokenError(f"{name} is no date")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if is_user_name(value) else None


def _roles(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    value = _walk(claims, path)
    if isinstance(value, str):
        # RFC 8693 section 4.2: a scope is a list separated by blanks; any other single text is one role.
        yield from value.split() if path in {"scope", "scp"} else [value]
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def _walk(value: Any, path: str) -> Any:
    """The value under a dotted path; a member whose own name holds the dots is found before a nested one."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    for name, inner in value.items():
        if path.startswith(f"{name}."):
            found = _walk(inner, path[len(name) + 1 :])
            if found is not None:
                return found
    return None
