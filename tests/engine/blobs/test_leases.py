"""Leases: Azure's table of outcomes by state, and what a lease keeps from being written."""

from __future__ import annotations

import pytest

from retain.engine.blobs import leases
from retain.engine.blobs.answers import Leased
from retain.engine.blobs.commands import CommitBlocks, DeleteBlob, LeaseBlob, SetBlobTags, StageBlock
from retain.engine.blobs.conditions import Conditions, ETags
from retain.engine.blobs.container_commands import DeleteContainer, LeaseContainer, SetContainerMetadata
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.leases import Lease, LeaseAction, LeaseRequest, LeaseState
from retain.engine.core.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tests.kit.blobs import BlobDesk
from tests.kit.slices import SECOND, inline

A, B, C = "aaaaaaaa-0000", "bbbbbbbb-0000", "cccccccc-0000"
NOW = 1_000 * SECOND
LEASES = {
    LeaseState.AVAILABLE: None,
    LeaseState.LEASED: Lease(A, 30, NOW + 10 * SECOND),
    LeaseState.BREAKING: Lease(A, 30, NOW + 10 * SECOND, breaking=True),
    LeaseState.BROKEN: Lease(A, 30, NOW, breaking=True),
    LeaseState.EXPIRED: Lease(A, 30, NOW),
}


def request(action: str, lease_id: str | None = None, proposed: str | None = None) -> LeaseRequest:
    duration = 30 if action == "acquire" else None
    return LeaseRequest(LeaseAction(action), lease_id, proposed, duration)


OUTCOMES = {
    # action: available, leased by A, breaking, broken, expired
    request("acquire", proposed=A): ("A", "A", "lease-breaking-acquire", "A", "A"),
    request("acquire", proposed=B): ("B", "lease-present", "lease-breaking-acquire", "B", "B"),
    request("renew", A): ("lease-mismatch", "A", "lease-broken", "lease-broken", "A"),
    request("renew", B): ("lease-mismatch",) * 5,
    request("change", A, B): (
        "lease-not-present",
        "B",
        "lease-breaking-change",
        "lease-not-present",
        "lease-not-present",
    ),
    request("change", B, A): (
        "lease-not-present",
        "A",
        "lease-breaking-change",
        "lease-not-present",
        "lease-not-present",
    ),
    request("change", B, C): (
        "lease-not-present",
        "lease-mismatch",
        "lease-breaking-change",
        "lease-not-present",
        "lease-not-present",
    ),
    request("release", A): ("lease-mismatch", "", "", "", ""),
    request("release", B): ("lease-mismatch",) * 5,
    request("break"): ("lease-not-present", "breaking", "breaking", "broken", "broken"),
}


def outcome(lease: Lease | None, asked: LeaseRequest) -> str:
    try:
        after = leases.changed(lease, asked, NOW)
    except Conflict as refused:
        return refused.reason
    if after is None:
        return ""
    return after.state(NOW).value if after.breaking else {A: "A", B: "B"}[after.lease_id]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (LeaseRequest(LeaseAction.ACQUIRE, None, None, 30), "lease-id"),
        (LeaseRequest(LeaseAction.ACQUIRE, None, A, None), "lease-duration"),
        (LeaseRequest(LeaseAction.ACQUIRE, None, A, 14), "lease-duration"),
        (LeaseRequest(LeaseAction.ACQUIRE, None, A, 61), "lease-duration"),
        (LeaseRequest(LeaseAction.RENEW, None, None, None), "lease-id"),
        (LeaseRequest(LeaseAction.CHANGE, None, B, None), "lease-id"),
        (LeaseRequest(LeaseAction.CHANGE, A, None, None), "lease-id"),
        (LeaseRequest(LeaseAction.RELEASE, None, None, None), "lease-id"),
        (LeaseRequest(LeaseAction.BREAK, None, None, None, 61), "lease-duration"),
        (LeaseRequest(LeaseAction.BREAK, None, None, None, -1), "lease-duration"),
    ],
    ids=str,
)
def test_what_is_no_request_for_a_lease(asked: LeaseRequest, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        leases.changed(LEASES[LeaseState.LEASED], asked, NOW)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("state", "given", "expected"),
    [
        (LeaseState.AVAILABLE, None, ""),
        (LeaseState.AVAILABLE, A, "lease-not-present"),
        (LeaseState.LEASED, None, ""),
        (LeaseState.LEASED, A.upper(), ""),
        (LeaseState.LEASED, B, "lease-mismatch"),
        (LeaseState.BREAKING, A, ""),
        (LeaseState.BROKEN, A, "lease-lost"),
        (LeaseState.BROKEN, B, "lease-mismatch"),
        (LeaseState.EXPIRED, A, "lease-lost"),
    ],
)
def test_a_read_that_names_a_lease_needs_it(state: LeaseState, given: str | None, expected: str) -> None:
    try:
        leases.check_read(LEASES[state], given, NOW)
    except PreconditionFailed as refused:
        assert refused.reason == expected  # noqa: PT017 - both outcomes are looked at
    else:
        assert expected == ""


