"""Conditions on a blob's tags, as values that a command can carry to another process."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_COMPARE: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of one key with a value. A blob without the key fails it, also with `<>`."""

    key: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part must hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part must hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class SameTags:
    """The tags are these and no others, in this order: lines `key=value`."""

    lines: str


Expression = Comparison | AllOf | AnyOf | SameTags


def matches(expression: Expression, tags: Mapping[str, str]) -> bool:
    """Return whether tags satisfy an expression."""
    if isinstance(expression, AllOf):
        return all(matches(part, tags) for part in expression.parts)
    if isinstance(expression, AnyOf):
        return any(matches(part, tags) for part in expression.parts)
    if isinstance(expression, SameTags):
        return "\n".join(f"{key}={value}" for key, value in tags.items()) == expression.lines
    value = tags.get(expression.key)
    return value is not None and _COMPARE[expression.operator](value, expression.value)
