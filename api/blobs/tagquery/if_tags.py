"""Conditions on tags: `x-ms-if-tags` and `x-ms-source-if-tags` (docs/wire/blobs.md, section 6).

The grammar of `where` without `@container`, plus `<>`, OR and parentheses; AND binds tighter than OR.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from retain.api.blobs.tagquery.words import CONTAINER, QueryError, Sort, Word, tag_value, unexpected, words
from retain.api.blobs.wire.errors import invalid_header
from retain.engine.blobs.tag_condition import AllOf, AnyOf, Comparison, Expression

MAX_DEPTH: Final = 32


def parse_if_tags(text: str, header: str) -> Expression:
    """Read a tag condition. Raises AzureError InvalidHeaderValue naming `header`."""
    try:
        reader = _Reader(iter(words(text)))
        expression = reader.any_of(0)
        reader.expect(Sort.END)
    except QueryError as error:
        raise invalid_header(header, text, reason=str(error)) from None
    return expression


class _Reader:
    """Recursive descent with one word of look-ahead; depth is bounded by MAX_DEPTH."""

    def __init__(self, rest: Iterator[Word]) -> None:
        self._rest = rest
        self._word = next(rest)

    def expect(self, sort: Sort) -> Word:
        """Take a word of that sort, or raise QueryError."""
        word = self._word
        if word.sort is not sort:
            raise unexpected(word)
        if sort is not Sort.END:
            self._word = next(self._rest)
        return word

    def any_of(self, depth: int) -> Expression:
        """Parse `all_of ( OR all_of )*`."""
        parts = [self._all_of(depth)]
        while self._word.sort is Sort.OR:
            self.expect(Sort.OR)
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all_of(self, depth: int) -> Expression:
        parts = [self._part(depth)]
        while self._word.sort is Sort.AND:
            self.expect(Sort.AND)
            parts.append(self._part(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _part(self, depth: int) -> Expression:
        if self._word.sort is Sort.OPEN:
            if depth == MAX_DEPTH:
                raise QueryError(self._word.position, "parentheses are nested too deeply")
            self.expect(Sort.OPEN)
            inner = self.any_of(depth + 1)
            self.expect(Sort.CLOSE)
            return inner
        key = self.expect(Sort.KEY)
        if key.meaning == CONTAINER:
            raise unexpected(key)
        compared = self.expect(Sort.OPERATOR)
        return Comparison(key.meaning, compared.meaning, tag_value(self.expect(Sort.VALUE)))
