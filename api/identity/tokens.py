"""Bearer tokens: JSON Web Tokens (RFC 7519) under the best current practice of RFC 8725.

The signature is verified first, by a key whose algorithm is fixed; only then are the token's claims used.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retain.api.identity.caller import BadTokenError, Caller, IdentityUnavailable, Method, is_user_name
from retain.api.identity.keys import KeyRing, KeySetError
from retain.api.identity.memory import Memory
from retain.api.identity.options import BearerOptions

TOKEN_BYTES_MAX = 16_384
ROLES_MAX = 1_000

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""JSON can express these, UTF-8 cannot: an answer that names such a role could not be written."""


class Tokens:
    """Verifies tokens.

    Args:
        options: The rules for tokens.
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
        """Return the token's user.

        Raises:
            BadTokenError: It is malformed, wrongly signed, not valid now, or not meant for this server.
            IdentityUnavailable: There is no key set to verify it with.
        """
        digest = self._memory.digest(b"bearer\0" + token.encode())
        known = self._memory.recall(digest)
        if known is not None:
            return known
        caller, valid_s = await self.judge(token)
        self._memory.remember(digest, caller, valid_s)
        return caller

    async def judge(self, token: str) -> tuple[Caller, float]:
        """Return the token's user, and for how many seconds it remains valid.

        Raises:
            BadTokenError: It is malformed, wrongly signed, not valid now, or not meant for this server.
            IdentityUnavailable: There is no key set to verify it with.
        """
        claims = await self._verified(token)
        valid_s = self._check_dates(claims)
        self._check_parties(claims)
        return self._caller(claims, until=self._now() + int(valid_s * 1e9)), valid_s

    async def _verified(self, token: str) -> dict[str, Any]:
        parts = token.split(".")
        if len(token) > TOKEN_BYTES_MAX or len(parts) != 3:
            raise BadTokenError("not three parts")
        header = _read_header(_decode(parts[0]))
        if header.algorithm not in self._algorithms:
            raise BadTokenError("algorithm not accepted")
        try:
            key = await self._ring.find(header.key_id, header.algorithm)
        except KeySetError:
            raise IdentityUnavailable(int(self._options.unknown_key_pause_s)) from None
        if key is None:
            raise BadTokenError("no key for it")
        if not key.verify(f"{parts[0]}.{parts[1]}".encode(), _decode(parts[2])):
            raise BadTokenError("wrong signature")
        return _object(_decode(parts[1]))

    def _check_dates(self, claims: Mapping[str, Any]) -> float:
        """Return the seconds for which the token stays valid. A token without an end is refused."""
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

    def _caller(self, claims: Mapping[str, Any], until: int) -> Caller:
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
            until=until,
        )


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a token: untrusted, so its types are checked first.

    Attributes:
        algorithm: `alg`.
        key_id: `kid`; None if there is none.

    """

    algorithm: str
    key_id: str | None


def _read_header(data: bytes) -> _Header:
    """Return the header that `data` holds (RFC 7515 section 4.1).

    Raises:
        BadTokenError: A member has another type, or names an extension: none is understood here.

    """
    members = _object(data)
    algorithm, key_id = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str) or not isinstance(key_id, str | None):
        raise BadTokenError("alg or kid is not a string")
    if "crit" in members or members.get("b64", True) is not True:
        raise BadTokenError("critical header not understood")
    return _Header(algorithm, key_id)


def _decode(part: str) -> bytes:
    """Return the bytes of Base64url without padding, in its one canonical spelling.

    Two spellings of one token would be two tokens.
    """
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
    """Return the members of an object; doubled names are refused (RFC 7515 section 4).

    With doubled names, two readers could read two tokens.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadTokenError("doubled member")
    return members


def _date(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate; None if absent. RFC 7519 section 2."""
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
    """Yield the roles under `path`. What is no text, or holds half a surrogate pair, names no role."""
    value = _walk(claims, path)
    if isinstance(value, str):
        # RFC 8693 section 4.2: a scope is a list separated by blanks; any other single text is one role.
        value = value.split() if path in {"scope", "scp"} else [value]
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, str) and not _LONE_SURROGATE.search(item))


def _walk(value: Any, path: str) -> Any:
    """Return the value under a dotted path; a member whose name contains the dots precedes a nested one."""
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
