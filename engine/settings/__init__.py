"""Settings: JSON configuration at application, user and device level, with roles (SAP Mobile Services).

An embedding program submits the commands of `engine.settings.commands` and reads with
`engine.settings.queries`. This package has no HTTP and no sessions; each command carries its caller and the
operator's policy.
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
