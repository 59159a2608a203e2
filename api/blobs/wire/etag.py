"""ETags as Azure writes them: a .NET tick count in hexadecimal (docs/wire/blobs.md, section 7).

A tick is 100 ns since 0001-01-01. The engine makes the number from the instant of the write; here it
becomes text, quoted in headers and container listings, bare in blob listings.
"""

from __future__ import annotations

import re
from typing import Final

FILETIME_EPOCH_TICKS: Final = 116_444_736_000_000_000
"""Ticks from 1601-01-01 to 1970-01-01: the scale of the markers of Find Blobs by Tags."""

_BARE: Final = re.compile("0x[0-9A-F]{15,16}", re.ASCII)


def bare(tick: int) -> str:
    """Return the ETag without quotes: `0x` and 15 or more upper-case hexadecimal digits."""
    return f"0x{tick:015X}"


def quoted(tick: int) -> str:
    """Return the ETag as headers carry it."""
    return f'"0x{tick:015X}"'


def parse(text: str) -> int | None:
    """Return the ticks of an ETag, quoted or bare; None for a foreign one, which matches nothing."""
    inner = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return int(inner, 16) if _BARE.fullmatch(inner) else None


def filetime_hex(time: int) -> str:
    """Return an instant in nanoseconds since the Unix epoch as the 16 hex digits of a Windows FILETIME."""
    return f"{FILETIME_EPOCH_TICKS + time // 100:016X}"
