"""Areas: forms of keys with texts and files, each key kept for its time to live (Genesys Mobile Services).

An embedding program submits `CreateArea`, `UpdateArea` and `DeleteArea`, and reads with the functions of
`engine.areas.queries`. This package has no HTTP and no forms; each command carries its time to live, whose
default is in `api.config.interfaces`.
"""

from __future__ import annotations

from retain.engine.areas.commands import (
    LONG_TEXT_BYTES,
    MAX_TTL,
    AreasPolicy,
    CreateArea,
    DeleteArea,
    NewFile,
    NewValue,
    UpdateArea,
)
from retain.engine.areas.slice import AreasSlice
from retain.engine.areas.state import AreaFile, Value

__all__ = [
    "LONG_TEXT_BYTES",
    "MAX_TTL",
    "AreaFile",
    "AreasPolicy",
    "AreasSlice",
    "CreateArea",
    "DeleteArea",
    "NewFile",
    "NewValue",
    "UpdateArea",
    "Value",
]
