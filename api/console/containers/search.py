"""A search by tags: the expression of *Find Blobs by Tags*, the position of an error in it, and a builder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from retain.api.blobs.tagquery.words import QueryError


@dataclass(frozen=True, slots=True)
class QueryFault:
    """An error in an expression.

    Attributes:
        before: The text before the error.
        wrong: The wrong part.
        after: The text after it.
        words: The error, as a sentence.
        repair: The corrected expression, if a correction is known.
    """

    before: str
    wrong: str
    after: str
    words: str
    repair: str | None = None


_OPERATOR_BEFORE = re.compile(r"[=<>]\s*\Z")
_WORD = re.compile(r"[^\s'\"]+")


def fault_of(text: str, error: QueryError) -> QueryFault:
    """Return the error in `text`, and its position."""
    if error.position is None or error.position > len(text):
        reason = "it is incomplete" if "unexpected end" in error.reason else error.reason
        return QueryFault(text, "", "", f"The expression as a whole: {reason}.")
    at = error.position - 1
    before, rest = text[:at], text[at:]
    word = _WORD.match(rest)
    wrong = word[0] if word else rest[:1]
    after = rest[len(wrong) :]
    if word and _OPERATOR_BEFORE.search(before):
        words = f"At character {error.position}: put the value in single quotes."
        return QueryFault(before, wrong, after, words, f"{before}'{wrong}'{after}")
    return QueryFault(before, wrong, after, f"At character {error.position}: {error.reason}.")


def built(fields: Mapping[str, str]) -> str:
    """Return the expression of the builder's fields; empty if none is filled."""
    conditions = [
        ("RecordingType = ", fields.get("kind", "")),
        ("StoredTime >= ", fields.get("stored_from", "")),
        ("StoredTime < ", fields.get("stored_to", "")),
    ]
    quoted = [f"{start}'{value.replace(chr(39), chr(39) * 2)}'" for start, value in conditions if value]
    return " AND ".join(quoted)
