"""Reading and changing values by path. Nothing is changed in place; unchanged parts are shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retain.engine.settings.model import MISSING, Missing, Path
from retain.engine.settings.value import measure, member_size

Edit = Callable[[Any], tuple[Any, int]]
"""Old value (or `MISSING`) to new value (or `MISSING`) and by how many bytes of compact JSON it is longer."""


def walk(value: Any, path: Path) -> Any:
    """Return the value under `path`; `MISSING` if there is none.

    Array elements have no path (docs/wire/settings.md, section 2).
    """
    for name in path:
        if not isinstance(value, dict):
            return MISSING
        value = value.get(name, MISSING)
    return value


class DocumentDraft:
    """A document that many changes are made to, each object in it copied once.

    Attributes:
        value: The document after the changes so far. It shares unchanged parts with the original document,
            and must not be changed elsewhere while the draft is in use.

    """

    __slots__ = ("_ours", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._ours: dict[int, dict[str, Any]] = {}

    def change(self, path: Path, edit: Edit) -> int:
        """Apply `edit` to the value under `path`; return by how many bytes of compact JSON that is longer.

        Missing parents are created, and parents that are not objects become objects: a decided change always
        has a result.
        """
        old = walk(self.value, path)
        new, longer = edit(old)
        if new is old:
            return 0
        if not path:
            self.value = new
            return longer
        self.value, difference = self._own(self.value)
        longer += difference
        node: dict[str, Any] = self.value
        for name in path[:-1]:
            child = node.get(name, MISSING)
            if isinstance(child, Missing):
                longer += _member_cost(name, node)
            node[name], difference = self._own(child)
            longer += difference
            node = node[name]
        name = path[-1]
        if isinstance(new, Missing):
            del node[name]
            return longer - _member_cost(name, node)
        if isinstance(old, Missing):
            longer += _member_cost(name, node)
        node[name] = new
        return longer

    def _own(self, value: Any) -> tuple[dict[str, Any], int]:
        """Return an object that may be changed in place of `value`, and how much longer its text is."""
        if id(value) in self._ours:
            return value, 0
        copy, longer = (value.copy(), 0) if isinstance(value, dict) else ({}, 2 - measure(value))
        self._ours[id(copy)] = copy
        return copy, longer


def _member_cost(name: str, members: dict[str, Any]) -> int:
    """Return the bytes of a member's name, colon and comma beside the other `members`."""
    return member_size(name) + (1 if members else 0)


def setting(value: Any, size: int, measured: Callable[[Any], int] = measure) -> Edit:
    """Return an edit that replaces what is there by `value`, which takes `size` bytes."""
    return lambda old: (value, size - measured(old))


def removing(old: Any) -> tuple[Any, int]:
    """Remove what is there."""
    return MISSING, -measure(old)
