"""The engine: what is kept, for how long, and who changed it. Embeddable in any Trio program, without
HTTP."""

from engine.body import Body, Held, Inline, OnDisk
from engine.clock import Clock, SystemClock
from engine.command import Command, Decision
from engine.engine import Engine, open_engine
from engine.errors import (
    Closed,
    Conflict,
    EngineError,
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
from engine.event import Cause, Event, Stamp, Surface
from engine.options import Options
from engine.state import State
from engine.statistics import Statistics
from engine.uploads import Download, Upload

__all__ = [
    "Body",
    "Cause",
    "Clock",
    "Closed",
    "Command",
    "Conflict",
    "Decision",
    "Download",
    "Engine",
    "EngineError",
    "Event",
    "Forbidden",
    "Held",
    "Inline",
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
    "Surface",
    "SystemClock",
    "TooLarge",
    "Unavailable",
    "Unsupported",
    "Upload",
    "open_engine",
]
