"""The engine: stores data, enforces deadlines, and records every change.

Usable in any Trio program, without HTTP. A domain has a folder (`areas`, `settings`, `blobs`, `tokens`,
`holds`, `history`) with its commands, decisions and `events`; `wire` has the code of every event,
`statistics` the figures for operators.
"""

from __future__ import annotations

from retain.engine.access import EngineAccess
from retain.engine.core.body import Body, Inline, OnDisk, StoredBody
from retain.engine.core.clock import Clock, SystemClock
from retain.engine.core.command import Command, Decision
from retain.engine.core.errors import (
    Conflict,
    EngineClosed,
    EngineError,
    Exhausted,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Refused,
    StorageFailed,
    StorageFull,
    TooLarge,
    Unavailable,
    Unsupported,
)
from retain.engine.core.event import Cause, Event, Interface, Stamp
from retain.engine.engine import Engine, open_engine
from retain.engine.options import Options
from retain.engine.state import State
from retain.engine.statistics import Statistics
from retain.engine.writing.bodies import Download, Upload

__all__ = [
    "Body",
    "Cause",
    "Clock",
    "Command",
    "Conflict",
    "Decision",
    "Download",
    "Engine",
    "EngineAccess",
    "EngineClosed",
    "EngineError",
    "Event",
    "Exhausted",
    "Forbidden",
    "Inline",
    "Interface",
    "Invalid",
    "NotFound",
    "OnDisk",
    "Options",
    "PreconditionFailed",
    "QuotaExceeded",
    "Refused",
    "Stamp",
    "State",
    "Statistics",
    "StorageFailed",
    "StorageFull",
    "StoredBody",
    "SystemClock",
    "TooLarge",
    "Unavailable",
    "Unsupported",
    "Upload",
    "open_engine",
]
