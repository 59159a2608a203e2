"""Tokens: who issued what scope for when, and what was revoked. The token's text is never here (issue: shown
once).
"""

from engine.tokens.commands import Grant, IssueTokens, RecordKeyRotation, RevokeTokens
from engine.tokens.record import TokenRecord
from engine.tokens.state import TokensSlice, list_tokens

__all__ = [
    "Grant",
    "IssueTokens",
    "RecordKeyRotation",
    "RevokeTokens",
    "TokenRecord",
    "TokensSlice",
    "list_tokens",
]
