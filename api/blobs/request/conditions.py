"""Conditional headers (docs/wire/blobs.md, section 7), with Azure's rules for combinations.

The engine checks the conditions of writes, in the step that decides them. This module parses the headers,
refuses combinations that a write may not have, and checks the conditions of reads. Names carry a prefix where
a request has several sets: `x-ms-source-` for a copy's source, `x-ms-blob-` for tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from retain.api.blobs.tagquery.if_tags import parse_if_tags
from retain.api.blobs.wire import etag
from retain.api.blobs.wire.errors import AzureError, invalid_header
from retain.api.blobs.wire.names import lease_id
from retain.api.blobs.wire.times import http_date, parse_http_date
from retain.engine.blobs.conditions import UNCONDITIONAL, Conditions, ETags
from retain.engine.blobs.tag_condition import matches
from retain.engine.core.time import SECOND

Header = Callable[[str], str | None]
"""Looks up a request header by its lower-case name."""

_SOURCE: Final = "x-ms-source-"


def parse_conditions(header: Header, *, prefix: str = "", write: bool = False) -> Conditions:
    """Read the conditional headers whose names start with `prefix`, the tag condition, and the lease id.

    Empty headers count as absent. Raises AzureError InvalidHeaderValue for a bad date or tag condition,
    and for a write MultipleConditionHeadersNotSupported (pairs that do not go together) or
    InvalidHeaderValue (two ETags).
    """
    names = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
    match, none_match, modified, unmodified = (header(prefix + name) or None for name in names)
    tags_name = f"{_SOURCE}if-tags" if prefix == _SOURCE else "x-ms-if-tags"
    tags_text = header(tags_name)
    lease = lease_id(header) if prefix != _SOURCE else None
    if not (match or none_match or modified or unmodified or tags_text or lease):
        return UNCONDITIONAL
    if write and (match or unmodified) and (none_match or modified):
        raise AzureError("MultipleConditionHeadersNotSupported")
    return Conditions(
        if_match=_etags(f"{prefix}if-match", match, single=write),
        if_none_match=_etags(f"{prefix}if-none-match", none_match, single=write),
        modified_since=_date(f"{prefix}if-modified-since", modified, write=write),
        unmodified_since=_date(f"{prefix}if-unmodified-since", unmodified, write=write),
        tags=parse_if_tags(tags_text, tags_name) if tags_text else None,
        lease=lease,
    )


def check_read(conditions: Conditions, tick: int, modified: int, tags: Mapping[str, str]) -> None:
    """Check the conditions of a read of an existing blob (its ETag, last write in ns and tags).

    Passes if IfMatch and IfUnmodifiedSince hold, and IfNoneMatch or IfModifiedSince does; absent ones do
    not count. Raises AzureError ConditionNotMet (412, or 304 for the last two, with the
    validators that RFC 9110, section 15.4.5 asks for) or UnsatisfiableCondition.
    """
    if conditions is UNCONDITIONAL:
        return
    if conditions.if_match is not None and not conditions.if_match.match(tick):
        raise AzureError("ConditionNotMet")
    if conditions.unmodified_since is not None and _is_later(modified, conditions.unmodified_since):
        raise AzureError("ConditionNotMet")
    if conditions.tags is not None and not matches(conditions.tags, tags):
        raise AzureError("ConditionNotMet")
    verdicts = []
    if conditions.if_none_match is not None:
        if conditions.if_none_match.any:
            raise AzureError("UnsatisfiableCondition")
        verdicts.append(not conditions.if_none_match.match(tick))
    if conditions.modified_since is not None:
        verdicts.append(_is_later(modified, conditions.modified_since))
    if verdicts and not any(verdicts):
        validators = (("ETag", etag.quoted(tick)), ("Last-Modified", http_date(modified)))
        raise AzureError("ConditionNotMet", status=304, headers=validators)


def _is_later(modified: int, time: int) -> bool:
    return modified // SECOND > time // SECOND


def _etags(name: str, value: str | None, *, single: bool) -> ETags | None:
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",")]
    if not all(parts) or (single and len(parts) > 1):
        raise invalid_header(name, value)
    numbers = (etag.parse(part) for part in parts)
    return ETags("*" in parts, frozenset(number for number in numbers if number is not None))


def _date(name: str, value: str | None, *, write: bool) -> int | None:
    """Read a date.

    A malformed one is ignored on a read (RFC 9110, section 13.1.3) and refused on a write: an ignored
    condition there could lose data.
    """
    if value is None:
        return None
    seconds = parse_http_date(value)
    if seconds is None and write:
        raise invalid_header(name, value)
    return None if seconds is None else seconds * SECOND