@pytest.mark.parametrize("asked", OUTCOMES, ids=str)
def test_outcomes_by_state(asked: LeaseRequest) -> None:
    assert tuple(outcome(lease, asked) for lease in LEASES.values()) == OUTCOMES[asked]


@pytest.mark.parametrize("state", LeaseState)
def test_states(state: LeaseState) -> None:
    assert leases.state_of(LEASES[state], NOW) is state
    assert leases.locked(LEASES[state], NOW) is (state in {LeaseState.LEASED, LeaseState.BREAKING})


@pytest.mark.parametrize(
    ("duration", "fits"), [(14, False), (15, True), (60, True), (61, False), (-1, True), (0, False)]
)
def test_durations(duration: int, fits: bool) -> None:
    asked = LeaseRequest(LeaseAction.ACQUIRE, None, A, duration)
    if fits:
        assert leases.changed(None, asked, NOW) is not None
    else:
        with pytest.raises(Invalid):
            leases.changed(None, asked, NOW)


@pytest.mark.parametrize(
    ("lease", "after", "remaining"),
    [
        (Lease(A, 30, NOW + 10 * SECOND), None, 10),
        (Lease(A, 30, NOW + 10 * SECOND), 5, 5),
        (Lease(A, 30, NOW + 10 * SECOND), 20, 10),
        (Lease(A, -1, None), None, 0),
        (Lease(A, -1, None), 20, 20),
        (Lease(A, 30, NOW + 10 * SECOND, breaking=True), 3, 3),
        (Lease(A, 30, NOW + 10 * SECOND), 0, 0),
    ],
)
def test_a_break_takes_the_shorter_of_rest_and_period(
    lease: Lease, after: int | None, remaining: int
) -> None:
    broken = leases.changed(lease, LeaseRequest(LeaseAction.BREAK, break_after=after), NOW)
    assert leases.break_seconds(broken, NOW) == remaining


def test_ids_compare_without_case() -> None:
    assert Lease("ABC", -1, None).is_named("abc")


def acquire(desk: BlobDesk, duration: int = -1) -> Leased:
    asked = LeaseRequest(LeaseAction.ACQUIRE, None, A, duration)
    return desk.do(LeaseBlob(**desk.where(), name="a", request=asked))


def test_leasing_leaves_the_etag(desk: BlobDesk) -> None:
    written = desk.put("a")
    leased = acquire(desk)
    assert (leased.etag, leased.lease) == (written.etag, Lease(A, -1, None))


def test_leasing_what_is_not_there_is_refused(desk: BlobDesk) -> None:
    with pytest.raises(NotFound):
        acquire(desk)


