"""Authentication: the one place where credentials are read; interfaces never parse any themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn

from retain.api.http.external import client_address
from retain.api.http.message import Request
from retain.api.identity.caller import BadTokenError, Caller, Method, Unauthenticated
from retain.api.identity.memory import Memory
from retain.api.identity.options import IdentityOptions, User
from retain.api.identity.passwords import Passwords, basic_challenge, parse_basic
from retain.api.identity.proxy import proxied_caller
from retain.api.identity.throttle import LoginThrottle, Throttle

if TYPE_CHECKING:
    from retain.api.identity.tokens import Tokens

log = logging.getLogger("retain.identity")

_ANONYMOUS = Caller("anonymous", frozenset(), Method.ANONYMOUS)


class Identity:
    """Recognises callers by a trusted proxy's headers, by HTTP Basic, or by a signed token.

    Args:
        options: The operator's settings.
        now: Nanoseconds since the epoch, for tokens' dates.
        entropy: Random bytes for the key under which credentials are remembered.
        read_keys: Reads the key set instead of the configured file or URL; called in a thread.
        users: Users by name, always current, instead of those of `options`.
        verify: Checks `(argon2id hash, password)`; called in a thread.
        throttle: Slows failed logins, if several processes share one.

    """

    def __init__(
        self,
        options: IdentityOptions,
        *,
        now: Callable[[], int],
        entropy: Callable[[int], bytes] = os.urandom,
        read_keys: Callable[[], bytes] | None = None,
        users: Mapping[str, User] | None = None,
        verify: Callable[[str, str], bool] | None = None,
        throttle: LoginThrottle | None = None,
    ) -> None:
        self._options = options
        self._users = users if users is not None else {user.name: user for user in options.users}
        memory = Memory(options.remember_s, entropy)
        self._passwords = Passwords(
            self._users, throttle or Throttle(options.throttle), memory, verify=verify
        )
        self._tokens = _tokens(options, memory, now, read_keys)

    async def authenticate(self, request: Request) -> Caller:
        """Return the caller of `request`.

        Raises:
            Unauthenticated: No credentials, or wrong ones; its headers hold the challenges.
            TooManyAttempts: Failed logins from there, or for that name, are slowed.
            IdentityUnavailable: A token cannot be verified because its keys cannot be read.
        """
        if self._options.proxy is not None:
            caller = proxied_caller(request, self._options.proxy)
            if caller is not None:
                return caller
        credentials = request.header_values("Authorization")
        if not credentials:
            if self._options.anonymous:
                return _ANONYMOUS
            raise Unauthenticated("credentials needed", self._challenges())
        if len(credentials) != 1:
            raise Unauthenticated("more than one Authorization header", self._challenges())
        scheme, _, value = credentials[0].partition(" ")
        match scheme.lower():
            case "basic":
                return await self._basic(request, value.strip(" "))
            case "bearer" if self._tokens is not None:
                return await self._bearer(self._tokens, value.strip(" "))
            case _:
                raise Unauthenticated("this authentication scheme is not offered", self._challenges())

    def challenge(self, message: str) -> Unauthenticated:
        """Return the error, to be raised, for an action that anonymous callers may not do."""
        return Unauthenticated(message, self._challenges())

    async def basic(self, request: Request) -> Caller:
        """Authenticate as `authenticate` does, but by HTTP Basic only; other credentials are ignored."""
        if not (request.header("Authorization") or "").lower().startswith("basic "):
            raise Unauthenticated("credentials needed", [basic_challenge(self._options.realm)])
        return await self.authenticate(request)

    async def login(self, name: str, password: str, request: Request) -> Caller | None:
        """Return the user that `name` and `password`, typed into a form, belong to; None if they are wrong.

        Raises:
            TooManyAttempts: Failed logins from there, or for that name, are slowed.
        """
        address = client_address(request, self._options.trusted_proxies)
        return await self._passwords.authenticate(name, password, address)

    @property
    def has_users(self) -> bool:
        """Whether anybody can log in with a name and a password."""
        return bool(self._users)

    def is_known(self, caller: Caller) -> bool:
        """Return whether who logged in with a password is still a user, with that one and the same roles."""
        user = self._users.get(caller.name)
        return caller.method is not Method.BASIC or (
            user is not None and (user.roles, user.password_hash) == (caller.roles, caller.verified_by)
        )

    @property
    def has_tokens(self) -> bool:
        """Whether bearer tokens are accepted."""
        return self._tokens is not None

    async def token_login(self, token: str) -> tuple[Caller, float] | None:
        """Return the user of a bearer token typed into a form, and for how many seconds it is valid.

        None if the token is not valid.

        Raises:
            IdentityUnavailable: The keys to verify it with cannot be read.
        """
        if self._tokens is None:
            return None
        try:
            return await self._tokens.judge(token)
        except BadTokenError as refusal:
            log.info("token refused", extra={"facts": {"reason": str(refusal)}})
            return None

    def named_by_proxy(self, request: Request) -> Caller | None:
        """Return the user that a trusted proxy names with this request; None if none does.

        Raises:
            Unauthenticated: The proxy's headers do not name one single user.
        """
        return None if self._options.proxy is None else proxied_caller(request, self._options.proxy)

    async def _basic(self, request: Request, encoded: str) -> Caller:
        known = self._passwords.recognized(encoded)
        if known is not None:
            return known
        pair = parse_basic(encoded)
        if pair is None:
            raise Unauthenticated("malformed Basic credentials", self._challenges())
        caller = await self.login(*pair, request)
        if caller is None:
            raise Unauthenticated("wrong user name or password", self._challenges())
        self._passwords.recognize(encoded, *pair)
        return caller

    async def _bearer(self, tokens: Tokens, token: str) -> Caller:
        try:
            return await tokens.authenticate(token)
        except BadTokenError as refusal:
            log.info("token refused", extra={"facts": {"reason": str(refusal)}})
            self._refuse_token()

    def _refuse_token(self) -> NoReturn:
        challenge = f'Bearer realm="{self._options.realm}", error="invalid_token"'
        raise Unauthenticated("invalid token", [("WWW-Authenticate", challenge)])

    def _challenges(self) -> list[tuple[str, str]]:
        """Return the challenges of a 401.

        Basic is offered even when no method is, because a 401 without a challenge is invalid (RFC 9110).
        """
        challenges: list[tuple[str, str]] = []
        if self._users or self._tokens is None:
            challenges.append(basic_challenge(self._options.realm))
        if self._tokens is not None:
            challenges.append(("WWW-Authenticate", f'Bearer realm="{self._options.realm}"'))
        return challenges


def _tokens(
    options: IdentityOptions,
    memory: Memory,
    now: Callable[[], int],
    read_keys: Callable[[], bytes] | None,
) -> Tokens | None:
    if options.bearer is None:
        return None
    # few servers need PyJWT and, through it, cryptography's X.509
    from retain.api.identity.keys import KeyRing
    from retain.api.identity.tokens import Tokens

    return Tokens(options.bearer, KeyRing(options.bearer, read_keys), memory, now)
