"""Percent-encoding (RFC 3986, section 2.1), undone strictly."""

from __future__ import annotations

import re
from binascii import unhexlify

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")


def unescape(raw: bytes) -> bytes:
    """Return `raw` with its escapes decoded once; a plus stays a plus.

    Raises:
        ValueError: A percent sign without two hexadecimal digits.

    """
    if b"%" not in raw:
        return raw
    if _BROKEN.search(raw):
        raise ValueError("bad percent escape")
    # A run of escapes at a time: `urllib.parse.unquote_to_bytes` makes an object of each, 80 bytes for 3.
    return _ESCAPES.sub(lambda run: unhexlify(run[0].replace(b"%", b"")), raw)
