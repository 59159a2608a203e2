"""Settings: JSON configuration at application, user and device level, with roles (SAP Mobile Services).

An embedding program submits the commands of `engine.settings.commands` and reads with
`engine.settings.queries`. Knows no HTTP and no session; who asks, and what the operator allows, come with
each command.
"""

from __future__ import annotations

from retain.engine.settings.commands import (
    DeleteValue,
    ImportDocument,
    MergeValue,
    PatchValue,
    PostValue,
    PutValue,
    RestateDocument,
    RestoreValue,
    WriteResult,
)
from retain.engine.settings.model import (
    METADATA,
    MISSING,
    UNCONDITIONAL,
    Asker,
    Document,
    Level,
    Missing,
    Path,
    Place,
    Preconditions,
    SettingsPolicy,
)
from retain.engine.settings.slice import SettingsSlice
from retain.engine.settings.value import EncodedValue

__all__ = [
    "METADATA",
    "MISSING",
    "UNCONDITIONAL",
    "Asker",
    "DeleteValue",
    "Document",
    "EncodedValue",
    "ImportDocument",
    "Level",
    "MergeValue",
    "Missing",
    "PatchValue",
    "Path",
    "Place",
    "PostValue",
    "Preconditions",
    "PutValue",
    "RestateDocument",
    "RestoreValue",
    "SettingsPolicy",
    "SettingsSlice",
    "WriteResult",
]
