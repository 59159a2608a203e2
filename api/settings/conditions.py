"""Preconditions of requests (RFC 9110 section 13) and the tags they compare."""

from __future__ import annotations

import re

from retain.api.http.message import BadRequest, Request
from retain.engine.core.errors import PreconditionFailed
from retain.engine.settings import UNCONDITIONAL, Preconditions

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATOR = re.compile(r"[ \t]*,[ \t,]*")


def quoted(tag: str) -> str:
    """Return a tag as headers carry it. Always a strong one."""
    return f'"{tag}"'


def read_conditions(request: Request) -> Preconditions:
    """Return the request's preconditions.

    Raises:
        BadRequest: A header that is neither `*` nor a list of entity tags: ignoring it could lose an update.
    """
    match, match_any = _read(request, "If-Match", weak=False)
    none_match, none_match_any = _read(request, "If-None-Match", weak=True)
    if match is None and none_match is None and not match_any and not none_match_any:
        return UNCONDITIONAL
    return Preconditions(match, match_any, none_match, none_match_any)


def _read(request: Request, header: str, *, weak: bool) -> tuple[frozenset[str] | None, bool]:
    """Return (the tags, whether it is `*`).

    A weak tag never matches strongly, so it is left out where `weak` is false.
    """
    values = request.header_values(header)
    if not values:
        return None, False
    text = ", ".join(values)
    if text == "*":
        return None, True
    if not text:
        raise BadRequest(f"the header {header} is malformed")
    tags, position = set(), 0
    while position < len(text):
        found = _ETAG.match(text, position)
        if found is None:
            raise BadRequest(f"the header {header} is malformed")
        if weak or not found[1]:
            tags.add(found[2])
        position = found.end()
        if position < len(text):
            separator = _SEPARATOR.match(text, position)
            if separator is None:
                raise BadRequest(f"the header {header} is malformed")
            position = separator.end()
    return frozenset(tags), False


def is_unchanged(conditions: Preconditions, tag: str) -> bool:
    """Return whether the response to a read is 304.

    Raises:
        PreconditionFailed: `If-Match` does not hold.
    """
    if conditions.match is not None and tag not in conditions.match:
        raise PreconditionFailed("the document has changed", reason="match")
    return conditions.none_match_any or (conditions.none_match is not None and tag in conditions.none_match)
