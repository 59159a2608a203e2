"""The commands on tokens.

==================  =================  =============================================================
class               reason             when
==================  =================  =============================================================
NotFound            container          a grant names a container that is not there
NotFound            token              RevokeTokens names a token that is not there or has expired
Conflict            policy-limit       the container has five other stored policies already
Conflict            not-revocable      RevokeTokens names an account token: only its key revokes it
Invalid             token-times        a grant ends before it starts, or has ended already
==================  =================  =============================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from retain.engine.core.command import Command
from retain.engine.core.typed import Resource
from retain.engine.tokens.record import TokenRecord


class TokenGrant(NamedTuple):
    """A token to be issued.

    Attributes:
        token_id: 16 random bytes.
        container: The container, None for an account token.
        permissions: Permission letters.
        start: From when, nanoseconds since the epoch.
        expiry: Until when.
        policy_id: A fresh id for the stored policy that a container token will name; None for an account
            token.
        key: Which of the account's keys signs it, 1 or 2.

    """

    token_id: bytes
    container: str | None
    permissions: str
    start: int
    expiry: int
    policy_id: str | None
    key: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueTokens(Command[tuple[TokenRecord, ...]]):
    """Record tokens and create their stored policies, which hold start, expiry and permissions; all or none.

    Attributes:
        account: The tenant's account.
        grants: The tokens to issue.
        revoke_existing: Revoke all earlier container tokens of the account at the same time.
    """

    account: str
    grants: tuple[TokenGrant, ...]
    revoke_existing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeTokens(Command[tuple[TokenRecord, ...]]):
    """Revoke container tokens by removing the stored policies that they name. Result: the revoked ones.

    Attributes:
        account: The tenant's account.
        token_ids: The tokens; None for all of the account.

    """

    FREES_SPACE: ClassVar[bool] = True

    account: str
    token_ids: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordKeyRotation(Command[int]):
    """An account key was replaced: every token that it signed has ended. Answers how many that were.

    Attributes:
        account: The tenant's account.
        key: The number of the key, 1 or 2.
        resource: 16 random bytes.

    """

    FREES_SPACE: ClassVar[bool] = True

    account: str
    key: int
    resource: Resource
