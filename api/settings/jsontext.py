"""JSON texts from clients, read strictly (docs/wire/settings.md, section 6; RFC 8259, I-JSON RFC 7493)."""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any, NoReturn

import trio

from retain.engine.core.errors import Invalid
from retain.engine.settings import EncodedValue
from retain.engine.settings.value import depth_of, to_text

THREAD_BYTES = 256 << 10
"""From this size on a text is read in a thread, so that others are served meanwhile."""

# One possessive pass: an unfinished string runs to the end instead of being tried again from every quote in
# it.
_NOT_BRACKETS = re.compile(r'"[^"\\]*(?:\\.?[^"\\]*)*(?:"|\Z)|[^"\[\]{}]+', re.DOTALL)
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}


async def read_json(data: bytes, max_depth: int) -> EncodedValue:
    """Return the value of a JSON text.

    Args:
        data: The text, UTF-8.
        max_depth: How deep it may be nested.

    Raises:
        Invalid: Not JSON; or JSON that two readers could read differently or that cannot be stored exactly:
            doubled names, NaN and infinities, numbers too large, lone surrogates, a byte order mark; or
            nested too deep.
    """
    if len(data) < THREAD_BYTES:
        return parse(data, max_depth)
    return await trio.to_thread.run_sync(parse, data, max_depth)


def parse(data: bytes, max_depth: int) -> EncodedValue:
    """`read_json`, blocking."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8", reason="json") from None
    depth = None
    if text.count("[") + text.count("{") > max_depth:
        depth = nesting(text)
        if depth > max_depth:
            raise Invalid(f"nested deeper than {max_depth}", reason="depth")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        return EncodedValue(value, to_text(value), depth_of(value) if depth is None else depth)
    except UnicodeEncodeError:
        raise Invalid("a string holds half a character", reason="json") from None
    except ValueError:
        # Also an integer of more digits than Python converts (4,300): a quadratic conversion is an attack.
        raise Invalid("the body is not JSON", reason="json") from None


def nesting(text: str) -> int:
    """How deep brackets are nested outside strings; linear, and without recursion."""
    brackets = _NOT_BRACKETS.sub("", text)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("a name stands twice in one object", reason="json")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Invalid(f"{name} is not JSON", reason="json")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise Invalid("a number is too large", reason="json")
    return number
