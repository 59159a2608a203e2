"""The keys of tokens: JSON Web Key Sets (RFC 7517) from a file or a URL, and a shared secret.

A key's algorithm is fixed by the key, never by the token that names it (RFC 8725 section 3.1).
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import jwt
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from retain.api.config.checks import cannot_be_changed_underway
from retain.api.identity.options import BearerOptions

log = logging.getLogger("retain.identity")

SET_BYTES_MAX = 1 << 20
KEYS_MAX = 100
FETCH_S = 10.0
RSA_BITS_MIN = 2048
"""RFC 7518 section 3.3."""

_ALGORITHMS: dict[tuple[Any, Any], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""The accepted public keys, and the algorithms of each; a key that names no algorithm is for the first."""


class KeySetError(Exception):
    """The key set could not be read, or is not a key set."""


@dataclass(frozen=True, slots=True)
class Key:
    """One verification key.

    Attributes:
        algorithm: The only algorithm it verifies.
        id: Its `kid`; None if it has none.
        verify: `verify(signed, signature)`.

    """

    algorithm: str
    id: str | None
    verify: Callable[[bytes, bytes], bool]


def shared_key(secret: bytes) -> Key:
    """Return the HS256 key of a shared secret.

    It has no id: a token that names one is never verified with it.
    """
    return _key("HS256", None, jwt.get_algorithm_by_name("HS256").prepare_key(secret))


def read_key_set(data: bytes) -> tuple[Key, ...]:
    """Return the usable public keys of a key set; others (for encryption, of other kinds) are left out.

    Raises:
        KeySetError: Not a key set, too large, or without a single usable key.
    """
    if len(data) > SET_BYTES_MAX:
        raise KeySetError(f"longer than {SET_BYTES_MAX} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise KeySetError("not JSON") from None
    members = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(members, list):
        raise KeySetError('not a key set: there is no array "keys"')
    keys = [key for member in members[:KEYS_MAX] if (key := _read_key(member)) is not None]
    if not keys:
        raise KeySetError("no usable key: RSA of 2048 bits or more, EC, or Ed25519, for signatures")
    return tuple(keys)


def _read_key(member: Any) -> Key | None:
    if not isinstance(member, Mapping):
        return None
    kind = member.get("kty")
    curve = None if kind == "RSA" else member.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return None
    possible = _ALGORITHMS.get((kind, curve), ())
    algorithm = member.get("alg", possible[0] if possible else None)
    if algorithm not in possible or member.get("use", "sig") != "sig":
        return None
    operations = member.get("key_ops", ["verify"])
    key_id = member.get("kid")
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(key_id, str | None):
        return None
    public = {name: value for name, value in member.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        key = jwt.PyJWK.from_dict(public, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_MIN:
        return None
    return _key(algorithm, key_id, key)


def _key(algorithm: str, key_id: str | None, prepared: Any) -> Key:
    verifier = jwt.get_algorithm_by_name(algorithm)
    return Key(algorithm, key_id, lambda signed, signature: verifier.verify(signed, prepared, signature))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: only the configured address supplies a key set."""

    def redirect_request(self, *args: Any) -> None:
        return None


def fetch(url: str) -> bytes:
    """Return the bytes behind `url`, read with a bound on size and time; blocking.

    Raises:
        KeySetError: Anything but a 200 with at most `SET_BYTES_MAX` bytes.
    """
    check_url(url)
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 (see check_url)
    try:
        with opener.open(request, timeout=FETCH_S) as answer:
            data: bytes = answer.read(SET_BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        error.close()
        raise KeySetError(f"the key set's server answers {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise KeySetError(f"cannot fetch the key set: {type(error).__name__}") from None
    return data


def check_url(url: str) -> None:
    """Refuse a URL whose content could be changed in transit: https, or http to this machine only.

    Raises:
        KeySetError: Another scheme, or plain http to another machine.
    """
    if not cannot_be_changed_underway(url):
        raise KeySetError("the key set's URL must be https")


class KeyRing:
    """All keys, read again when they are old, or when a token names an unknown one.

    Args:
        options: The sources of the keys.
        read: Reads the key set's bytes, in a thread; None takes the file or URL of `options`.

    """

    def __init__(self, options: BearerOptions, read: Callable[[], bytes] | None = None) -> None:
        if options.jwks_url is not None:
            check_url(options.jwks_url)
        self._options = options
        self._shared = () if options.secret is None else (shared_key(options.secret),)
        self._read = read if read is not None else _reader(options)
        self._public: tuple[Key, ...] = ()
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = trio.Lock()

    async def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """Return the one key that may verify a token with this header; None if there is none, or several.

        Raises:
            KeySetError: No key set was ever read.
        """
        if self._read is not None and trio.current_time() - self._read_at >= self._options.refresh_s:
            await self._refresh()
        key = self._match(key_id, algorithm)
        if key is None and self._read is not None and key_id is not None:
            await self._refresh()
            key = self._match(key_id, algorithm)
        if key is None and self._read is not None and not self._public and algorithm != "HS256":
            raise KeySetError("no key set yet")
        return key

    def _match(self, key_id: str | None, algorithm: str) -> Key | None:
        pool: Iterable[Key] = self._shared if algorithm == "HS256" else self._public
        if algorithm == "HS256" and key_id is not None:
            # A shared secret has no id of its own; issuers may still put one into the header.
            key_id = None
        found = [key for key in pool if key.algorithm == algorithm and (key_id is None or key.id == key_id)]
        return found[0] if len(found) == 1 else None

    async def _refresh(self) -> None:
        """Read the set once for all that wait, at most once in `unknown_key_pause_s`.

        The old keys remain if that fails.
        """
        asked_at = trio.current_time()
        async with self._lock:
            if self._read is None or asked_at < self._tried_at + self._options.unknown_key_pause_s:
                return
            self._tried_at = trio.current_time()
            try:
                self._public = read_key_set(await trio.to_thread.run_sync(self._read, abandon_on_cancel=True))
            except KeySetError as error:
                log.warning("key set not refreshed", extra={"facts": {"reason": str(error)}})
                return
            self._read_at = trio.current_time()


def _reader(options: BearerOptions) -> Callable[[], bytes] | None:
    file, url = options.jwks_file, options.jwks_url
    if url is not None:
        return lambda: fetch(url)
    return None if file is None else partial(read_file, file)


def read_file(file: Path) -> bytes:
    """Return the bytes of `file`, reading at most one byte too many; blocking.

    Raises:
        KeySetError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(SET_BYTES_MAX + 1)
    except OSError as error:
        raise KeySetError(f"cannot read the key set: {error.strerror}") from None
