"""JSON of any size, read and written by short calls into C.

Python's `json` handles a whole text in one call, during which no other thread runs, not even the event
loop's: 4 MiB of small values took 0.3 s. Here each call handles one slice. The result is the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, islice
from typing import Any

SLICE_VALUES = 4096
"""Most values that one call writes, about 1 ms."""
SLICE_CHARACTERS = 16 << 10
"""Most characters that one call reads, a long string excepted; about 1 ms."""
GROUP = 256
"""Members of a large container that are weighed at once."""

_CONTAINERS = frozenset({dict, list, tuple})

LONG_BYTES = 64 << 10
"""Texts and documents up to this size are worked on in the event loop and at once: about 2 ms at most."""

_encode = encode_at_once = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _container(inner: str) -> str:
    return rf'(?:{_STRING}|[^"\[\]{{}}]{inner})*+'


def _nested(levels: int) -> str:
    """Return a pattern of brackets nested up to `levels` deep; `json` finds whether they fit."""
    return "" if not levels else rf"|[\[{{]{_container(_nested(levels - 1))}[\]}}]"


_MEMBER = rf'(?:{_STRING}|[^"\[\]{{}},]{_nested(12)})*+'
_MEMBERS = re.compile(rf"(?:{_MEMBER},)++", re.DOTALL).match
"""Members of a container, each with its comma."""
_LAST = re.compile(rf"{_MEMBER}[\]}}]", re.DOTALL).match
"""The last member of a container, or none, and its end."""
_TEXT = re.compile(_STRING, re.DOTALL).match
_WORD = re.compile(r'[^"\[\]{},:\s]++').match
_SPACE = re.compile(r"[ \t\n\r]*+").match
_CLOSING = {"[": "]", "{": "}"}

# One possessive pass: an unfinished string runs to the end instead of being tried again from every quote in
# it.
_NOT_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)|[^"\[\]{}]++', re.DOTALL)
_WHOLE = re.compile(rf'(?:{_STRING}|[^"]++)*+', re.DOTALL).match
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


def is_small(value: Any) -> bool:
    """Return whether `value` has at most `SLICE_VALUES` values in it. Examines few more than these."""
    return type(value) not in _CONTAINERS or _left(value, SLICE_VALUES) >= 0


def _left(value: Any, left: int) -> int:
    """Return how many of `left` values a container leaves; negative if it has more. Fast for small ones."""
    members = value.values() if type(value) is dict else value
    left -= len(members)
    if left < 0 or _CONTAINERS.isdisjoint(map(type, members)):
        return left
    for one in members:
        if type(one) in _CONTAINERS:
            left = _left(one, left)
            if left < 0:
                break
    return left


def _are_small(layer: Iterable[Any]) -> bool:
    """Return the same of values together. Fast for many of them."""
    left = SLICE_VALUES
    while layer := [one for one in layer if type(one) in _CONTAINERS]:
        left -= sum(map(len, layer))
        if left < 0:
            return False
        layer = list(chain.from_iterable([one.values() if type(one) is dict else one for one in layer]))
        if _CONTAINERS.isdisjoint(map(type, layer)):
            return True
    return True


def encode(value: Any) -> str:
    """Return the compact JSON text of `value`.

    Raises:
        ValueError: A number is not finite.
    """
    return _encode(value) if is_small(value) else "".join(_written(value))


def _written(value: Any) -> Iterator[str]:
    """Yield the text of a container in pieces."""
    members = isinstance(value, dict)
    items = iter(value.items() if members else value)
    yield "{" if members else "["
    comma = ""
    while group := list(islice(items, GROUP)):
        for piece in _group(group, members=members):
            yield comma
            yield from piece
            comma = ","
    yield "}" if members else "]"


def _group(group: list[Any], *, members: bool) -> Iterator[Iterator[str]]:
    """Yield the texts of members, several together where they are small."""
    if _are_small([value for _, value in group] if members else group):
        yield iter((_encode(dict(group) if members else group)[1:-1],))
    elif len(group) == 1:
        yield _named(*group[0]) if members else _written(group[0])
    else:
        half = len(group) // 2
        yield from _group(group[:half], members=members)
        yield from _group(group[half:], members=members)


def _named(name: Any, value: Any) -> Iterator[str]:
    yield _encode({name: 0})[1:-2]
    yield from _written(value)


def decode(text: str, loads: Callable[[str], Any] = json.loads) -> Any:
    """Return the value of a JSON text.

    Args:
        text: Nested at most some hundred levels deep: Python's own stack is used.
        loads: Reads a slice, as `json.loads` with hooks. Members of an object that come in several slices
            are put together here, and a name in two of them is refused.

    Raises:
        DoubledName: A name occurs twice in an object.
        ValueError: It is not JSON.
    """
    if len(text) <= SLICE_CHARACTERS:
        return loads(text)
    return _Reader(text, loads).whole()


class DoubledName(ValueError):
    """A name occurs twice in one object."""


class _Reader:
    def __init__(self, text: str, loads: Callable[[str], Any]) -> None:
        self._text = text
        self._loads = loads

    def whole(self) -> Any:
        value, at = self._value(self._space(0))
        if self._space(at) != len(self._text):
            raise ValueError("something follows the value")
        return value

    def _space(self, at: int) -> int:
        found = _SPACE(self._text, at)
        assert found is not None
        return found.end()

    def _value(self, at: int) -> tuple[Any, int]:
        if self._text[at : at + 1] in _CLOSING:
            return self._container(at)
        found = _TEXT(self._text, at) or _WORD(self._text, at)
        if found is None:
            raise ValueError("a value is missing")
        return self._loads(found.group()), found.end()

    def _container(self, at: int) -> tuple[Any, int]:
        """Return the container that opens at `at`, and where it ends."""
        text, opening = self._text, self._text[at]
        closing = _CLOSING[opening]
        value: Any = [] if opening == "[" else {}
        at, empty = at + 1, True
        while True:
            end = at + SLICE_CHARACTERS
            if some := _MEMBERS(text, at, end):
                self._add(value, f"{opening}{some.group()[:-1]}{closing}")
                at, empty = some.end(), False
                continue
            if last := _LAST(text, at, end):
                # `json` refuses mismatched brackets.
                self._add(value, opening + last.group(), may_be_empty=empty)
                return value, last.end()
            at = self._long_member(value, at)
            if text[at : at + 1] == closing:
                return value, at + 1
            if text[at : at + 1] != ",":
                raise ValueError("a comma is missing")
            at, empty = at + 1, False

    def _add(self, value: Any, slice_: str, *, may_be_empty: bool = False) -> None:
        part = self._loads(slice_)
        if not part and not may_be_empty:
            raise ValueError("a member is missing")
        if isinstance(value, list):
            value.extend(part)
            return
        if not value.keys().isdisjoint(part):
            raise DoubledName("a name occurs twice in one object")
        value.update(part)

    def _long_member(self, value: Any, at: int) -> int:
        """Add one member that is longer than a slice; return the position after it."""
        at = self._space(at)
        if isinstance(value, list):
            member, at = self._value(at)
            value.append(member)
            return self._space(at)
        found = _TEXT(self._text, at)
        if found is None:
            raise ValueError("a name is missing")
        name = self._loads(found.group())
        at = self._space(found.end())
        if self._text[at : at + 1] != ":":
            raise ValueError("a colon is missing")
        member, at = self._value(self._space(at + 1))
        if name in value:
            raise DoubledName("a name occurs twice in one object")
        value[name] = member
        return self._space(at)


def nesting(text: str) -> int:
    """Return how deep brackets are nested outside strings; linear, and without recursion."""
    at = depth = deepest = 0
    while at < len(text):
        whole = _WHOLE(text, at, at + SLICE_CHARACTERS)
        assert whole is not None
        if whole.end() == at:  # a string that is longer than a slice, or has no end
            whole = _NOT_BRACKETS.match(text, at)
            assert whole is not None
            at = whole.end()
            continue
        brackets = _NOT_BRACKETS.sub("", whole.group())
        heights = list(accumulate(map(_STEP.__getitem__, brackets), initial=depth))
        depth, deepest = heights[-1], max(deepest, *heights)
        at = whole.end()
    return deepest
