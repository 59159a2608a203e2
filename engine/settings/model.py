"""The data of the settings: places, documents, callers, and the operator's policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""Names from a level document downwards: configuration, property, property of that, and so on."""

METADATA: Final = "__metadata"
"""The member of a configuration that holds its role lists (docs/wire/settings.md, section 7)."""


class Missing:
    """The type of `MISSING`: no value, which is not the same as a stored null."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Level(IntEnum):
    """The three storage levels (docs/wire/settings.md, section 1). On disk: numbers never move."""

    GLOBAL = 0
    USER = 1
    DEVICE = 2


class Place(NamedTuple):
    """Which level document. Every device document knows its creator, whether or not devices are shared.

    Attributes:
        application: The application's id.
        level: Global, user or device.
        device: The device's id at device level, else empty.
        user: The owner at user level, the creator at device level, else empty.

    """

    application: str
    level: int
    device: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One level document.

    Its value is never changed in place: a change makes a new one that shares what is unchanged.

    Attributes:
        resource: 16 random bytes that name it in the journal.
        revision: Counts its changes, from 1.
        value: Configuration name to value.
        size: Bytes of the value as compact JSON.
        born: When it was created, nanoseconds since the epoch.
        first: Sequence number of the record that created it: where its history begins.
    """

    resource: bytes
    revision: int
    value: dict[str, Any]
    size: int
    born: int
    first: int

    @property
    def tag(self) -> str:
        """A name for this state of this document only, also after it is deleted and created again."""
        return tag_of(self.resource, self.revision)


def tag_of(resource: bytes, revision: int) -> str:
    """Return the tag of a document; see `Document.tag`."""
    return f"{resource[:6].hex()}.{revision}"


@dataclass(frozen=True, slots=True)
class Asker:
    """The caller, as far as rights depend on it.

    Attributes:
        name: The authenticated user's name.
        roles: Role names, compared with case.
        admin: Passes every list of roles, and may act for any user (docs/wire/settings.md, section 7).

    """

    name: str
    roles: frozenset[str] = frozenset()
    admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPolicy:
    """What the operator allows. Every command has it, so the engine needs no configuration of its own.

    Attributes:
        applications: The only valid application ids; empty: any, created by the first write.
        put_creates: PUT creates what is missing at every level, not only at device level
            (docs/wire/settings.md, section 11.2).
        allow_object_arrays: Arrays may hold objects (docs/wire/settings.md, section 11.26).
        global_create_roles: Who may create configurations at global level; empty: everyone.
        admin_metadata: Only admins set role lists (docs/wire/settings.md, section 11.24).
        shared_devices: Each user has a separate document for the device, instead of the first writer owning
            it (docs/wire/settings.md, section 11.15).
        max_document_bytes: Bytes of one level document as compact JSON, at most `DOCUMENT_BYTES_MAX`.
        max_depth: How deep JSON may be nested, including the path of the target.
        quota_application_bytes: Bytes of all documents of one application; 0: any number.
        quota_devices: Device documents of one user in one application; 0: any number.
    """

    applications: frozenset[str] = frozenset()
    put_creates: bool = False
    allow_object_arrays: bool = False
    global_create_roles: frozenset[str] = frozenset()
    admin_metadata: bool = False
    shared_devices: bool = False
    max_document_bytes: int = 4 << 20
    max_depth: int = 64
    quota_application_bytes: int = 0
    quota_devices: int = 0

    def __post_init__(self) -> None:
        assert 0 < self.max_document_bytes <= DOCUMENT_BYTES_MAX
        assert 0 < self.max_depth <= 200


DOCUMENT_BYTES_MAX = 4 << 20
"""A whole document, deflated, must fit into one frame of the journal: text in UTF-8 keeps at most 7 of 8
bits."""


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The preconditions of a request (RFC 9110 section 13). Tags are without their quotes.

    Attributes:
        match: One of these must be the present tag; None: no such condition.
        match_any: The target must exist.
        none_match: None of these may be the present tag; None: no such condition.
        none_match_any: The target must not exist.

    """

    match: frozenset[str] | None = None
    match_any: bool = False
    none_match: frozenset[str] | None = None
    none_match_any: bool = False


UNCONDITIONAL = Preconditions()
