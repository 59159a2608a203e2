"""The time to live in a path (docs/wire/areas.md, section 5)."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\+?0*([0-9]+)")


def parse_ttl(text: str, *, default: int, maximum: int) -> int:
    """Return the time to live in seconds.

    Text that is not a positive whole number in plain digits is an incorrect value, which means `default`,
    never an error (docs/wire/areas.md, section 5); a number above `maximum` means `maximum`. `int()` is not
    tried first: it accepts `1_000`, blanks and foreign digits, and refuses very long numbers.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return default
    digits = match[1]
    if len(digits) > 10:
        return maximum
    return min(int(digits), maximum) or default
