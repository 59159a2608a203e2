"""The commands on settings. They carry the policy and all random bytes.

Refusals, by class and `reason` (`-`: none), beside the shared `StorageFull`, `StorageFailed` and
`TooLarge(batch)`:

==================  ======================  =========================================================
class               reason                  when
==================  ======================  =========================================================
NotFound            -                       the target, or what it lies in, is not there
Conflict            -                       a POST of what is there; a restore of what has changed
Conflict            json-patch-target       an operation names a place that is not there
Forbidden           create                  the asker lacks the role to create a configuration
Forbidden           device                  the device is another user's
Forbidden           metadata                only administrators may set role lists
Forbidden           role                    the role lists do not let the asker read or write
PreconditionFailed  match                   `If-Match` does not hold
PreconditionFailed  none-match              `If-None-Match` does not hold
PreconditionFailed  json-patch-test         a test operation fails
Invalid             depth                   the document would be nested too deep
Invalid             json-patch              it is no JSON patch
Invalid             metadata                role lists in the wrong place, or malformed
Invalid             name                    no configuration can have this name
Invalid             object                  only an object can be here
Invalid             object-array            the policy admits no objects in arrays
TooLarge            -                       a patch copies more than a document may hold
TooLarge            json-patch-work         a patch costs more work than its size allows
QuotaExceeded       application             the policy's bytes of an application are used up
QuotaExceeded       devices                 the policy's devices of a user are used up
QuotaExceeded       document                the document would be larger than the policy allows
==================  ======================  =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from retain.engine.core.command import Command
from retain.engine.core.typed import Resource
from retain.engine.settings.json_patch import Step
from retain.engine.settings.model import UNCONDITIONAL, Asker, Path, Place, Preconditions, SettingsPolicy
from retain.engine.settings.value import EncodedValue


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The answer to a write.

    Attributes:
        created: Whether the target came into being.
        tag: The tag that a plain read of the target will show; empty if the write left nothing to read.

    """

    created: bool
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsWrite(Command[WriteResult]):
    """Base of the writes that clients ask for.

    Attributes:
        asker: Who asks. At device level, the user of `place` is the asker too.
        place: The level document.
        path: The path in it; empty for the whole.
        policy: The operator's policy.
        conditions: Preconditions; judged last, as they count only where the write would succeed.
        resource: 16 random bytes for the document, should this write make it.

    """

    METHOD: ClassVar[str]

    asker: Asker
    place: Place
    path: Path
    policy: SettingsPolicy
    conditions: Preconditions = UNCONDITIONAL
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class PostValue(SettingsWrite):
    """Create the target, which must not exist on its own level, from `body`."""

    METHOD: ClassVar[str] = "POST"

    body: EncodedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class PutValue(SettingsWrite):
    """Replace the target by `body`; at device level also create it."""

    METHOD: ClassVar[str] = "PUT"

    body: EncodedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeValue(SettingsWrite):
    """Merge `body` into the target (RFC 7396)."""

    METHOD: ClassVar[str] = "PATCH"

    body: EncodedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchValue(SettingsWrite):
    """Apply the `steps` of a JSON patch (RFC 6902) to the target, as it is on its own level.

    Attributes:
        steps: The operations.
        size: Bytes of the patch: it bounds the work that they may cost.

    """

    METHOD: ClassVar[str] = "PATCH"

    steps: tuple[Step, ...]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteValue(SettingsWrite):
    """Remove the target from its own level; without a path, end the document."""

    METHOD: ClassVar[str] = "DELETE"
    FREES_SPACE: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreValue(SettingsWrite):
    """Restore the value that the target had in an earlier revision.

    Attributes:
        body: That value.
        whose: The resource of the document that the revision belongs to.

    """

    METHOD: ClassVar[str] = "RESTORE"

    body: EncodedValue
    whose: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportDocument(Command[bool]):
    """Record one level document in full, without regard to roles, ownership and the rule on arrays.

    See docs/wire/settings.md, section 11.26. Result: whether that changed the document.

    Attributes:
        place: The level document.
        value: The document; None ends it.
        policy: The operator's policy, for its bounds.
        resource: 16 random bytes, should the document be new.
    """

    place: Place
    value: Mapping[str, Any] | None
    policy: SettingsPolicy
    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class RestateDocument(Command[bool]):
    """Record a document in full, unchanged, so that its older records may be erased.

    Result: whether the document exists.
    """

    place: Place
