"""A search by tags: the expression of *Find Blobs by Tags*, its fault shown at its place, and a builder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from retain.api.blobs.tagquery.words import QueryError


@dataclass(frozen=True, slots=True)
class QueryFault:
    """An error in an expression.

    Attributes:
        before: The text before the fault.
        wrong: The faulty part.
        after: What follows it.
        words: What is wrong, as a sentence.
        repair: The whole expression with the fault repaired, if a repair is known.
    """

    before: str
    wrong: str
    after: str
    words: str
    repair: str | None = None


_OPERATOR_BEFORE = re.compile(r"[=<>]\s*\Z")
_WORD = re.compile(r"[^\s'\"]+")


def fault_of(text: str, error: QueryError) -> QueryFault:
    """Return what is wrong with `text`, and where."""
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
    """Return the expression that the builder's fields come to; empty if none is filled."""
    conditions = [
        ("RecordingType = ", fields.get("kind", "")),
        ("StoredTime >= ", fields.get("stored_from", "")),
        ("StoredTime < ", fields.get("stored_to", "")),
    ]
    quoted = [f"{start}'{value.replace(chr(39), chr(39) * 2)}'" for start, value in conditions if value]
    return " AND ".join(quoted)
