"""Issuing, revoking and ending tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from retain.engine.blobs.container_commands import DeleteContainer, SetContainerAccess
from retain.engine.blobs.container_events import PoliciesChanged
from retain.engine.blobs.entries import StoredPolicy
from retain.engine.blobs.queries import get_container
from retain.engine.core.errors import Conflict, Invalid, NotFound
from retain.engine.core.event import Cause, Stamp
from retain.engine.tokens import (
    IssueTokens,
    RecordKeyRotation,
    RevokeTokens,
    TokenGrant,
    TokenRecord,
    list_tokens,
)
from retain.journal import Verb
from tests.kit.blobs import ACCOUNT, BlobDesk
from tests.kit.slices import DAY


class TokenDesk(BlobDesk):
    def grant(self, container: str | None, days: int = 10, key: int = 1) -> TokenGrant:
        policy = None if container is None else f"policy-{self._ids}"
        permissions = "f" if container is None else "rl"
        return TokenGrant(self.fresh(), container, permissions, self.now, self.now + days * DAY, policy, key)

    def issue(self, *containers: str | None, revoke: bool = False, days: int = 10) -> tuple[TokenRecord, ...]:
        grants = tuple(self.grant(container, days) for container in containers)
        return self.do(
            IssueTokens(actor="user:operator", account=ACCOUNT, grants=grants, revoke_existing=revoke)
        )

    def policies(self, container: str = "recordings") -> list[str]:
        entry = get_container(self.state.blobs, ACCOUNT, container, self.now)
        return [policy.policy_id for policy in entry.policies]

    def tokens(self) -> tuple[TokenRecord, ...]:
        return list_tokens(self.state.tokens, ACCOUNT, self.now)


@pytest.fixture
def desk() -> Iterator[TokenDesk]:
    desk = TokenDesk()
    desk.create("recordings")
    desk.create("gim-export")
    yield desk
    desk.verify()


def test_issuing_makes_policies_that_hold_the_scope(desk: TokenDesk) -> None:
    account, recordings, exports = desk.issue(None, "recordings", "gim-export")
    assert desk.tokens() == (account, recordings, exports)
    assert account.policy_id is None
    assert recordings.policy_id is not None
    entry = get_container(desk.state.blobs, ACCOUNT, "recordings", desk.now)
    assert entry.policies == (StoredPolicy(recordings.policy_id, desk.now, desk.now + 10 * DAY, "rl"),)
    assert desk.policies("gim-export") == [exports.policy_id]
    assert recordings.issuer == "user:operator"


def test_revoking_existing_tokens_is_one_action_with_issuing(desk: TokenDesk) -> None:
    account, old, _ = desk.issue(None, "recordings", "gim-export")
    first = len(desk.history)
    new = desk.issue(None, "recordings", "gim-export", revoke=True)
    assert desk.policies() == [new[1].policy_id]
    assert desk.policies("gim-export") == [new[2].policy_id]
    by_id = {record.token_id: record for record in desk.tokens()}
    assert by_id[old.token_id].revoked == desk.now
    assert by_id[account.token_id].revoked is None
    assert {draft.verb for draft, _stamp in desk.history[first:]} == {Verb.TOKEN}


def test_revoking_reaches_containers_that_get_no_new_token(desk: TokenDesk) -> None:
    desk.issue("gim-export")
    desk.issue("recordings", revoke=True)
    assert desk.policies("gim-export") == []


def test_policies_of_others_stay(desk: TokenDesk) -> None:
    theirs = (StoredPolicy("theirs", None, None, "r"),)
    desk.do(SetContainerAccess(**desk.where(), policies=theirs, public_access=None))
    (record,) = desk.issue("recordings")
    assert desk.policies() == ["theirs", record.policy_id]
    desk.do(RevokeTokens(actor="user:operator", account=ACCOUNT))
    assert desk.policies() == ["theirs"]


def test_a_sixth_policy_is_refused_and_nothing_happens(desk: TokenDesk) -> None:
    for _ in range(5):
        desk.issue("recordings")
    before = desk.state.digest()
    with pytest.raises(Conflict) as refused:
        desk.issue(None, "gim-export", "recordings")
    assert (refused.value.reason, refused.value.data["container"]) == ("policy-limit", "recordings")
    assert desk.state.digest() == before
    desk.issue("recordings", revoke=True)
    assert len(desk.policies()) == 1


def test_expired_policies_make_room_before_any_sweep(desk: TokenDesk) -> None:
    for _ in range(5):
        desk.issue("recordings", days=1)
    desk.now += 2 * DAY
    (record,) = desk.issue("recordings")
    assert desk.policies() == [record.policy_id]


def test_one_token_can_be_revoked(desk: TokenDesk) -> None:
    first, second = desk.issue("recordings", "recordings")
    command = RevokeTokens(actor="user:operator", account=ACCOUNT, token_ids=(first.token_id,))
    assert [record.token_id for record in desk.do(command)] == [first.token_id]
    assert desk.policies() == [second.policy_id]
    assert desk.do(command) == ()


def test_a_token_is_revoked_up_to_its_end_and_not_at_it(desk: TokenDesk) -> None:
    for left in (1, 0):
        (record,) = desk.issue("recordings", days=1)
        desk.now = record.expiry - left
        command = RevokeTokens(actor="x", account=ACCOUNT, token_ids=(record.token_id,))
        if left:
            assert len(desk.do(command)) == 1
            continue
        with pytest.raises(NotFound) as refused:
            desk.do(command)
        assert refused.value.reason == "token"


def test_account_tokens_and_unknown_ones_cannot_be_revoked(desk: TokenDesk) -> None:
    (account,) = desk.issue(None)
    for token_id, error, reason in (
        (account.token_id, Conflict, "not-revocable"),
        (bytes(16), NotFound, "token"),
    ):
        with pytest.raises(error) as refused:
            desk.do(RevokeTokens(actor="x", account=ACCOUNT, token_ids=(token_id,)))
        assert refused.value.reason == reason
    with pytest.raises(NotFound):
        desk.do(RevokeTokens(actor="x", account="other", token_ids=(account.token_id,)))


def test_a_rotated_key_ends_what_it_signed(desk: TokenDesk) -> None:
    grants = (desk.grant(None, key=1), desk.grant("recordings", key=2))
    desk.do(IssueTokens(actor="x", account=ACCOUNT, grants=grants))
    rotation = RecordKeyRotation(actor="x", account=ACCOUNT, key=1, resource=desk.fresh())
    assert desk.do(rotation) == 1
    assert [record.revoked for record in desk.tokens()] == [desk.now, None]


def test_expiry_takes_record_and_policy(desk: TokenDesk) -> None:
    desk.issue(None, "recordings", "recordings", days=1)
    desk.issue("recordings", days=2)
    desk.now += DAY
    assert len(desk.tokens()) == 1
    first = len(desk.history)
    desk.sweep()
    assert {event.cause for event in desk.events(first)} == {Cause.EXPIRED}
    assert sum(isinstance(event, PoliciesChanged) for event in desk.events(first)) == 2
    assert len(desk.policies()) == 1


def test_expiry_leaves_the_policy_of_another_token(desk: TokenDesk) -> None:
    """The container's policies are told apart by their names, in either order."""
    for days in ((1, 2), (2, 1)):
        first, second = (desk.issue("recordings", days=count)[0] for count in days)
        kept = first if days[0] == 2 else second
        desk.now += DAY
        desk.sweep()
        assert desk.policies() == [kept.policy_id]
        desk.now += DAY
        desk.sweep()
        assert desk.policies() == []


