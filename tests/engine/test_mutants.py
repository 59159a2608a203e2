"""The tests of the tests: each deliberate bug of the engine turns a named check red.

The journal's own are in `tests/journal/crash/test_mutants.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import tests.engine.erasure.test_erasing_order as of_erasing_order
import tests.engine.erasure.test_orphans as of_orphans
import tests.engine.erasure.test_reaper as of_reaper
import tests.engine.snapshots.test_file as of_snapshot
import tests.engine.test_engine as of_engine
import tests.engine.writing.test_bodies as of_uploads
import tests.engine.writing.test_writer as of_writer
from retain.engine.core.clock import Horizon
from retain.engine.core.common_commands import ExpireDue
from retain.engine.core.domain import SharedState
from retain.engine.erasure.eraser import Eraser
from retain.engine.erasure.orphans import Orphans
from retain.engine.erasure.reaper import Reaper
from retain.engine.snapshots import file as snapshot
from retain.engine.snapshots.schedule import Snapshots
from retain.engine.testing import SteppedClock
from retain.engine.writing.batch import PendingCommand
from retain.engine.writing.room import Room
from retain.engine.writing.writer import Writer
from retain.journal import PayloadStore, RealDisk
from retain.journal.testing.memory import MemoryDisk
from tests.kit.toy import ToySlice

Patch = pytest.MonkeyPatch
Check = Callable[[], Awaitable[None]]


def ack_before_fsync(patch: Patch) -> None:
    original = Writer._append

    async def append(self: Writer, batch: Any) -> None:
        self._answer(batch)
        await original(self, batch)

    patch.setattr(Writer, "_append", append)


def reads_not_gated(patch: Patch) -> None:
    async def wait_durable(self: Writer, seq: int) -> None:
        return

    patch.setattr(Writer, "wait_durable", wait_durable)


def a_failed_sync_is_not_final(patch: Patch) -> None:
    patch.setattr(Writer, "fail", lambda self, error: self._synced.set())


def cancelled_commands_happen_all_the_same(patch: Patch) -> None:
    original = Writer._gather

    def gather(self: Writer, batch: Any) -> None:
        for pending in self._queue:
            pending.withdrawn = False
        original(self, batch)

    patch.setattr(Writer, "_gather", gather)


def taken_commands_are_not_waited_for(patch: Patch) -> None:
    async def submit(self: Writer, command: Any) -> Any:
        pending = PendingCommand(command)
        self._queue.append(pending)
        self._wake.set()
        await pending.answered.wait()
        return pending.result

    patch.setattr(Writer, "submit", submit)


def room_is_not_looked_for(patch: Patch) -> None:
    patch.setattr(Room, "find", lambda self: None)
    patch.setattr(Room, "allows", lambda self, command: True)


def deletes_need_as_much_room_as_puts(patch: Patch) -> None:
    patch.setattr(Room, "allows", lambda self, command: self.for_all)


def expire_by_wall_clock(patch: Patch) -> None:
    patch.setattr(Horizon, "now", lambda self: self._clock.wall())


def destroy_by_a_doubted_clock(patch: Patch) -> None:
    patch.setattr(Horizon, "vouched", Horizon.now)


def half_undone_jump_is_trusted(patch: Patch) -> None:
    original = Horizon.vouched

    def vouched(self: Horizon) -> int:
        shown = self.now()
        return shown if self._clock.wall() < shown else original(self)

    patch.setattr(Horizon, "vouched", vouched)


def the_present_stands_still_behind_the_clock(patch: Patch) -> None:
    original = Horizon.now

    def now(self: Horizon) -> int:
        shown, wall = original(self), self._clock.wall()
        self._still = shown if shown <= wall else getattr(self, "_still", shown)  # type: ignore[attr-defined]
        return max(wall, self._still)  # type: ignore[attr-defined]

    patch.setattr(Horizon, "now", now)


def expire_by_the_present_of_the_decision(patch: Patch) -> None:
    original = Reaper._is_due
    patch.setattr(Reaper, "_is_due", lambda self, until: original(self, self._horizon.now()))
    patch.setattr("retain.engine.erasure.reaper.ExpireDue", _without_until)


def _without_until(*, actor: str, limit: int, until: int) -> ExpireDue:
    return ExpireDue(actor=actor, limit=limit)


def served_until_swept(patch: Patch) -> None:
    original = ToySlice.find
    patch.setattr(ToySlice, "find", lambda self, name, now: original(self, name, 0))


def files_go_before_their_event(patch: Patch) -> None:
    async def unlink_released(self: Reaper) -> None:
        await self._writer.wait_durable(self._state.seq)
        for name in self._state.shared.take_released():
            self._payloads.unlink(name)

    patch.setattr(Reaper, "unlink_released", unlink_released)


def uploads_remove_what_state_has_released(patch: Patch) -> None:
    patch.setattr(SharedState, "withdraw", lambda self, name: name not in self.payloads)


def uploads_remove_nothing(patch: Patch) -> None:
    patch.setattr(SharedState, "withdraw", lambda self, name: False)


def snapshot_of_what_is_not_on_disk(patch: Patch) -> None:
    original = Snapshots._freeze

    def freeze(self: Snapshots) -> Callable[[], None]:
        with patch.context() as unchecked:
            unchecked.setattr(Writer, "check", lambda writer: None)
            return original(self)

    patch.setattr(Snapshots, "_freeze", freeze)


def snapshot_is_believed_unread(patch: Patch) -> None:
    class Believing:
        @staticmethod
        def crc32c(_data: bytes) -> int:
            return 0

    patch.setattr(snapshot, "crc32c", Believing)
    patch.setattr(snapshot._Blocks, "digest", lambda self: b"")
    patch.setattr(snapshot.hashlib, "sha256", lambda *_: _NoHash())


class _NoHash:
    def update(self, _data: bytes) -> None:
        return

    def digest(self) -> bytes:
        return b""


def orphans_stay(patch: Patch) -> None:
    patch.setattr(Orphans, "_unlink", lambda self, sealed, stages: None)


def files_of_this_run_are_taken_for_orphans(patch: Patch) -> None:
    original = PayloadStore.of_other_runs

    def of_all_runs(self: PayloadStore) -> Any:
        return original(PayloadStore(self._disk, lambda count: bytes(count)))

    patch.setattr(PayloadStore, "of_other_runs", of_all_runs)


def no_lock(patch: Patch) -> None:
    patch.setattr(RealDisk, "lock", lambda self: None)


def batches_without_bound(patch: Patch) -> None:
    patch.setattr("retain.engine.writing.writer.GATHER_RECORDS", 1 << 30)


def old_details_go_before_what_they_ended(patch: Patch) -> None:
    original = Eraser._erase_due

    async def erase_due(self: Eraser, now: int, *, at_once: bool) -> int:
        if not self._state.blobs.closed:
            await self._details.erase(now)
        return await original(self, now, at_once=at_once)

    patch.setattr(Eraser, "_erase_due", erase_due)


def on_a_disk(check: Callable[[MemoryDisk], Awaitable[None]]) -> Check:
    return lambda: check(MemoryDisk())


def with_a_clock(check: Callable[[MemoryDisk, SteppedClock], Awaitable[None]]) -> Check:
    return lambda: check(MemoryDisk(), SteppedClock())


MUTANTS: list[tuple[Callable[[Patch], None], Check]] = [
    (ack_before_fsync, on_a_disk(of_writer.test_nobody_is_answered_before_the_sync)),
    (reads_not_gated, on_a_disk(of_engine.test_what_a_read_answers_is_never_taken_back)),
    (
        a_failed_sync_is_not_final,
        lambda: of_writer.test_a_failed_write_or_sync_is_final(MemoryDisk(), "sync", 5, False),
    ),
    (
        cancelled_commands_happen_all_the_same,
        on_a_disk(of_writer.test_cancelled_while_queued_means_it_did_not_happen),
    ),
    (
        taken_commands_are_not_waited_for,
        on_a_disk(of_writer.test_cancelled_once_taken_waits_for_the_sync),
    ),
    (
        room_is_not_looked_for,
        on_a_disk(of_writer.test_a_full_disk_refuses_and_changes_nothing_while_deletes_work),
    ),
    (
        deletes_need_as_much_room_as_puts,
        on_a_disk(of_writer.test_a_full_disk_refuses_and_changes_nothing_while_deletes_work),
    ),
    (
        expire_by_wall_clock,
        with_a_clock(of_reaper.test_a_clock_set_back_shows_nothing_again_and_expires_nothing_twice),
    ),
    (
        destroy_by_a_doubted_clock,
        with_a_clock(of_reaper.test_a_jump_hides_at_once_and_destroys_only_when_it_holds),
    ),
    (
        half_undone_jump_is_trusted,
        with_a_clock(of_reaper.test_a_jump_undone_by_a_part_destroys_nothing_yet),
    ),
    (
        the_present_stands_still_behind_the_clock,
        with_a_clock(of_reaper.test_a_clock_set_back_does_not_make_anything_last_longer),
    ),
    (
        expire_by_the_present_of_the_decision,
        with_a_clock(of_reaper.test_a_jump_between_asking_and_deciding_destroys_nothing),
    ),
    (served_until_swept, with_a_clock(of_reaper.test_invisible_from_its_instant_and_not_before)),
    (
        files_go_before_their_event,
        with_a_clock(of_reaper.test_files_released_by_the_next_batch_wait_for_that_one),
    ),
    (
        uploads_remove_what_state_has_released,
        on_a_disk(
            of_uploads.test_a_file_replaced_before_its_upload_ends_waits_for_the_replacement_to_be_durable
        ),
    ),
    (uploads_remove_nothing, on_a_disk(of_uploads.test_a_refused_command_leaves_no_file)),
    (snapshot_of_what_is_not_on_disk, on_a_disk(of_snapshot.test_after_a_failed_write_no_snapshot_is_taken)),
    (snapshot_is_believed_unread, on_a_disk(of_snapshot.test_a_flip_of_any_byte_is_noticed)),
    (
        orphans_stay,
        on_a_disk(of_orphans.test_what_a_crash_left_is_removed_and_what_an_event_refers_to_is_kept),
    ),
    (
        files_of_this_run_are_taken_for_orphans,
        on_a_disk(of_orphans.test_what_this_run_has_not_recorded_yet_stays),
    ),
    (batches_without_bound, on_a_disk(of_writer.test_a_batch_takes_a_bounded_number_of_commands)),
]


@pytest.mark.usefixtures("toys")
@pytest.mark.parametrize(("mutate", "check"), MUTANTS, ids=[mutate.__name__ for mutate, _ in MUTANTS])
async def test_each_deliberate_bug_turns_a_check_red(
    monkeypatch: pytest.MonkeyPatch, mutate: Callable[[Patch], None], check: Check
) -> None:
    mutate(monkeypatch)
    assert await is_red(check), f"no check notices {mutate.__name__}"


@pytest.mark.usefixtures("toys")
async def test_without_a_lock_two_engines_share_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_lock(monkeypatch)
    assert await is_red(lambda: of_engine.test_a_second_opener_is_told_who_has_the_folder(tmp_path))


async def test_erasing_old_details_first_brings_back_what_was_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old_details_go_before_what_they_ended(monkeypatch)
    with pytest.raises(AssertionError, match="replay differs from live state"):
        await of_erasing_order.check_order(monkeypatch, modes=("all",))


async def is_red(check: Check) -> bool:
    """Whether the check fails, in whatever way a failing test may."""
    try:
        with trio.fail_after(60):
            await check()
    except (Exception, pytest.fail.Exception, BaseExceptionGroup):
        return True
    return False
