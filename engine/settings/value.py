"""JSON values of the settings: their text, their size, and the values that may not be stored.

See docs/wire/settings.md, section 6.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retain.engine.core.errors import Invalid
from retain.engine.settings import sliced
from retain.engine.settings.model import METADATA, Missing, SettingsPolicy


def to_text(value: Any) -> bytes:
    """Return the compact JSON text of `value`, UTF-8.

    Raises:
        UnicodeEncodeError: A string holds a lone surrogate, which no UTF-8 can carry.
        ValueError: A number is not finite.
    """
    return sliced.encode(value).encode()


def from_text(text: bytes) -> Any:
    """Return the value of a text that `to_text` made."""
    return sliced.decode(text.decode())


def measure(value: Any) -> int:
    """Return the bytes of `value` as compact JSON; 0 for what is missing."""
    return 0 if isinstance(value, Missing) else len(to_text(value))


def measure_at_once(value: Any) -> int:
    """Return what `measure` does; in one call, for values that are known to be short."""
    return 0 if isinstance(value, Missing) else len(sliced.encode_at_once(value).encode())


_PLAIN = re.compile(r"[ !#-\[\]-~]*").fullmatch
"""What JSON writes as it is: printable ASCII without quote and backslash."""


def member_size(name: str) -> int:
    """Return the bytes that a member of this name takes beside its value: the name, quotes and the colon."""
    return len(name) + 3 if _PLAIN(name) else len(to_text(name)) + 1


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """A value with its compact text, which is encoded once, for its size and for the journal.

    Attributes:
        value: The value; never changed in place.
        text: The result of `to_text`.
        depth: How deep it is nested, see `depth_of`.

    """

    value: Any
    text: bytes
    depth: int

    @classmethod
    def of(cls, value: Any) -> EncodedValue:
        """Return the body of `value`. Raises as `to_text`."""
        return cls(value, to_text(value), depth_of(value))


def check_body(body: EncodedValue, depth: int, policy: SettingsPolicy) -> None:
    """Check the value rule, for a body that is to be `depth` names below its level document.

    Args:
        body: The client's value.
        depth: Names in the path of the target.
        policy: Whether arrays may hold objects.

    Raises:
        Invalid: An array holds an object (docs/wire/settings.md, section 6); or `__metadata` is where
            it would have no force, which must not be ignored silently (docs/wire/settings.md, section 7).
    """
    arrays = not policy.allow_object_arrays and b"[" in body.text
    if arrays or METADATA.encode() in body.text:
        _check(body.value, depth, arrays)


def _check(value: Any, depth: int, arrays: bool) -> None:
    if isinstance(value, dict):
        if METADATA in value and depth != 1:
            raise Invalid(f"{METADATA} must be a direct member of a configuration", reason="metadata")
        for member in value.values():
            _check(member, depth + 1, arrays)
    elif isinstance(value, list) and value:
        if arrays and holds_object(value):
            raise Invalid("an array must not hold objects", reason="object-array")
        for item in value:
            _check(item, depth + 1, arrays)


def holds_object(items: list[Any]) -> bool:
    """Return whether there is an object in `items`, directly or in a nested array."""
    return any(isinstance(item, dict) or (isinstance(item, list) and holds_object(item)) for item in items)


def depth_of(value: Any, spend: Callable[[int], None] | None = None) -> int:
    """Return how deep `value` is nested: 0 for a primitive, 1 for an empty object or array.

    Args:
        value: The value.
        spend: Called with the number of values that are about to be visited; may raise to end the walk.

    """
    depth, layer = 0, [value]
    while True:
        layer = [item for item in layer if isinstance(item, dict | list)]
        if not layer:
            return depth
        depth += 1
        if spend is not None:
            spend(sum(map(len, layer)))
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, dict) else item)]


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON value (RFC 6902 section 4.6).

    A number is never a boolean; the order of members does not count.
    """
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) in _COMPARABLE and type(other) in _COMPARABLE and one == other


_COMPARABLE = {str, int, float}
