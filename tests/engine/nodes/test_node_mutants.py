"""The tests of the tests: each deliberate bug of the protocol between nodes turns a named check red.

The bugs that only PostgreSQL can show are in `tests/journal/shared/test_shared_mutants.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import outcome
import pytest

import tests.engine.nodes.test_nodes as of_nodes
import tests.engine.nodes.test_promises as of_promises
from retain.engine.nodes.causes import leaves
from retain.engine.nodes.follower import NodeFollower
from retain.engine.nodes.leader import Leader
from retain.engine.nodes.leases import Grants
from retain.engine.nodes.node import NodeEngine
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared
from tests.kit.nodes import run_idle

pytestmark = pytest.mark.trio(run=run_idle)

ATTEMPTS = 5
"""A bug that lets a node answer for too long shows only while its grant runs."""

Patch = pytest.MonkeyPatch
Check = Callable[[], Awaitable[None]]


def a_node_answers_without_a_lease(patch: Patch) -> None:
    patch.setattr(NodeFollower, "answers", lambda self: True)


def a_leader_answers_without_a_lease(patch: Patch) -> None:
    patch.setattr(Leader, "answers", lambda self: True)


def a_change_waits_for_no_other_node(patch: Patch) -> None:
    patch.setattr(Grants, "settled", lambda self, now, durable: durable)


def a_read_does_not_wait_for_other_nodes(patch: Patch) -> None:
    async def settle(self: object, seq: int) -> None:
        return

    patch.setattr(NodeFollower, "settle", settle)


def followers_are_sent_what_is_not_durable(patch: Patch) -> None:
    def commit(self: Leader, frame: Committed, expected: int, root: bytes) -> None:
        self._token.run_sync_soon(self._send, frame)
        self.leadership.commit(frame, expected, root)

    patch.setattr(Leader, "commit", commit)


def frames_are_dropped_with_one_copy(patch: Patch) -> None:
    def drop(self: Leader, shared: Shared) -> list[int]:
        return shared.drop(self.leadership.term, 1, self._node.keep_hours * 3600.0)

    patch.setattr(Leader, "_drop", drop)


def an_erasure_waits_for_no_other_node(patch: Patch) -> None:
    original = NodeEngine._close_erasures

    async def close(self: NodeEngine, role: Leader) -> None:
        self._erasing.settle = self._erasing.overwritten = None
        await original(self, role)

    patch.setattr(NodeEngine, "_close_erasures", close)


def a_change_of_keys_waits_for_no_other_node(patch: Patch) -> None:
    patch.setattr(Grants, "loaded", lambda self, now, files: True)


MUTANTS: list[tuple[Callable[[Patch], None], Check]] = [
    (
        a_node_answers_without_a_lease,
        of_nodes.test_a_node_cut_off_stops_to_answer_before_a_change_elsewhere_is_answered,
    ),
    (
        a_leader_answers_without_a_lease,
        of_nodes.test_a_leader_without_the_shared_log_answers_nobody_once_its_lease_has_ended,
    ),
    (
        a_change_waits_for_no_other_node,
        of_promises.test_a_change_is_answered_once_no_node_may_answer_without_it,
    ),
    (
        a_read_does_not_wait_for_other_nodes,
        of_promises.test_a_read_shows_nothing_that_another_node_may_still_deny,
    ),
    (
        followers_are_sent_what_is_not_durable,
        of_promises.test_what_the_database_may_still_take_back_reaches_no_node,
    ),
    (
        frames_are_dropped_with_one_copy,
        of_promises.test_the_shared_log_drops_a_segment_once_two_folders_have_it,
    ),
    (
        an_erasure_waits_for_no_other_node,
        of_promises.test_an_erasure_is_closed_once_no_node_that_may_answer_has_the_bytes,
    ),
    (
        a_change_of_keys_waits_for_no_other_node,
        of_nodes.test_files_with_keys_change_on_every_node_before_the_change_is_answered,
    ),
]


@pytest.mark.parametrize(("mutate", "check"), MUTANTS, ids=[mutate.__name__ for mutate, _ in MUTANTS])
async def test_each_deliberate_bug_turns_a_check_red(
    monkeypatch: pytest.MonkeyPatch, mutate: Callable[[Patch], None], check: Check
) -> None:
    mutate(monkeypatch)
    for _ in range(ATTEMPTS):
        if is_red(await outcome.acapture(check)):
            return
    pytest.fail(f"no check notices {mutate.__name__}")


def is_red(found: outcome.Outcome[None]) -> bool:
    """Whether a check failed, and not by a mistake in the bug's own words."""
    if isinstance(found, outcome.Value):
        return False
    return not any(isinstance(one, AttributeError | NameError | TypeError) for one in leaves(found.error))
