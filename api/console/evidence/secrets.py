"""What an auditor may not see of names: the generated id of an area, with which anybody reads its values.

The area is shown by its number instead. A reader who knows an id, for example from a complaint, finds
its records by the whole id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from retain.api.identity.roles import Role
from retain.engine.audit.log import AuditEntry

GENERATED: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""The form of a generated id."""


def guarded(role: Role | None) -> re.Pattern[str] | None:
    """Return the names that this role's patterns may not match; None if this role sees all names."""
    return None if role is Role.ADMINISTRATOR else GENERATED


def shown_to(role: Role | None, entries: Iterable[AuditEntry]) -> list[AuditEntry]:
    """Return the entries as this role may see them."""
    return list(entries) if role is Role.ADMINISTRATOR else [_without_id(one) for one in entries]


def area_name(role: Role | None, subject: str, number: str) -> str:
    """Return the name of an area as this role may see it; nothing for one without a `number`."""
    if guarded(role) is None or GENERATED.fullmatch(subject) is None:
        return subject
    return f"area {number}" if number else ""


def _without_id(entry: AuditEntry) -> AuditEntry:
    """Return the entry with its area's number in place of a generated id. A hold names what it holds."""
    if entry.interface == "settings" or GENERATED.fullmatch(entry.subject) is None:
        return entry
    target = (entry.details or {}).get("target")
    number = target if isinstance(target, str) and target else entry.resource
    return replace(entry, subject=f"area {number}")
