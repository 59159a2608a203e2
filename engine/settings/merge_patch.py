"""JSON Merge Patch (RFC 7396), the meaning of PATCH (docs/wire/settings.md, section 5)."""

from __future__ import annotations

from typing import Any

from retain.engine.settings.model import MISSING, Missing
from retain.engine.settings.value import measure, member_size


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch (RFC 7396 section 2) without changing `target`.

    Objects merge member by member, null removes, all else replaces.
    """
    return merge_sized(target, patch)[0]


def merge_sized(target: Any, patch: Any) -> tuple[Any, int]:
    """Apply a merge patch (RFC 7396 section 2) without changing `target`; also return the growth in bytes.

    Objects merge member by member, null removes, all else replaces. Growth is counted in bytes of compact
    JSON.
    """
    if not isinstance(patch, dict):
        return patch, measure(patch) - measure(target)
    base, difference = (target, 0) if isinstance(target, dict) else ({}, 2 - measure(target))
    merged = dict(base) if patch else base
    for name, change in patch.items():
        old = merged.get(name, MISSING)
        if change is None:
            if not isinstance(old, Missing):
                del merged[name]
                difference -= member_size(name) + measure(old)
            continue
        merged[name], longer = merge_sized(old, change)
        difference += longer + (member_size(name) if isinstance(old, Missing) else 0)
    return merged, difference + commas(merged) - commas(base)


def commas(members: dict[str, Any]) -> int:
    """Return how many commas an object with these members has."""
    return max(0, len(members) - 1)
