"""An issued token, as live state keeps it."""

from __future__ import annotations

from typing import NamedTuple


class TokenRecord(NamedTuple):
    """An issued token, without its text.

    Attributes:
        token_id: 16 random bytes, also the id of its records.
        account: The tenant's account.
        container: The container it opens, None for an account token.
        permissions: Permission letters.
        start: From when, nanoseconds since the epoch.
        expiry: Until when; the record is dropped then.
        policy_id: The stored access policy that the token names; None for an account token, which cannot name
            one.
        key: Which of the account's two keys signed it, 1 or 2.
        issuer: The actor who issued it.
        issued: When, nanoseconds since the epoch.
        revoked: When it was made invalid before its expiry, else None.

    """

    token_id: bytes
    account: str
    container: str | None
    permissions: str
    start: int
    expiry: int
    policy_id: str | None
    key: int
    issuer: str
    issued: int
    revoked: int | None = None
