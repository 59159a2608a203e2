"""JSON texts from clients, parsed strictly (docs/wire/settings.md, section 6; RFC 8259, I-JSON RFC 7493)."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NoReturn

from retain.engine import EngineAccess
from retain.engine.core.errors import Invalid
from retain.engine.settings import EncodedValue, sliced
from retain.engine.settings.sliced import LONG_BYTES
from retain.engine.settings.value import depth_of, to_text


async def read_json(engine: EngineAccess, data: bytes, max_depth: int) -> EncodedValue:
    """Return what `parse` does; a long text is read in a thread."""
    if len(data) <= LONG_BYTES:
        return parse(data, max_depth)
    return await engine.compute(partial(parse, data, max_depth))


async def json_text(engine: EngineAccess, value: Any) -> bytes:
    """Return what `to_text` does; a large value is written in a thread."""
    if sliced.is_small(value):
        return to_text(value)
    return await engine.compute(partial(to_text, value))


def parse(data: bytes, max_depth: int) -> EncodedValue:
    """Return the value of a JSON text, parsed in slices: in a thread, it does not block other requests.

    Args:
        data: The text, UTF-8.
        max_depth: How deep it may be nested.

    Raises:
        Invalid: Not JSON; or JSON that two readers could read differently or that cannot be stored exactly:
            doubled names, NaN and infinities, numbers too large, lone surrogates, a byte order mark; or
            nested too deep.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not UTF-8", reason="json") from None
    depth = None
    if text.count("[") + text.count("{") > max_depth:
        depth = sliced.nesting(text)
        if depth > max_depth:
            raise Invalid(f"nested deeper than {max_depth}", reason="depth")
    try:
        value = sliced.decode(text, _loads)
        return EncodedValue(value, to_text(value), depth_of(value) if depth is None else depth)
    except UnicodeEncodeError:
        raise Invalid("a string contains an unpaired surrogate", reason="json") from None
    except sliced.DoubledName as error:
        raise Invalid(str(error), reason="json") from None
    except ValueError:
        # Also an integer of more digits than Python converts (4,300): a quadratic conversion is an attack.
        raise Invalid("the body is not JSON", reason="json") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("a name occurs twice in one object", reason="json")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Invalid(f"{name} is not JSON", reason="json")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in {float("inf"), float("-inf")}:
        raise Invalid("a number is too large", reason="json")
    return number


_loads = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite).decode
