"""What a test may order a `MemoryDisk` to do, and what it tells about itself."""

from __future__ import annotations

from dataclasses import dataclass


class PowerCut(BaseException):
    """The machine is off from here on. Not an `Exception`: no handler in the code under test may catch it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that reached the disk: its number from 1, its kind (the method called) and the name."""

    number: int
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What `fail_at` arms: an `errno` number, whether half of a write gets through, whether it lasts."""

    number: int
    error: int
    short: bool
    lasting: bool
