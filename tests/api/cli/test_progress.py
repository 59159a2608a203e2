"""Progress of long work: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from contextlib import redirect_stderr
from functools import partial

import pytest

from retain import journal
from retain.api.cli import progress
from retain.engine.snapshots.load import load
from retain.engine.testing import open_memory_engine
from retain.journal.backup.create import Moment, check_backup, create_backup
from retain.journal.backup.restore import restore
from retain.journal.testing.memory import MemoryDisk
from tests.engine.persons.test_find import QUIET, Store


class Terminal(io.StringIO):
    """Standard error of somebody who looks."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No delay before something is shown, and a terminal of a known kind."""
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "POLL_S", 0.005)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")


def drawn(terminal: Terminal, word: str) -> None:
    """Wait until something is drawn: it is, by a thread, ten times a second."""
    waited = threading.Event()
    for _ in range(400):
        if word in terminal.getvalue():
            return
        waited.wait(0.01)
    raise AssertionError(terminal.getvalue())


def test_a_pipe_sees_nothing_and_the_library_is_not_imported() -> None:
    program = (
        "import sys, threading\n"
        "from retain.api.cli import progress\n"
        "progress.DELAY_S = 0\n"
        "with progress.byte_progress('Copying') as update: update(1, 2); threading.Event().wait(0.2)\n"
        "with progress.record_progress('Reading', 5) as update: update(1024)\n"
        "with progress.waiting('Waiting'): pass\n"
        "with progress.asked_progress('Asking', lambda: 1 / 0): threading.Event().wait(0.2)\n"
        "print('rich' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_bytes_are_shown_with_rate_and_time_left() -> None:
    with redirect_stderr(Terminal()) as terminal, progress.byte_progress("Restoring") as update:
        update(1_000_000, 4_000_000)
        drawn(terminal, "1.0/4.0 MB")
        assert "Restoring" in terminal.getvalue()


def test_records_are_shown_and_the_total_grows_with_them() -> None:
    with redirect_stderr(Terminal()) as terminal, progress.record_progress("Verifying", 2048) as update:
        update(1024)
        drawn(terminal, "1024/2048")
        update(4096)
        drawn(terminal, "4096/4096")


def test_what_another_process_does_is_asked_for() -> None:
    answers: list[tuple[int, int] | None] = [None, (1_000_000, 2_000_000)]
    ask = partial(answers.pop, 0)
    with (
        redirect_stderr(Terminal()) as terminal,
        progress.asked_progress("Backing up", lambda: ask() if answers else None),
    ):
        drawn(terminal, "1.0/2.0 MB")


def test_work_within_other_work_shows_no_line_of_its_own() -> None:
    with redirect_stderr(Terminal()) as terminal:
        with progress.waiting("Outer"):
            drawn(terminal, "Outer")
            with progress.waiting("Inner"), progress.byte_progress("Innermost") as update:
                update(1, 2)
        with progress.waiting("Later"):
            drawn(terminal, "Later")
    assert "Inner" not in terminal.getvalue()


def test_quick_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY_S", 60.0)
    with redirect_stderr(Terminal()) as terminal, progress.waiting("Waiting"):
        pass
    assert "Waiting" not in terminal.getvalue()


async def test_backup_verification_and_restore_tell_how_far_they_are() -> None:
    source, target, back = MemoryDisk(), MemoryDisk(), MemoryDisk()
    async with open_memory_engine(source, options=QUIET) as engine:
        store = Store(engine)
        for number in range(20):
            await store.area(f"area{number}")
    told: list[tuple[int, int]] = []
    moment = Moment(None, frozenset())
    report = create_backup(source, target, lambda: moment, on_done=lambda *found: told.append(found))
    size = sum(entry.size for entry in report.manifest.entries)
    assert told[-1][0] == size
    assert all(done <= total for done, total in told)
    told.clear()
    check_backup(target, lambda *found: told.append(found))
    assert {total for _, total in told} == {size}
    told.clear()
    restore(target, back, None, on_done=lambda *found: told.append(found))
    assert told == sorted(told)
    assert told[-1] == (2 * size, 2 * size)


async def test_a_start_tells_which_record_it_has_replayed() -> None:
    disk = MemoryDisk()
    async with open_memory_engine(disk, options=QUIET) as engine:
        await Store(engine).area("cart")
        seq = engine.state.seq
    for name in disk.names():
        if name.startswith("snapshot"):
            disk.unlink(name)
    told: list[int] = []
    options = type(QUIET)(sweep_interval_s=3600.0, on_replayed=told.append)
    loaded = load(disk, options, lambda size: bytes(size))
    loaded.log.close()
    assert told[-1] >= seq
    assert told == sorted(told)
    assert isinstance(loaded.log, journal.Journal)
