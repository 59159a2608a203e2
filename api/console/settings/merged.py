"""The merged settings as lines, each with the level that it comes from and what it overrides."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from markupsafe import Markup

from retain.api.html.filters import isolated

WORDS: Final = {"app": "Application", "user": "User", "device": "Device"}
_OVER: Final = {"app": "of the application", "user": "of the user", "device": "of the device"}
LINES_MAX: Final = 500
"""Most lines that are shown: a document may have half a million."""
_OVER_MAX: Final = 120
"""Most characters of an overridden value that are shown."""

Layer = tuple[str, Any]
"""A level's name and its value."""


@dataclass(frozen=True, slots=True)
class MergedLine:
    """A line of the merged JSON.

    Attributes:
        depth: How far it is indented.
        code: The JSON.
        origin: The level that it comes from; empty if several levels share it.
        over: The overridden value, in words; empty if none.
    """

    depth: int
    code: str
    origin: str = ""
    over: str = ""

    @property
    def shown(self) -> Markup:
        """Return the JSON as a page shows it."""
        return isolated(self.code)

    @property
    def over_shown(self) -> Markup:
        """Return what it overrides, as a page shows it."""
        return isolated(self.over)


def lines(layers: Sequence[Layer]) -> list[MergedLine]:
    """Return the layers (lowest first) laid over one another, by the rule of `engine.settings.merge`."""
    if not layers:
        return []
    found = list(islice(_value(list(layers), "", "", 0), LINES_MAX + 1))
    if len(found) > LINES_MAX:
        found[LINES_MAX:] = [MergedLine(0, "…", "", f"only the first {LINES_MAX:,} lines are shown")]
    return found


def _value(layers: list[Layer], start: str, end: str, depth: int) -> Iterator[MergedLine]:
    origin, value = layers[-1]
    if not isinstance(value, dict):
        below = layers[-2] if len(layers) > 1 else None
        yield MergedLine(depth, f"{start}{_text(value)}{end}", origin, "" if below is None else _over(below))
        return
    objects = _objects_on_top(layers)
    hidden = layers[-len(objects) - 1] if len(layers) > len(objects) else None
    shared = origin if len(objects) == 1 else ""
    over = "" if hidden is None else _over(hidden)
    names = list(dict.fromkeys(name for _, members in objects for name in members))
    if not names:
        yield MergedLine(depth, f"{start}{{}}{end}", shared, over)
        return
    yield MergedLine(depth, f"{start}{{", shared, over)
    for number, name in enumerate(names, 1):
        inner = [(level, members[name]) for level, members in objects if name in members]
        comma = "," if number < len(names) else ""
        yield from _value(inner, f"{_text(name)}: ", comma, depth + 1)
    yield MergedLine(depth, f"}}{end}")


def _objects_on_top(layers: list[Layer]) -> list[Layer]:
    """Return the layers above the highest that is no object, which hides all below it."""
    top: list[Layer] = []
    for layer in reversed(layers):
        if not isinstance(layer[1], dict):
            break
        top.append(layer)
    return top[::-1]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _over(layer: Layer) -> str:
    text = _text(layer[1])
    short = text if len(text) <= _OVER_MAX else f"{text[:_OVER_MAX]}…"
    return f"over {short} {_OVER[layer[0]]}"
