"""Range requests (docs/wire/blobs.md, section 5.3).

Two forms are supported; others are ignored, as by the real service.
"""

from __future__ import annotations

import re
from typing import Final

from retain.api.blobs.wire.errors import AzureError

_RANGE: Final = re.compile(r"bytes=(\d{1,19})-(\d{0,19})", re.ASCII)


def parse_range(range_header: str | None, own_header: str | None, size: int) -> tuple[int, int] | None:
    """Return the range of a blob of `size` bytes that is requested: [start, stop), or None for the whole.

    `own_header` is `x-ms-range`, which takes precedence over `Range`. Only `bytes=s-` and `bytes=s-e` count;
    a suffix, several ranges, a reversed one or garbage mean the whole blob. Raises AzureError InvalidRange
    (416) with the `Content-Range` of the whole if the range starts at or after the end, so always for an
    empty blob.
    """
    match = _RANGE.fullmatch((own_header or range_header or "").strip())
    if match is None:
        return None
    start = int(match[1])
    last = int(match[2]) if match[2] else None
    if last is not None and last < start:
        return None
    if start >= size:
        raise AzureError("InvalidRange", headers=(("Content-Range", f"bytes */{size}"),))
    return start, size if last is None else min(last + 1, size)


def content_range(start: int, stop: int, size: int) -> str:
    """Return the `Content-Range` of the part [start, stop) of `size` bytes (RFC 9110, section 14.4)."""
    return f"bytes {start}-{stop - 1}/{size}"
