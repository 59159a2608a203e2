"""The tokens domain: who issued which scope for how long, and what was revoked.

The text of a token is never here: it is shown once, when it is made (`api.admin.tokens`).
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
