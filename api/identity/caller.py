"""The authenticated caller, and the errors of authentication."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto


class Method(Enum):
    """The method by which a caller was recognised."""

    BASIC = auto()
    BEARER = auto()
    PROXY = auto()
    ANONYMOUS = auto()


@dataclass(frozen=True, slots=True)
class Caller:
    """A recognised caller. The same name by different methods is the same user.

    Attributes:
        name: The user's name: at least one character, no control characters, at most 255 bytes of UTF-8.
        roles: Role names, exactly as configured or claimed; compared with case.
        method: How the caller was recognised.
        email: Mail address where the method knows one.
        given_name: First name where the method knows one.
        family_name: Last name where the method knows one.
        until: The moment from which the credential is no longer valid, nanoseconds since the epoch; None
            where it has no end.
        verified_by: The hash that a password was verified against; empty for other methods.

    """

    name: str
    roles: frozenset[str]
    method: Method
    email: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    until: int | None = field(default=None, compare=False)
    verified_by: str = field(default="", compare=False, repr=False)

    @property
    def actor(self) -> str:
        """The caller as recorded in an event's details: `user:<name>` or `anonymous`."""
        return "anonymous" if self.method is Method.ANONYMOUS else f"user:{self.name}"


class IdentityError(Exception):
    """The caller was not authenticated; `status` and `headers` belong into every interface's response.

    ::

        IdentityError
        ├── Unauthenticated       401  no credentials, or wrong ones; with the challenges
        ├── TooManyAttempts 429 failed logins from that address, or for that name, are slowed
        └── IdentityUnavailable   503  the keys that tokens are signed with are not available

    The last two carry Retry-After. Messages are constant for all credentials: they never distinguish a wrong
    name from a wrong password.
    """

    status = 401

    def __init__(self, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.headers = list(headers)


class Unauthenticated(IdentityError):
    """No credentials or wrong ones (RFC 9110 section 15.5.2)."""


class TooManyAttempts(IdentityError):
    """The next login from that address or for that name may be tried after `retry_after` seconds."""

    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "too many failed logins, try again later", [("Retry-After", str(max(1, retry_after)))]
        )
        self.retry_after = retry_after


class IdentityUnavailable(IdentityError):
    """The signing keys could not be read, so no token can be verified."""

    status = 503

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "tokens cannot be verified at the moment", [("Retry-After", str(max(1, retry_after)))]
        )
        self.retry_after = retry_after


class BadTokenError(Exception):
    """A token is not valid. The text is for the log; the client gets only `invalid_token`."""


NAME_BYTES_MAX = 255
"""Longest user name, in bytes of UTF-8: the bound on every name in Retain."""


def is_user_name(text: object) -> bool:
    """Return whether `text` may be a user's name (see `Caller.name`)."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= NAME_BYTES_MAX
        and text.isprintable()
        and text == text.strip()
        and len(text.encode("utf-8", "replace")) <= NAME_BYTES_MAX
    )
