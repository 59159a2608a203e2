"""Reading tokens: pure functions over the state."""

from __future__ import annotations

from retain.engine.tokens.record import TokenRecord
from retain.engine.tokens.state import TokensState


def list_tokens(tokens: TokensState, account: str, now: int) -> tuple[TokenRecord, ...]:
    """Return the tokens of an account that have not expired, revoked ones included, in order of issue."""
    return tuple(record for record in tokens.of_account(account) if now < record.expiry)
