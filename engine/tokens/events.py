"""The events of tokens.

The codes are in `engine/wire.py`. No event contains a token's text or signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from retain.engine.core.event import Event, Interface, fact
from retain.engine.core.role import Data, Locator, OnHold, RecordRole
from retain.engine.tokens.record import TokenRecord
from retain.journal import Verb

TOKEN = "token"  # noqa: S105, a word in a locator
"""The first word of a token's locator; its id follows."""


@fact
class TokenEvent(Event):
    """An event of a token; `resource` is its id."""

    VERB: ClassVar[Verb] = Verb.TOKEN
    ON_HOLD: ClassVar[OnHold] = OnHold.HARMLESS
    VALUES: ClassVar[str] = ""
    DATA: ClassVar[Data] = Data.NONE
    INTERFACE: ClassVar[Interface] = Interface.BLOBS

    account: str

    def locator(self) -> Locator:
        """Return the locator of the token."""
        return (TOKEN, self.resource)

    @classmethod
    def subject(cls, details: Mapping[str, Any]) -> str:
        """Return `account`, or `account/container` for a token that opens only that."""
        return "/".join(details[key] for key in ("account", "container") if details.get(key))


@fact
class TokenIssued(TokenEvent):
    """A token was issued; the fields are those of its record, `actor` is the issuer, also when restated."""

    ROLE: ClassVar[RecordRole] = RecordRole.WHOLE

    container: str | None
    permissions: str
    start: int
    expiry: int
    policy_id: str | None
    key: int
    issued: int
    revoked: int | None = None

    def record(self) -> TokenRecord:
        """Return what live state keeps of the token."""
        return TokenRecord(
            token_id=self.resource,
            account=self.account,
            container=self.container,
            permissions=self.permissions,
            start=self.start,
            expiry=self.expiry,
            policy_id=self.policy_id,
            key=self.key,
            issuer=self.actor,
            issued=self.issued,
            revoked=self.revoked,
        )


@fact
class TokenRevoked(TokenEvent):
    """A container token ended before its expiry.

    Attributes:
        revoked: When, nanoseconds since the epoch.

    """

    container: str | None
    policy_id: str | None
    revoked: int


@fact
class TokenExpired(TokenEvent):
    """A token expired, and its record was removed from live state."""

    ROLE: ClassVar[RecordRole] = RecordRole.END

    container: str | None


@fact
class KeyRotated(TokenEvent):
    """An account key was replaced, which revoked every token that it signed.

    `resource` is the rotation's own. No live entry refers to it: tokens issued before have older records,
    which are restated, revoked, before it is erased.

    Attributes:
        key: The number of the key, 1 or 2.
        rotated: When, nanoseconds since the epoch.
    """

    ROLE: ClassVar[RecordRole] = RecordRole.NONE

    key: int
    rotated: int
