"""Merging the levels for reading: device over user over application (docs/wire/settings.md, section 4).

This is not a merge patch: a null of a level closer to the device wins and is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from retain.engine.settings.model import MISSING, Path


def overlay(below: Any, above: Any) -> Any:
    """Merge `above` over `below`: objects merge by member, everything else of `above` replaces."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    merged = dict(below)
    for name, value in above.items():
        merged[name] = overlay(merged[name], value) if name in merged else value
    return merged


def resolve(layers: Sequence[Any], path: Path) -> Any:
    """Return the value under `path` in the merged layers (lowest first); `MISSING` if there is none.

    The same as merging everything and walking then, at the cost of what is under the path.
    """
    visible = descend(layers, path)
    return reduce(overlay, visible) if visible else MISSING


def descend(layers: Sequence[Any], path: Path) -> list[Any]:
    """Return the parts of the layers under `path` that show; empty if nothing does."""
    found = list(layers)
    for name in path:
        found = [layer[name] for layer in _objects_on_top(found) if name in layer]
    return found


def is_blocked(layers: Sequence[Any], path: Path) -> bool:
    """Return whether a primitive or an array is where `path` needs an object."""
    found = list(layers)
    for name in path:
        if found and not isinstance(found[-1], dict):
            return True
        found = [layer[name] for layer in _objects_on_top(found) if name in layer]
    return False


def _objects_on_top(layers: list[Any]) -> list[dict[str, Any]]:
    """Return the layers above the highest that is no object: it hides all below it, and has no members."""
    top: list[dict[str, Any]] = []
    for layer in reversed(layers):
        if not isinstance(layer, dict):
            break
        top.append(layer)
    return top[::-1]
