"""Settings as text: formatted, compared line by line, and checked with the position of an error."""

from __future__ import annotations

import json
from difflib import unified_diff
from typing import Any, Final

from retain.engine.settings import Missing

MOST_LINES: Final = 400
"""Longest texts that are compared: the comparison is quadratic."""
_WORDS: Final = {
    "Expecting ',' delimiter": "a comma is missing before this",
    "Expecting ':' delimiter": "a colon is missing before this",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing here",
    "Expecting value": "a value is missing here",
    "Unterminated string starting at": "a string begins here and does not end",
    "Extra data": "the JSON has ended before this",
    "Illegal trailing comma before end of object": "there is a comma too many here",
    "Illegal trailing comma before end of array": "there is a comma too many here",
}


def pretty(value: Any) -> str:
    """Return a value as indented JSON."""
    return "" if isinstance(value, Missing) else json.dumps(value, indent=2, ensure_ascii=False)


def diff(before: Any, after: Any) -> list[tuple[str, str]] | None:
    """Return the changes as (sign, line), with a line around each; None if the texts are too long."""
    old, new = pretty(before).splitlines(), pretty(after).splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return None
    found = list(unified_diff(old, new, n=1, lineterm=""))[2:]
    return [(line[0], line[1:]) for line in found if not line.startswith("@@")]


def mistake(text: str) -> str | None:
    """Return the first error of `text` as JSON, in words; None if it is JSON."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        words = _WORDS.get(error.msg, error.msg.lower())
        return f"Line {error.lineno}, column {error.colno}: {words}."
    except (ValueError, RecursionError):
        return None
    return None
