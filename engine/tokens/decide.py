"""Decide commands about tokens. Reads both slices, changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from retain.engine.blobs.container_events import PoliciesChanged
from retain.engine.blobs.containers import container_facts
from retain.engine.blobs.entries import MAX_POLICIES, StoredPolicy
from retain.engine.blobs.state import required
from retain.engine.core.command import KEEPER, Command, Decision
from retain.engine.core.domain import Decide, Expiry
from retain.engine.core.errors import Conflict, Invalid, NotFound
from retain.engine.core.event import Cause, Event
from retain.engine.tokens.commands import IssueTokens, RecordKeyRotation, RevokeTokens, TokenGrant
from retain.engine.tokens.events import KeyRotated, TokenExpired, TokenIssued, TokenRevoked
from retain.engine.tokens.record import TokenRecord
from retain.engine.tokens.state import TokensState


def deciders(tokens: TokensState) -> Mapping[type[Command[Any]], Decide]:
    """Return the deciders, bound to the slice."""
    table: dict[type[Command[Any]], Callable[..., Decision[Any]]] = {
        IssueTokens: _issue,
        RevokeTokens: _revoke,
        RecordKeyRotation: _rotated,
    }
    return {kind: partial(decide, tokens) for kind, decide in table.items()}


def _issue(tokens: TokensState, command: IssueTokens, now: int) -> Decision[tuple[TokenRecord, ...]]:
    revoked = _revocable(tokens, command.account) if command.revoke_existing else []
    issued = [_issued(command, grant, now) for grant in command.grants]
    changes = _Policies(tokens, command.account)
    for record in tokens.of_account(command.account):
        if record.expiry <= now:
            changes.remove(record)
    for record in revoked:
        changes.remove(record)
    for grant in command.grants:
        if grant.container is not None:
            required(tokens.blobs, command.account, grant.container)
            changes.add(grant)
    events: list[Event] = [_ended(command, record, now) for record in revoked]
    events += changes.events(command, now)
    events += issued
    return Decision(tuple(events), tuple(event.record() for event in issued))


def _issued(command: IssueTokens, grant: TokenGrant, now: int) -> TokenIssued:
    if grant.expiry <= max(now, grant.start):
        raise Invalid("a token's expiry must be after its start, and in the future", reason="token-times")
    assert (grant.container is None) == (grant.policy_id is None)
    return TokenIssued(
        resource=grant.token_id,
        actor=command.actor,
        cause=Cause.REQUEST,
        account=command.account,
        container=grant.container,
        permissions=grant.permissions,
        start=grant.start,
        expiry=grant.expiry,
        policy_id=grant.policy_id,
        key=grant.key,
        issued=now,
    )


def _revocable(tokens: TokensState, account: str) -> list[TokenRecord]:
    return [
        record
        for record in tokens.of_account(account)
        if record.policy_id is not None and record.revoked is None
    ]


def _ended(command: Command[Any], record: TokenRecord, now: int) -> TokenRevoked:
    return TokenRevoked(
        resource=record.token_id,
        actor=command.actor,
        cause=Cause.REVOKED,
        account=record.account,
        container=record.container,
        policy_id=record.policy_id,
        revoked=now,
    )


def _revoke(tokens: TokensState, command: RevokeTokens, now: int) -> Decision[tuple[TokenRecord, ...]]:
    if command.token_ids is None:
        revoked = _revocable(tokens, command.account)
    else:
        revoked = [_named(tokens, command.account, token_id, now) for token_id in command.token_ids]
        revoked = [record for record in revoked if record.revoked is None]
    changes = _Policies(tokens, command.account)
    for record in revoked:
        changes.remove(record)
    events: list[Event] = [_ended(command, record, now) for record in revoked]
    events += changes.events(command, now)
    return Decision(tuple(events), tuple(record._replace(revoked=now) for record in revoked))


def _named(tokens: TokensState, account: str, token_id: bytes, now: int) -> TokenRecord:
    record = tokens.records.get(token_id)
    if record is None or record.account != account or record.expiry <= now:
        raise NotFound("the token does not exist or has expired", reason="token")
    if record.policy_id is None:
        raise Conflict(
            "an account token cannot be revoked alone: it ends with its expiry, or when its key is rotated",
            reason="not-revocable",
        )
    return record


def _rotated(tokens: TokensState, command: RecordKeyRotation, now: int) -> Decision[int]:
    ended = [
        record
        for record in tokens.of_account(command.account)
        if record.key == command.key and record.revoked is None
    ]
    event = KeyRotated(
        resource=command.resource,
        actor=command.actor,
        cause=Cause.REQUEST,
        account=command.account,
        key=command.key,
        rotated=now,
    )
    return Decision((event,), len(ended))


def expire(tokens: TokensState, key: Any, now: int) -> Expiry:
    """Return what ends an expired token, and the stored policy that was created for it."""
    record = tokens.records[key]
    ended: list[Event] = [
        TokenExpired(
            resource=record.token_id,
            actor=KEEPER,
            cause=Cause.EXPIRED,
            account=record.account,
            container=record.container,
        )
    ]
    container = None if record.container is None else tokens.blobs.find(record.account, record.container)
    if container is not None and any(
        policy.policy_id == record.policy_id and policy.expiry is not None and policy.expiry <= now
        for policy in container.entry.policies
    ):
        assert record.policy_id is not None
        ended.append(
            PoliciesChanged(
                **container_facts(container, KEEPER, Cause.EXPIRED),
                modified=tokens.blobs.next_modified(now),
                removed=(record.policy_id,),
            )
        )
    return Expiry(ended, len(ended))


class _Policies:
    """Which stored policies of which container go and come in one decision."""

    def __init__(self, tokens: TokensState, account: str) -> None:
        self._blobs = tokens.blobs
        self._account = account
        self._removed: dict[str, list[str]] = {}
        self._added: dict[str, list[StoredPolicy]] = {}

    def remove(self, record: TokenRecord) -> None:
        if record.container is not None and record.policy_id is not None:
            present = self._present(record.container)
            if record.policy_id in present and record.policy_id not in self._removed.get(
                record.container, ()
            ):
                self._removed.setdefault(record.container, []).append(record.policy_id)

    def add(self, grant: TokenGrant) -> None:
        assert grant.container is not None
        assert grant.policy_id is not None
        policy = StoredPolicy(grant.policy_id, grant.start, grant.expiry, grant.permissions)
        self._added.setdefault(grant.container, []).append(policy)

    def _present(self, container: str) -> set[str]:
        found = self._blobs.find(self._account, container)
        return set() if found is None else {policy.policy_id for policy in found.entry.policies}

    def events(self, command: Command[Any], now: int) -> Iterable[Event]:
        """Yield one event for each container."""
        modified = self._blobs.next_modified(now)
        for name in sorted({*self._removed, *self._added}):
            container = required(self._blobs, self._account, name)
            removed = tuple(self._removed.get(name, ()))
            added = tuple(self._added.get(name, ()))
            if len(container.entry.policies) - len(removed) + len(added) > MAX_POLICIES:
                raise Conflict(
                    f"the container {name} would have more than {MAX_POLICIES} stored access policies; revoke"
                    " tokens that are not needed, or all earlier ones in the same step (--revoke-existing)",
                    reason="policy-limit",
                    container=name,
                    limit=MAX_POLICIES,
                )
            cause = Cause.REVOKED if removed and not added else Cause.REQUEST
            yield PoliciesChanged(
                **container_facts(container, command.actor, cause),
                modified=modified,
                removed=removed,
                added=added,
            )
