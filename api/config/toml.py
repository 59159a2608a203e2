"""Reads TOML. An error names the line, and the earlier line that it contradicts."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_LINE = re.compile(r"at line (\d+)")
_TABLE = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")


def tables(text: str) -> dict[str, Any]:
    """Return the tables of a file with this text.

    Raises:
        ValueError: The text is not TOML; the message says which line, and what to do.

    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_declared_twice(text, error) or f"is not TOML: {error}") from None


def _declared_twice(text: str, error: tomllib.TOMLDecodeError) -> str | None:
    """Return what is wrong if a table or a key is there a second time; None if it is something else.

    Of the message only the number of the line is used; an error at the end of the file has none.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    found = _LINE.search(str(error))
    last = int(found[1]) if found else len(lines)
    if (table := _TABLE.match(lines[last - 1])) is not None:
        first = _first(lines[: last - 1], table[1])
        if first is None:
            return None
        return (
            f"line {last}: the table [{table[1]}] is declared already in line {first}; "
            f"move the keys below line {last} to that table and remove line {last}"
        )
    if (key := _KEY.match(lines[last - 1])) is None:
        return None
    for number in range(last - 1, 0, -1):
        if lines[number - 1].lstrip().startswith("["):
            return None
        earlier = _KEY.match(lines[number - 1])
        if earlier is not None and earlier[1] == key[1]:
            return (
                f"line {last}: the key {key[1]} is set already in line {number}; remove one of the two lines"
            )
    return None


def _first(lines: list[str], table: str) -> int | None:
    """Return the line, counted from 1, that declares the table; lines within a text do not."""
    for number, line in enumerate(lines, 1):
        match = _TABLE.match(line)
        if match is not None and match[1] == table and _whole("\n".join(lines[: number - 1])):
            return number
    return None


def _whole(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
