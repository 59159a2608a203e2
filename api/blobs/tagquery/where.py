"""Find Blobs by Tags: the `where` parameter (docs/wire/blobs.md, section 6), as one interval per key.

An index can look up each interval; `matches` evaluates a single blob. Values are strings and compare by code
point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from retain.api.blobs.tagquery.words import CONTAINER, QueryError, Sort, Word, tag_value, unexpected, words
from retain.api.blobs.wire.errors import invalid_parameter
from retain.api.blobs.wire.tags import MAX_TAGS

_MULTIPLE: Final = "can't have multiple conditions for a single tag unless they define a range"


@dataclass(frozen=True, slots=True)
class Interval:
    """The matching values of one key: None is unbounded, and equality is a closed interval of one value."""

    low: str | None = None
    low_closed: bool = True
    high: str | None = None
    high_closed: bool = True

    def holds(self, value: str) -> bool:
        """Return whether a value lies inside."""
        if self.low is not None and (value < self.low or (value == self.low and not self.low_closed)):
            return False
        return self.high is None or value < self.high or (value == self.high and self.high_closed)


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed query.

    The container it names, if any, and an interval for each key, in the order of the text.
    """

    container: str | None
    intervals: Mapping[str, Interval]

    def matches(self, tags: Mapping[str, str]) -> bool:
        """Return whether a blob with these tags is found; one without a key of the query never is."""
        for key, interval in self.intervals.items():
            value = tags.get(key)
            if value is None or not interval.holds(value):
                return False
        return True

    def named(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that a result lists: only those whose keys the query names."""
        return {key: value for key, value in tags.items() if key in self.intervals}


def parse_where(text: str | None, *, in_container: bool = False) -> Where:
    """Read the `where` parameter; `in_container` for a query that cannot name another container.

    Raises AzureError InvalidQueryParameterValue with the position of the error.
    """
    if text is None or not text.strip():
        raise invalid_parameter(
            "where", text or "", "The query is empty.", str(QueryError(1, "unexpected end of query"))
        )
    try:
        return read_where(text, in_container=in_container)
    except QueryError as error:
        raise invalid_parameter("where", text, str(error), str(error)) from None


def read_where(text: str, *, in_container: bool = False) -> Where:
    """Read it as `parse_where` does, for callers that show the position themselves. Raises QueryError."""
    rest = iter(words(text))
    container: str | None = None
    intervals: dict[str, Interval] = {}
    while True:
        key, operator, value = next(rest), next(rest, None), next(rest, None)
        if key.sort is not Sort.KEY:
            raise unexpected(key)
        if operator is None or operator.sort is not Sort.OPERATOR or operator.meaning == "<>":
            raise unexpected(operator or key)
        if value is None or value.sort is not Sort.VALUE:
            raise unexpected(value or operator)
        if key.meaning == CONTAINER:
            container = _container(key, operator, value, container, in_container)
        else:
            wanted = _narrow(intervals.get(key.meaning), operator.meaning, tag_value(value), key.position)
            intervals[key.meaning] = wanted
            if len(intervals) > MAX_TAGS:
                raise QueryError(None, f"there can be at most {MAX_TAGS} unique tags in a query")
        joint = next(rest)
        if joint.sort is Sort.END:
            return Where(container, intervals)
        if joint.sort is not Sort.AND:
            raise unexpected(joint)


def _container(key: Word, operator: Word, value: Word, before: str | None, in_container: bool) -> str:
    if in_container:
        raise unexpected(key)
    if operator.meaning != "=":
        raise unexpected(operator)
    if before is not None:
        raise QueryError(key.position, _MULTIPLE)
    return value.meaning


def _narrow(before: Interval | None, operator: str, value: str, position: int) -> Interval:
    """Add a condition to a key: one lower and one upper bound at most, equality only alone."""
    if operator == "=":
        if before is not None:
            raise QueryError(position, _MULTIPLE)
        return Interval(value, True, value, True)
    interval = before or Interval()
    closed = operator.endswith("=")
    if operator.startswith(">"):
        if interval.low is not None:
            raise QueryError(position, _MULTIPLE)
        return Interval(value, closed, interval.high, interval.high_closed)
    if interval.high is not None:
        raise QueryError(position, _MULTIPLE)
    return Interval(interval.low, interval.low_closed, value, closed)
