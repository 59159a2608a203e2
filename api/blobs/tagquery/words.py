"""The words of tag queries (docs/wire/blobs.md, section 6), with the positions that error texts name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from retain.api.blobs.wire import tags

CONTAINER: Final = "@container"
MAX_TEXT: Final = 16 * 1024

RESERVED: Final = frozenset(
    {
        *(
            "ALL",
            "AND",
            "ANY",
            "AS",
            "ASC",
            "BETWEEN",
            "BY",
            "CASE",
            "CAST",
            "DESC",
            "DISTINCT",
            "ELSE",
            "END",
        ),
        *(
            "ESCAPE",
            "EXISTS",
            "FALSE",
            "FROM",
            "GROUP",
            "HAVING",
            "IN",
            "IS",
            "JOIN",
            "LIKE",
            "NOT",
            "NULL",
            "ON",
        ),
        *("OR", "ORDER", "SELECT", "THEN", "TRUE", "UNION", "WHEN", "WHERE"),
        *("DAY", "HOUR", "INTERVAL", "MINUTE", "MONTH", "SECOND", "TIMESTAMP", "YEAR"),
    }
)
"""Words of SQL and of its dates, which a key must quote: bare `Year` is refused (docs/wire/blobs.md, section
6)."""

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<value>'(?:[^']|'')*')
    |(?P<quoted>"[^"]*")
    |(?P<parameter>@[A-Za-z0-9_]*)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op><>|<=|>=|=|<|>)
    |(?P<paren>[()])""",
    re.VERBOSE | re.ASCII,
)


class QueryError(ValueError):
    """A tag query is malformed.

    The message names the position, counted from 1, as the service does; None if the query as a whole is
    wrong.

    Attributes:
        position: The position, counted from 1.
        reason: The error there.
    """

    def __init__(self, position: int | None, reason: str) -> None:
        self.position = position
        self.reason = reason
        place = "" if position is None else f" at or near character position {position}"
        super().__init__(f"Error parsing query{place}: {reason}")


class Sort(Enum):
    """The sort of a word."""

    KEY = "key"
    VALUE = "value"
    OPERATOR = "operator"
    AND = "and"
    OR = "or"
    OPEN = "("
    CLOSE = ")"
    END = "end"


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its sort, its meaning (unquoted), its text as written, its position counted from 1."""

    sort: Sort
    meaning: str
    text: str
    position: int


def words(query: str) -> list[Word]:
    """Split a query into its words, an END behind them. Raises QueryError."""
    if len(query) > MAX_TEXT:
        raise QueryError(MAX_TEXT, "the query is too long")
    found = []
    at = 0
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            raise QueryError(at + 1, f"unexpected '{query[at]}'")
        if match.lastgroup != "space":
            found.append(_word(match.lastgroup or "", match.group(), at + 1))
        at = match.end()
    found.append(Word(Sort.END, "", "", len(query) + 1))
    return found


def unexpected(word: Word) -> QueryError:
    """Return the error for a word in a place that does not allow it."""
    if word.sort is Sort.END:
        return QueryError(word.position, "unexpected end of query")
    return QueryError(word.position, f"unexpected '{word.text}'")


def _word(group: str, text: str, position: int) -> Word:
    if group == "value":
        return Word(Sort.VALUE, text[1:-1].replace("''", "'"), text, position)
    if group == "quoted":
        return Word(Sort.KEY, _key(text[1:-1], position), text, position)
    if group == "parameter":
        if text != CONTAINER:
            raise QueryError(position, f"unsupported parameter '{text}'")
        return Word(Sort.KEY, CONTAINER, text, position)
    if group == "op":
        return Word(Sort.OPERATOR, text, text, position)
    if group == "paren":
        return Word(Sort(text), text, text, position)
    upper = text.upper()
    if upper in ("AND", "OR"):
        return Word(Sort.AND if upper == "AND" else Sort.OR, text, text, position)
    if upper in RESERVED:
        raise QueryError(position, f"unexpected '{text}'")
    return Word(Sort.KEY, _key(text, position), text, position)


def _key(key: str, position: int) -> str:
    if not 1 <= len(key) <= tags.MAX_KEY:
        raise QueryError(position, f"tag must be between 1 and {tags.MAX_KEY} characters in length")
    if not tags.is_legal(key):
        raise QueryError(position, f"'{_illegal(key)}' not permitted in tag name or value")
    return key


def tag_value(word: Word) -> str:
    """Return the meaning of a VALUE that is compared with a tag. Raises QueryError if no tag can have it."""
    if len(word.meaning) > tags.MAX_VALUE:
        raise QueryError(
            word.position, f"tag value must be between 0 and {tags.MAX_VALUE} characters in length"
        )
    if not tags.is_legal(word.meaning):
        raise QueryError(word.position, f"'{_illegal(word.meaning)}' not permitted in tag name or value")
    return word.meaning


def _illegal(text: str) -> str:
    """Return the first character that no tag may have."""
    return next(character for character in text if not tags.is_legal(character))
