"""Show the progress of long work: on a terminal's standard error only, so that pipes and logs stay clean.

Nothing is shown for work that takes less than a second. The drawing library is imported only if a line is
shown.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

DELAY_S: Final = 1.0
POLL_S: Final = 0.5
EVERY: Final = 1024
"""Records between two updates: replaying one takes microseconds."""

_one_line = threading.Lock()
"""Held while a line is shown: nested work shows no line of its own."""

Update = Callable[[int], None]
"""Called with the amount done."""


class _Unit(Enum):
    RECORDS = "records"
    BYTES = "bytes"
    NONE = ""


def _columns(unit: _Unit) -> tuple[ProgressColumn, ...]:
    """Return the columns after the description: bar, amount, rate, time left, time."""
    from rich import progress
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """Records per second."""

        def render(self, task: progress.Task) -> Text:
            """See `ProgressColumn`."""
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f}/s")

    amounts: dict[_Unit, tuple[ProgressColumn, ...]] = {
        _Unit.RECORDS: (
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("records"),
            Rate(),
            progress.TimeRemainingColumn(),
        ),
        _Unit.BYTES: (
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
        ),
        _Unit.NONE: (),
    }
    return (*amounts[unit], progress.TimeElapsedColumn())


@contextmanager
def _shown(what: str, unit: _Unit, total: float | None = None) -> Iterator[Progress | None]:
    """Show a line with one task while the block runs, on a terminal.

    Yields None if there is no terminal, or if a line is shown already.
    """
    if not sys.stderr.isatty() or not _one_line.acquire(blocking=False):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), *_columns(unit))
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    shown.add_task(what, total=total)
    starting = threading.Timer(DELAY_S, shown.start)
    starting.daemon = True
    starting.start()
    try:
        yield shown
    finally:
        starting.cancel()
        starting.join()
        shown.stop()
        _one_line.release()


def _update(shown: Progress | None, done: float, total: float | None = None) -> None:
    if shown is not None:
        shown.update(shown.task_ids[0], completed=done, total=total)


@contextmanager
def record_progress(what: str, expected: int | None) -> Iterator[Update]:
    """Yield the function to call with the sequence number of each record read.

    Args:
        what: The work, such as `Verifying`.
        expected: The least number of records; None if unknown.
    """
    with _shown(what, _Unit.RECORDS, expected) as shown:

        def update(seq: int) -> None:
            if seq % EVERY == 0:
                # Only the number of records in the last segment is unknown beforehand.
                _update(shown, seq, seq if expected is not None and seq > expected else expected)

        yield update


@contextmanager
def byte_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield the function to call with the bytes done, and the total."""
    with _shown(what, _Unit.BYTES) as shown:
        yield lambda done, total: _update(shown, done, total)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show progress of work whose length is unknown."""
    with _shown(what, _Unit.NONE):
        yield


@contextmanager
def asked_progress(what: str, ask: Callable[[], tuple[int, int] | None]) -> Iterator[None]:
    """Show the progress of work in another process.

    Args:
        what: The work.
        ask: Return the bytes done and the total; None if unknown. Called periodically from a thread, and only
            if a line is shown.
    """
    with _shown(what, _Unit.BYTES) as shown:
        if shown is None:
            yield
            return
        ended = threading.Event()

        def poll() -> None:
            while not ended.wait(POLL_S):
                if (found := ask()) is not None:
                    _update(shown, *found)

        thread = threading.Thread(target=poll, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
