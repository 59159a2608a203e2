"""Role lists: who may read and write a configuration at global level (docs/wire/settings.md, section 7).

A list is directly in a configuration, and applies to all of it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from retain.engine.core.errors import Invalid
from retain.engine.settings.model import METADATA, Asker, Path


class Right(StrEnum):
    """What a list grants; the value is its name in lower case.

    Both `readRoles` and `ReadRoles` occur (docs/wire/settings.md, section 11.13).
    """

    READ = "readroles"
    WRITE = "writeroles"


_LISTS = frozenset(Right)

ROLES_MAX = 1_000
"""Most roles in one list."""


def permits(configuration: Any, right: Right, asker: Asker) -> bool:
    """Return whether `asker` has `right` over a configuration.

    That is by one of the asker's roles, or because nothing restricts it.
    """
    if asker.admin or not isinstance(configuration, dict) or METADATA not in configuration:
        return True
    wanted = required(configuration[METADATA], right)
    return wanted is None or not wanted.isdisjoint(asker.roles)


def required(metadata: Any, right: Right) -> frozenset[str] | None:
    """Return the roles of which one is needed; None if everyone may.

    Lists are checked before they are stored, but an import may contain any value: one that is not a list of
    names grants nothing.
    """
    if not isinstance(metadata, Mapping):
        return frozenset()
    lists = [value for name, value in metadata.items() if name.lower() == right]
    if any(not isinstance(value, list) for value in lists):
        return frozenset()
    if not any(lists):
        return None
    return frozenset(role for value in lists for role in value if isinstance(role, str))


def check_metadata(metadata: Any) -> None:
    """Check the role lists that a client sets.

    Raises:
        Invalid: Not an object, a list that is none, a role that is no name, or one list in both spellings.
    """
    if not isinstance(metadata, dict):
        raise Invalid(f"{METADATA} must be an object", reason="metadata")
    names = [name.lower() for name in metadata if name.lower() in _LISTS]
    if len(set(names)) != len(names):
        raise Invalid("the object has a list of roles in two spellings", reason="metadata")
    for name, roles in metadata.items():
        if name.lower() in _LISTS and not (
            isinstance(roles, list) and len(roles) <= ROLES_MAX and all(_is_role(role) for role in roles)
        ):
            raise Invalid(f"{name} must be an array of role names", reason="metadata")


def _is_role(role: Any) -> bool:
    return isinstance(role, str) and 0 < len(role) <= 255


def as_stored(document: Any, path: Path) -> Path:
    """Return the path with `readRoles` and `writeRoles` below `__metadata` spelled as they are stored."""
    if len(path) < 3 or path[1] != METADATA or path[2].lower() not in _LISTS:
        return path
    configuration = document.get(path[0]) if isinstance(document, dict) else None
    metadata = configuration.get(METADATA) if isinstance(configuration, dict) else None
    if not isinstance(metadata, dict) or path[2] in metadata:
        return path
    stored = next((name for name in metadata if name.lower() == path[2].lower()), path[2])
    return (*path[:2], stored, *path[3:])


def without_metadata(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a level document without role lists, as merged reads show it.

    See docs/wire/settings.md, section 4.
    """
    return {name: bare(configuration) for name, configuration in document.items()}


def bare(configuration: Any) -> Any:
    """Return one configuration without its role lists."""
    if not isinstance(configuration, dict) or METADATA not in configuration:
        return configuration
    return {name: value for name, value in configuration.items() if name != METADATA}
