"""The tokens domain: issued tokens with their scope, period and issuer, and revocations.

It never contains the text of a token, which is shown once, when it is created (`api.admin.tokens`).
"""

from __future__ import annotations

from retain.engine.tokens.commands import IssueTokens, RecordKeyRotation, RevokeTokens, TokenGrant
from retain.engine.tokens.queries import list_tokens
from retain.engine.tokens.record import TokenRecord
from retain.engine.tokens.slice import TokensSlice

__all__ = [
    "IssueTokens",
    "RecordKeyRotation",
    "RevokeTokens",
    "TokenGrant",
    "TokenRecord",
    "TokensSlice",
    "list_tokens",
]
