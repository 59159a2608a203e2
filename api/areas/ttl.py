"""The time to live in a path (docs/wire/areas.md, section 5)."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\+?0*([0-9]+)")


def parse_ttl(text: str, *, default: int, maximum: int) -> int:
    """Seconds. What is no positive whole number in plain digits is an incorrect value, and that means
    `default`, never an error (docs/wire/areas.md, section 5); what is above `maximum` means `maximum`.

    `int()` is not asked first: it takes `1_000`, blanks and foreign digits, and refuses very long
    numbers.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return default
    digits = match[1]
    if len(digits) > 10:
        return maximum
    return min(int(digits), maximum) or default