def test_a_policy_that_its_owner_prolonged_outlives_the_record(desk: TokenDesk) -> None:
    (record,) = desk.issue("recordings", days=1)
    assert record.policy_id is not None
    longer = (StoredPolicy(record.policy_id, None, desk.now + 9 * DAY, "r"),)
    desk.do(SetContainerAccess(**desk.where(), policies=longer, public_access=None))
    desk.now += DAY
    desk.sweep()
    assert desk.policies() == [record.policy_id]


def test_a_deleted_container_takes_its_policies(desk: TokenDesk) -> None:
    desk.issue("recordings")
    desk.do(DeleteContainer(**desk.where()))
    desk.do(RevokeTokens(actor="x", account=ACCOUNT))
    desk.now += 11 * DAY
    desk.sweep()
    assert desk.tokens() == ()


@pytest.mark.parametrize(("start", "end"), [(0, 0), (5, 4), (-5, -1)])
def test_times_must_make_sense(desk: TokenDesk, start: int, end: int) -> None:
    grant = TokenGrant(desk.fresh(), None, "f", desk.now + start, desk.now + end, None)
    with pytest.raises(Invalid) as refused:
        desk.do(IssueTokens(actor="x", account=ACCOUNT, grants=(grant,)))
    assert refused.value.reason == "token-times"


def test_a_token_for_a_missing_container_is_refused(desk: TokenDesk) -> None:
    with pytest.raises(NotFound) as refused:
        desk.issue("nowhere")
    assert refused.value.reason == "container"


def test_the_end_of_a_token_that_is_gone_changes_nothing() -> None:
    desk = TokenDesk()
    desk.create("recordings")
    desk.issue("recordings")
    first = len(desk.history)
    desk.now += 11 * DAY
    desk.sweep()
    events = desk.events(first)
    assert not desk.state.tokens.records
    before = desk.state.deadlines.entries()
    for event in events:
        desk.state.apply(event, Stamp(desk.state.seq + 1, desk.now, -1, 0))
    assert not desk.state.tokens.records
    assert desk.state.deadlines.entries() == before
