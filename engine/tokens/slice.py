"""The tokens' part of the engine's state, as a `Slice`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from retain.engine.core.body import Inline
from retain.engine.core.command import Command
from retain.engine.core.deadlines import DeadlineKind
from retain.engine.core.domain import Apply, Decide, Expire, Restated, Restater
from retain.engine.core.event import Cause, Event
from retain.engine.core.role import Locator
from retain.engine.core.snapshot_table import Frozen
from retain.engine.tokens import decide
from retain.engine.tokens.events import TOKEN, KeyRotated, TokenExpired, TokenIssued, TokenRevoked
from retain.engine.tokens.record import TokenRecord
from retain.engine.tokens.state import TokensState


class TokensSlice(TokensState):
    """The tokens as `engine.core.domain.Slice`."""

    name = "tokens"

    def handlers(self) -> Mapping[type[Event], Apply]:
        return {
            TokenIssued: self.issued,
            TokenRevoked: self.revoked,
            TokenExpired: self.expired,
            KeyRotated: self.key_rotated,
        }

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        return decide.deciders(self)

    def expirers(self) -> Mapping[DeadlineKind, Expire]:
        return {DeadlineKind.TOKEN: partial(decide.expire, self)}

    def restaters(self) -> Mapping[str, Restater]:
        return {TOKEN: TokenRestater(self)}

    def resources(self) -> Iterable[bytes]:
        return self.records

    def freeze(self) -> Frozen:
        records = list(self.records.values())
        return Frozen(lambda: (list(record) for record in records))

    def load(self, rows: Iterable[Any]) -> None:
        for row in rows:
            record = TokenRecord(*row)
            self.records[record.token_id] = record
            self.shared.deadlines.arm(record.expiry, DeadlineKind.TOKEN, record.token_id)

    def check(self) -> None:
        armed = {
            (record.expiry, int(DeadlineKind.TOKEN), token_id) for token_id, record in self.records.items()
        }
        assert armed == {entry for entry in self.shared.deadlines.entries() if entry[1] == DeadlineKind.TOKEN}


class TokenRestater(Restater):
    """A token as it is, revoked or not."""

    def __init__(self, tokens: TokensState) -> None:
        self._tokens = tokens

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        record = self._tokens.records.get(resource)
        if record is None:
            return Restated((), False)
        fields = record._asdict()
        resource, actor = fields.pop("token_id"), fields.pop("issuer")
        event = TokenIssued(resource=resource, actor=actor, cause=Cause.RESTATED, **fields)
        return Restated((event,), False)
