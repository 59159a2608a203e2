"""ETags as Azure makes them: the .NET tick count of the write (blobs.md, section 7).

A tick is 100 ns since 0001-01-01. The count stands quoted in headers and container listings, bare in blob
listings. Uniqueness and order per blob are the engine's duty: it hands over the instant of the write.
"""

from typing import Final

EPOCH_TICKS: Final = 621_355_968_000_000_000
"""Ticks from 0001-01-01 to 1970-01-01."""

FILETIME_EPOCH_TICKS: Final = 116_444_736_000_000_000
"""Ticks from 1601-01-01 to 1970-01-01: the scale of the markers of Find Blobs by Tags."""


def ticks(time: int) -> int:
    """The .NET tick count of an instant in nanoseconds since the Unix epoch."""
    return EPOCH_TICKS + time // 100


def bare(tick: int) -> str:
    """The ETag text without quotes: 15 or more upper-case hexadecimal digits after `0x`."""
    return f"0x{tick:015X}"


def quoted(tick: int) -> str:
    """The ETag as headers carry it."""
    return f'"0x{tick:015X}"'


def time_of(text: str) -> int:
    """The instant in nanoseconds that an ETag, quoted or bare, encodes. Raises ValueError if it is none."""
    return (int(text.strip('"'), 16) - EPOCH_TICKS) * 100


def filetime_hex(time: int) -> str:
    """An instant in nanoseconds as 16 upper-case hexadecimal digits of a Windows FILETIME."""
    return f"{FILETIME_EPOCH_TICKS + time // 100:016X}"
