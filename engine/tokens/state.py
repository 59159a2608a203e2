"""The tokens' slice of the state.

It reads the blobs' slice, whose stored policies its decisions change by events.
"""

from __future__ import annotations

from collections.abc import Iterator

from retain.engine.blobs.state import BlobsState
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import SharedState
from retain.engine.core.event import Stamp
from retain.engine.tokens.events import KeyRotated, TokenExpired, TokenIssued, TokenRevoked
from retain.engine.tokens.record import TokenRecord


class TokensState:
    """All issued tokens that have not expired.

    Attributes:
        shared: Deadlines, shared with the other slices.
        blobs: The containers that stored policies belong to; never changed here.
        records: Token id → record.

    """

    def __init__(self, shared: SharedState, blobs: BlobsState) -> None:
        self.shared = shared
        self.blobs = blobs
        self.records: dict[bytes, TokenRecord] = {}

    def of_account(self, account: str) -> Iterator[TokenRecord]:
        """Yield the records of an account in order of issue."""
        return (record for record in self.records.values() if record.account == account)

    def issued(self, event: TokenIssued, _stamp: Stamp) -> None:
        """Apply `TokenIssued`."""
        old = self.records.pop(event.resource, None)  # in order of the last full statement
        if old is not None:
            self.shared.deadlines.disarm(old.expiry, DeadlineKind.TOKEN, old.token_id)
        self.records[event.resource] = event.record()
        self.shared.deadlines.arm(event.expiry, DeadlineKind.TOKEN, event.resource)

    def revoked(self, event: TokenRevoked, _stamp: Stamp) -> None:
        """Apply `TokenRevoked`."""
        record = self.records.get(event.resource)
        if record is not None:
            self.records[event.resource] = record._replace(revoked=event.revoked)

    def expired(self, event: TokenExpired, _stamp: Stamp) -> None:
        """Apply `TokenExpired`."""
        record = self.records.pop(event.resource, None)
        if record is not None:
            self.shared.deadlines.disarm(record.expiry, DeadlineKind.TOKEN, record.token_id)

    def key_rotated(self, event: KeyRotated, _stamp: Stamp) -> None:
        """Apply `KeyRotated`."""
        for token_id, record in self.records.items():
            if record.account == event.account and record.key == event.key and record.revoked is None:
                self.records[token_id] = record._replace(revoked=event.rotated)