@pytest.mark.parametrize("given", [None, B])
def test_a_leased_blob_is_written_with_its_lease_only(desk: BlobDesk, given: str | None) -> None:
    desk.put("a")
    acquire(desk)
    conditions = Conditions(lease=given)
    common = {**desk.where(), "name": "a", "conditions": conditions}
    resource = desk.fresh()
    for command in (
        desk.putting("a", conditions=conditions),
        SetBlobTags(**common, tags=()),
        StageBlock(**common, resource=resource, block_id=b"1", body=inline(b"")),
        CommitBlocks(**common, resource=resource, blocks=(), headers=ContentHeaders(), md5=None),
        DeleteBlob(**common),
    ):
        with pytest.raises(PreconditionFailed) as refused:
            desk.do(command)
        assert refused.value.reason == ("lease-missing" if given is None else "lease-mismatch")
    desk.put("a", conditions=Conditions(lease=A))
    assert desk.get("a").lease == Lease(A, -1, None)


def test_if_none_match_any_does_not_stop_the_holder_of_the_lease(desk: BlobDesk) -> None:
    """A lease is judged first; only its holder may overwrite, and the other conditions hold all the same."""
    written = desk.put("a")
    acquire(desk, 15)
    fresh, other = ETags(any=True), ETags(values=frozenset({written.etag + 1}))
    for conditions, reason in (
        (Conditions(if_none_match=fresh), "lease-missing"),
        (Conditions(if_none_match=fresh, lease=B), "lease-mismatch"),
        (Conditions(if_match=other), "lease-missing"),
        (Conditions(if_match=other, lease=A), "condition"),
        (Conditions(if_none_match=ETags(values=frozenset({written.etag})), lease=A), "condition"),
    ):
        with pytest.raises(PreconditionFailed) as refused:
            desk.put("a", conditions=conditions)
        assert refused.value.reason == reason
    with pytest.raises(Forbidden):
        desk.put("a", conditions=Conditions(if_none_match=fresh, lease=A), may_overwrite=False)
    assert desk.get("a").etag == written.etag
    desk.put("a", b"2", conditions=Conditions(if_none_match=fresh, lease=A))
    desk.now += 15 * SECOND
    with pytest.raises(Conflict) as exists:
        desk.put("a", conditions=Conditions(if_none_match=fresh))
    assert exists.value.reason == "blob-exists"


def test_naming_a_lease_that_is_not_there_is_refused(desk: BlobDesk) -> None:
    with pytest.raises(PreconditionFailed) as refused:
        desk.put("a", conditions=Conditions(lease=A))
    assert refused.value.reason == "lease-not-present"


def test_a_lease_that_ran_out_is_lost_and_the_next_write_forgets_it(desk: BlobDesk) -> None:
    desk.put("a")
    acquire(desk, 15)
    desk.now += 15 * SECOND
    with pytest.raises(PreconditionFailed) as refused:
        desk.put("a", conditions=Conditions(lease=A))
    assert refused.value.reason == "lease-lost"
    desk.put("a")
    assert desk.get("a").lease is None


def test_a_lease_survives_replay_of_overwritten_records(desk: BlobDesk) -> None:
    desk.put("a")
    acquire(desk)
    desk.put("a", conditions=Conditions(lease=A))
    assert desk.standing(desk.replayed(erased=frozenset({3}))) == desk.standing(desk.state)


def test_a_leased_container_is_deleted_with_its_lease_only(desk: BlobDesk) -> None:
    asked = LeaseRequest(LeaseAction.ACQUIRE, None, A, -1)
    desk.do(LeaseContainer(**desk.where(), request=asked))
    with pytest.raises(PreconditionFailed) as refused:
        desk.do(DeleteContainer(**desk.where()))
    assert refused.value.reason == "lease-missing"
    desk.do(SetContainerMetadata(**desk.where(), metadata=()))
    desk.put("a")
    desk.do(DeleteContainer(**desk.where(), conditions=Conditions(lease=A)))
