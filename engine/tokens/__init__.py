"""Tokens: who issued what scope for when, and what was revoked. The token's text is never here (issue: shown
once).
"""

from engine.tokens.commands import Grant, IssueTokens, RecordKeyRotation, RevokeTokens
from engine.tokens.queries import list_tokens
from engine.tokens.record import TokenRecord
from engine.tokens.slice import TokensSlice

__all__ = [
    "Grant",
    "IssueTokens",
    "RecordKeyRotation",
    "RevokeTokens",
    "TokenRecord",
    "TokensSlice",
    "list_tokens",
]
