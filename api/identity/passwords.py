"""HTTP Basic (RFC 7617) against configured users with argon2id hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Callable, Mapping

import trio
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from retain.api.identity.caller import Caller, Method, TooManyAttempts
from retain.api.identity.memory import Memory
from retain.api.identity.options import User
from retain.api.identity.throttle import LoginThrottle

log = logging.getLogger("retain.identity")

CREDENTIAL_BYTES_MAX = 4096
"""Longest name and password together, decoded."""

VERIFIERS = 2
"""Argon2 threads at once. Each holds 64 MiB for some 50 ms; more of them would only slow one another down."""

WAITING_MAX = 64
"""Logins waiting for a verifier; further ones are refused, so that a flood of logins cannot fill the memory.
"""

RECOGNIZED_MAX = 10_000
"""Authorization headers recognized without parsing; beyond that the oldest is forgotten. Less than 3 MiB."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""RFC 7617 section 2: control characters are not allowed in a name or password."""

MEMORY_KIB = 65536
PASSES = 3
LANES = 4
"""RFC 9106 section 4, second recommended option."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of `password` in PHC form, under RFC 9106's second recommended option."""
    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES).hash(password)


def parse_basic(encoded: str) -> tuple[str, str] | None:
    """Return (name, password) from the credentials of an Authorization header; None if malformed.

    Clients that ignore the charset of the challenge send ISO-8859-1 (RFC 7617 section 3): what is not UTF-8
    is read as that.
    """
    try:
        raw = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    name, colon, password = text.partition(":")
    if not colon or len(raw) > CREDENTIAL_BYTES_MAX:
        return None
    if _CONTROL.search(text):
        return None
    return name, password


class RecognizedHeaders:
    """Finds the caller of a Basic credential by a keyed hash of its encoded form, without decoding it.

    An entry only points to a verified credential in `Memory`, which alone judges whether that is still
    remembered. It is valid while `users` has the very object that the credential was verified against: any
    change of the user ends it.

    Args:
        users: Users by name, always current.
        memory: The verified credentials.
        key: The key of the hash, of 32 random bytes.

    """

    def __init__(self, users: Mapping[str, User], memory: Memory, key: bytes) -> None:
        self._users = users
        self._memory = memory
        self._hash = hashlib.blake2b(digest_size=16, key=key)
        self._entries: dict[bytes, tuple[User, bytes]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, encoded: str) -> Caller | None:
        """Return the caller of a credential that was verified in this form; None if it must be parsed."""
        hashed = self._hashed(encoded)
        entry = self._entries.get(hashed)
        if entry is None:
            return None
        user, digest = entry
        caller = self._memory.recall(digest) if self._users.get(user.name) is user else None
        if caller is None:
            del self._entries[hashed]
        return caller

    def add(self, encoded: str, user: User, digest: bytes) -> None:
        """Recognize `encoded` as the credential of `user` that is remembered under `digest`."""
        if len(self._entries) >= RECOGNIZED_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[self._hashed(encoded)] = user, digest

    def _hashed(self, encoded: str) -> bytes:
        state = self._hash.copy()
        state.update(encoded.encode("utf-8", "surrogatepass"))
        return state.digest()


class _Check:
    """A verification under way, and its outcome: a verdict, a refusal, or neither if it was cancelled."""

    __slots__ = ("caller", "done", "judged", "refused")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.judged = False
        self.caller: Caller | None = None
        self.refused: int | None = None


class Passwords:
    """Verifies names and passwords.

    A correct credential is cached (`Memory`); concurrent requests with the same new credential share one
    verification. An unknown name costs the same work as a wrong password.
    """

    def __init__(
        self,
        users: Mapping[str, User],
        throttle: LoginThrottle,
        memory: Memory,
        *,
        verify: Callable[[str, str], bool] | None = None,
    ) -> None:
        self._users = users
        self._throttle = throttle
        self._memory = memory
        self._recognized = RecognizedHeaders(users, memory, memory.digest(b"recognized headers"))
        self._verify = verify or verify_hash
        self._limiter = trio.CapacityLimiter(VERIFIERS)
        self._running: dict[bytes, _Check] = {}

    def recognized(self, encoded: str) -> Caller | None:
        """Return the caller of an encoded credential that needs neither parsing nor verification again."""
        return self._recognized.find(encoded)

    def recognize(self, encoded: str, name: str, password: str) -> None:
        """Recognize `encoded` from now on, if what it contains is remembered as verified."""
        user = self._users.get(name)
        digest = self._digest(user, name, password)
        if user is not None and self._memory.recall(digest) is not None:
            self._recognized.add(encoded, user, digest)

    def _digest(self, user: User | None, name: str, password: str) -> bytes:
        # The key includes hash and roles, so that no entry survives a user's removal or a change of either.
        stored = "" if user is None else "\0".join([user.password_hash, *sorted(user.roles)])
        return self._memory.digest(f"basic\0{name}\0{password}\0{stored}".encode())

    async def authenticate(self, name: str, password: str, address: str) -> Caller | None:
        """Return the user, or None if name or password are wrong.

        Raises:
            TooManyAttempts: Failed logins are slowed, or too many wait already.
        """
        digest = self._digest(self._users.get(name), name, password)
        while True:
            known = self._memory.recall(digest)
            if known is not None:
                return known
            running = self._running.get(digest)
            if running is None:
                break
            await running.done.wait()
            if running.refused is not None:
                raise TooManyAttempts(running.refused)
            if running.judged:
                # The refusal applies to all requests with the same credential. One by one, the last would
                # wait for hours.
                return running.caller
        check = self._running[digest] = _Check()
        try:
            check.caller = await self._check(name, password, address)
            check.judged = True
        except TooManyAttempts as refusal:
            check.refused = refusal.retry_after
            raise
        else:
            return check.caller
        finally:
            del self._running[digest]
            check.done.set()

    async def _check(self, name: str, password: str, address: str) -> Caller | None:
        await self._throttle.turn(address, name)
        if self._limiter.statistics().tasks_waiting >= WAITING_MAX:
            raise TooManyAttempts(1)
        user = self._users.get(name)
        decoy = next((known.password_hash for known in self._users.values()), _DECOY)
        stored = decoy if user is None else user.password_hash
        right = await trio.to_thread.run_sync(self._verify, stored, password, limiter=self._limiter)
        if user is None or not right:
            # The address, so that the guesser can be blocked. The name only if the configuration has it: any
            # other may be a password typed into the wrong field, and is arbitrary text of a client.
            log.warning("failed login", extra={"facts": {"user": user and user.name, "address": address}})
            return None
        self._throttle.succeeded(address, name)
        caller = Caller(user.name, user.roles, Method.BASIC, verified_by=stored)
        self._memory.remember(self._digest(user, name, password), caller)
        return caller


def verify_hash(stored: str, password: str) -> bool:
    """Return whether `password` matches the argon2id hash `stored`; False also for a damaged hash."""
    try:
        return PasswordHasher().verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False


_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""A hash that no password matches, for unknown names: trying one costs as much as trying a known name."""


def basic_challenge(realm: str) -> tuple[str, str]:
    """Return the header that requests a name and a password."""
    return "WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"'
