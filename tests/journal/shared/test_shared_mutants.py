"""The tests of the tests: deliberate bugs of the shared log itself, each turns a named check red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tests.journal.shared.test_leadership as of_leadership
import tests.journal.shared.test_postgres_faults as of_postgres
from retain.journal.errors import Fenced, JournalError, Unsettled
from retain.journal.log import Committed
from retain.journal.shared.interface import SharedHead, Term
from retain.journal.shared.leadership import Leadership
from retain.journal.testing.shared import MemoryShared
from tests.journal.shared.test_postgres_faults import Log, log, stack
from tests.kit.postgres import Server

__all__ = ["log", "stack"]

Patch = pytest.MonkeyPatch


def settling_begins_no_epoch(patch: Patch) -> None:
    def settle(self: MemoryShared, holder: bytes, lease: float) -> SharedHead:
        return self.head()

    patch.setattr(MemoryShared, "settle", settle)


def a_lost_answer_is_taken_for_an_acknowledgement(patch: Patch) -> None:
    original = MemoryShared.append

    def append(
        self: MemoryShared,
        frame: Committed,
        term: Term,
        expected: int,
        root: bytes,
        batch: bytes,
        lease: float,
    ) -> None:
        try:
            original(self, frame, term, expected, root, batch, lease)
        except Unsettled:
            return

    patch.setattr(MemoryShared, "append", append)


def a_lease_is_counted_from_the_answer(patch: Patch) -> None:
    original = Leadership._hold
    patch.setattr(Leadership, "_hold", lambda self, began: original(self, self._clock()))


def an_unknown_outcome_is_taken_for_an_acknowledgement(patch: Patch) -> None:
    patch.setattr(Leadership, "_judge", lambda *_: None)


def an_unknown_outcome_is_taken_for_a_refusal(patch: Patch) -> None:
    def judge(*_: object) -> None:
        raise Fenced("the change was not committed")

    patch.setattr(Leadership, "_judge", judge)


def a_leader_forgets_that_it_was_succeeded(patch: Patch) -> None:
    patch.setattr(Leadership, "_end", lambda self, why: None)


def of_a_log_that_has_grown() -> None:
    for arrived in (False, True):
        of_leadership.test_a_frame_stays_unknown_where_the_log_has_grown_since(
            of_leadership.World(), arrived=arrived
        )


MUTANTS: list[tuple[Callable[[Patch], None], Callable[[], None]]] = [
    (
        settling_begins_no_epoch,
        lambda: of_leadership.test_an_append_that_arrives_between_settling_and_sending_again_never_happens(
            of_leadership.World()
        ),
    ),
    (
        a_lost_answer_is_taken_for_an_acknowledgement,
        lambda: of_leadership.test_an_append_that_never_arrived_is_sent_again(of_leadership.World()),
    ),
    (
        an_unknown_outcome_is_taken_for_an_acknowledgement,
        of_a_log_that_has_grown,
    ),
    (
        an_unknown_outcome_is_taken_for_a_refusal,
        of_a_log_that_has_grown,
    ),
    (
        a_leader_forgets_that_it_was_succeeded,
        lambda: of_leadership.test_a_commit_that_failed_ends_the_lease(of_leadership.World()),
    ),
    (
        a_lease_is_counted_from_the_answer,
        lambda: of_leadership.test_the_lease_counts_from_before_the_statement_was_sent_less_a_margin(
            of_leadership.World()
        ),
    ),
]


@pytest.mark.parametrize(("mutate", "check"), MUTANTS, ids=[mutate.__name__ for mutate, _ in MUTANTS])
def test_each_deliberate_bug_turns_a_check_red(
    monkeypatch: pytest.MonkeyPatch, mutate: Callable[[Patch], None], check: Callable[[], None]
) -> None:
    mutate(monkeypatch)
    with pytest.raises((AssertionError, JournalError, pytest.fail.Exception)):
        check()


def test_a_warning_of_the_server_that_nobody_hears_turns_a_check_red(
    log: Log, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retain.journal.shared.postgres.connection import PatientConnection

    monkeypatch.setattr(PatientConnection, "hear", lambda self, notice: None)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        of_postgres.test_a_warning_that_no_standby_has_it_is_no_acknowledgement(log, postgres_server)
