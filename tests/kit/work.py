"""Measure how a cost grows with its input, to test that the cost of hostile input is bounded.

`steps` counts the interpreter's instructions, exactly and on any machine, but sees nothing of what one call
into C costs. `cpu` sees that too: nanoseconds of this thread alone, the best of several runs. Neither is
compared with a number of seconds: only with itself, for an input several times as long.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

Run = Callable[[], object]
Measure = Callable[[Callable[[], Run]], int]


def steps(prepare: Callable[[], Run]) -> int:
    """Return how many instructions the interpreter executes in what `prepare` returns."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    for _ in range(1 if sys.version_info < (3, 13) else 2):
        # Since Python 3.13, code that ran untraced before shows all its instructions from the second run on.
        run, count = prepare(), 0
        # Since Python 3.12 an instruction is an event only if some frame asked for it before.
        sys._getframe().f_trace_opcodes = True
        gc.disable()  # what the collector finalizes is another test's
        sys.settrace(trace)
        try:
            run()
        finally:
            sys.settrace(before)
            gc.enable()
    return count


def cpu(prepare: Callable[[], Run]) -> int:
    """Return the nanoseconds of this thread that what `prepare` returns costs, the best of three runs."""
    best = sys.maxsize
    for _ in range(3):
        run = prepare()
        gc.collect()
        gc.disable()
        try:
            start = time.thread_time_ns()
            run()
            best = min(best, time.thread_time_ns() - start)
        finally:
            gc.enable()
    return best


def assert_linear(
    prepare: Callable[[int], Run], size: int, *, measure: Measure = steps, factor: int = 2, slack: float = 1.4
) -> None:
    """Assert that an input `factor` times as long costs at most `factor * slack` times as much.

    Args:
        prepare: `prepare(size)` makes the input, and returns what to measure.
        size: Of the shorter input: large enough for what does not grow to be small beside it.
        measure: `steps` or `cpu`.
        factor: How much longer the longer input is. What grows with the square costs `factor` times more than
            is allowed at a slack of 1.
        slack: What noise, and a logarithm, may add.
    """
    short = long = sys.maxsize
    for _ in range(3):  # other processes slow some measurements, but never speed one up
        short = min(short, measure(lambda: prepare(size)))
        long = min(long, measure(lambda: prepare(size * factor)))
        if long <= short * factor * slack:
            return
    raise AssertionError(f"{factor} times the input costs {long / short:.1f} times as much")


def assert_linear_in_c(prepare: Callable[[int], Run], size: int) -> None:
    """`assert_linear` for what calls into C cost: for four times the input, with room for noise."""
    assert_linear(prepare, size, measure=cpu, factor=4, slack=2.0)
