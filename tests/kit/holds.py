"""How long the event loop is held: the interpreter's instructions in the longest step of any task.

Instructions, not seconds: the same on any machine. What one call into C costs is not seen here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import trio


class Steps(trio.abc.Instrument):
    """Counts. `longest` is the most instructions of one step so far."""

    def __init__(self) -> None:
        self.longest = 0
        self._count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._count = 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest = max(self.longest, self._count)

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            self._count += 1
        return self.trace


@contextmanager
def steps_counted() -> Iterator[Steps]:
    """Count in this thread, the event loop's, for as long as the block lasts."""
    steps = Steps()
    before = sys.gettrace()
    trio.lowlevel.add_instrument(steps)
    sys.settrace(steps.trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
        trio.lowlevel.remove_instrument(steps)
