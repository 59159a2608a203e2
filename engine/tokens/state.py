"""The tokens' slice of the state. It reads the blobs' slice, whose stored policies its decisions change by
events.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.blobs.container_events import PoliciesChanged
from engine.blobs.state import BlobsState
from engine.body import Inline, OnDisk
from engine.command import KEEPER, Command
from engine.deadlines import Kind
from engine.event import Cause, Event, Stamp
from engine.records import Locator
from engine.slice import Apply, Decide, Expire, Ground, Restated, Restater
from engine.tokens import decide
from engine.tokens.events import TOKEN, KeyRotated, TokenExpired, TokenIssued, TokenRevoked
from engine.tokens.record import TokenRecord


class TokensSlice:
    """All issued tokens that have not expired.

    Attributes:
        ground: Deadlines, shared with the other slices.
        blobs: The containers that stored policies belong to; never changed here.
        records: Token id → record.
    """

    name = "tokens"

    def __init__(self, ground: Ground, blobs: BlobsState) -> None:
        self.ground = ground
        self.blobs = blobs
        self.records: dict[bytes, TokenRecord] = {}

    def handlers(self) -> Mapping[type[Event], Apply]:
        """See :class:`engine.slice.Slice`."""
        return {
            TokenIssued: self._issued,
            TokenRevoked: self._revoked,
            TokenExpired: self._expired,
            KeyRotated: self._key_rotated,
        }

    def deciders(self) -> Mapping[type[Command[Any]], Decide]:
        """See :class:`engine.slice.Slice`."""
        return decide.deciders(self)

    def expirers(self) -> Mapping[Kind, Expire]:
        """See :class:`engine.slice.Slice`."""
        return {Kind.TOKEN: self._expire}

    def of_account(self, account: str) -> Iterator[TokenRecord]:
        """The records of an account in order of issue."""
        return (record for record in self.records.values() if record.account == account)

    def _issued(self, event: TokenIssued, _stamp: Stamp) -> None:
        old = self.records.pop(event.resource, None)  # in order of the last full statement
        if old is not None:
            self.ground.deadlines.disarm(old.expiry, Kind.TOKEN, old.token_id)
        self.records[event.resource] = event.record()
        self.ground.deadlines.arm(event.expiry, Kind.TOKEN, event.resource)

    def _revoked(self, event: TokenRevoked, _stamp: Stamp) -> None:
        record = self.records.get(event.resource)
        if record is not None:
            self.records[event.resource] = record._replace(revoked=event.revoked)

    def _expired(self, event: TokenExpired, _stamp: Stamp) -> None:
        record = self.records.pop(event.resource, None)
        if record is not None:
            self.ground.deadlines.disarm(record.expiry, Kind.TOKEN, record.token_id)

    def _key_rotated(self, event: KeyRotated, _stamp: Stamp) -> None:
        for token_id, record in self.records.items():
            if record.account == event.account and record.key == event.key and record.revoked is None:
                self.records[token_id] = record._replace(revoked=event.rotated)

    def _expire(self, key: Any, now: int) -> Sequence[Event]:
        record = self.records[key]
        ended: list[Event] = [
            TokenExpired(
                resource=record.token_id,
                actor=KEEPER,
                cause=Cause.EXPIRED,
                account=record.account,
                container=record.container,
            )
        ]
        container = None if record.container is None else self.blobs.find(record.account, record.container)
        if container is not None and any(
            policy.policy_id == record.policy_id and policy.expiry is not None and policy.expiry <= now
            for policy in container.entry.policies
        ):
            assert record.policy_id is not None
            ended.append(
                PoliciesChanged(
                    resource=container.entry.resource,
                    actor=KEEPER,
                    cause=Cause.EXPIRED,
                    account=container.account,
                    container=container.name,
                    modified=self.blobs.next_modified(now),
                    removed=(record.policy_id,),
                )
            )
        return ended

    def restaters(self) -> Mapping[str, Restater]:
        """See :meth:`engine.slice.Slice.restaters`."""
        return {TOKEN: TokenRestater(self)}

    def resources(self) -> Iterable[bytes]:
        """See :meth:`engine.slice.Slice.resources`."""
        return self.records

    def place(self, seq: int, address: int) -> None:
        """See :class:`engine.slice.Slice`. No token has content."""

    def freeze(self) -> Callable[[], Iterator[Any]]:
        """See :class:`engine.slice.Slice`."""
        records = list(self.records.values())
        return lambda: (list(record) for record in records)

    def load(self, rows: Iterable[Any]) -> None:
        """See :class:`engine.slice.Slice`."""
        for row in rows:
            record = TokenRecord(*row)
            self.records[record.token_id] = record
            self.ground.deadlines.arm(record.expiry, Kind.TOKEN, record.token_id)

    def check(self) -> None:
        """See :class:`engine.slice.Slice`."""
        armed = {(record.expiry, int(Kind.TOKEN), token_id) for token_id, record in self.records.items()}
        assert armed == {entry for entry in self.ground.deadlines.entries() if entry[1] == Kind.TOKEN}


class TokenRestater(Restater):
    """A token as it is, revoked or not."""

    def __init__(self, tokens: TokensSlice) -> None:
        self._tokens = tokens

    def apart(self, locator: Locator, resource: bytes) -> Collection[int]:
        """None."""
        return ()

    def bodies(self, locator: Locator, resource: bytes, before: int) -> Sequence[OnDisk]:
        """None."""
        return ()

    def restate(
        self, locator: Locator, resource: bytes, before: int, bodies: Mapping[int, Inline]
    ) -> Restated:
        """See :meth:`engine.slice.Restater.restate`."""
        record = self._tokens.records.get(resource)
        if record is None:
            return Restated((), False)
        fields = record._asdict()
        resource, actor = fields.pop("token_id"), fields.pop("issuer")
        event = TokenIssued(resource=resource, actor=actor, cause=Cause.RESTATED, **fields)
        return Restated((event,), False)


def list_tokens(tokens: TokensSlice, account: str, now: int) -> tuple[TokenRecord, ...]:
    """The tokens of an account that have not expired, revoked ones included, in order of issue."""
    return tuple(record for record in tokens.of_account(account) if now < record.expiry)
