"""Tokens: who issued what scope for when, and what was revoked. The token's text is never here (it is shown
once).
"""

from retain.engine.tokens.commands import Grant, IssueTokens, RecordKeyRotation, RevokeTokens
from retain.engine.tokens.queries import list_tokens
from retain.engine.tokens.record import TokenRecord
from retain.engine.tokens.slice import TokensSlice

__all__ = [
    "Grant",
    "IssueTokens",
    "RecordKeyRotation",
    "RevokeTokens",
    "TokenRecord",
    "TokensSlice",
    "list_tokens",
]
