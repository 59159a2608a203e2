"""Walking and changing values by path. Nothing is changed in place, and what stays is shared."""

from collections.abc import Callable
from typing import Any

from retain.engine.settings.model import MISSING, Missing, Path
from retain.engine.settings.value import measure, member_size

Edit = Callable[[Any], tuple[Any, int]]
"""Old value (or `MISSING`) to new value (or `MISSING`) and by how many bytes of compact JSON it is longer."""


def walk(value: Any, path: Path) -> Any:
    """What stands under `path`; `MISSING` if nothing does. Array elements have no path
    (docs/wire/settings.md, section 2)."""
    for name in path:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(name, MISSING)
    return value


def update(value: Any, path: Path, edit: Edit) -> tuple[Any, int]:
    """The value with `edit` done to what stands under `path`, and the difference in size.

    Missing parents are made, parents that are no objects become objects: so that a change that was once
    decided always has a result.
    """
    if not path:
        return edit(value)
    base, difference = (value, 0) if isinstance(value, dict) else ({}, 2 - measure(value))
    name, rest = path[0], path[1:]
    old = base.get(name, MISSING)
    new, change = update(old, rest, edit)
    if new is old:
        return value, 0
    if isinstance(new, Missing):
        left = {other: member for other, member in base.items() if other != name}
        return left, change - member_size(name) - (1 if left else 0)
    if isinstance(old, Missing):
        change += member_size(name) + (1 if base else 0)
    return {**base, name: new}, difference + change


def setting(value: Any, size: int) -> Edit:
    """Replaces whatever is there by `value`, which takes `size` bytes."""
    return lambda old: (value, size - measure(old))


def removing(old: Any) -> tuple[Any, int]:
    """Removes what is there."""
    return MISSING, -measure(old)
