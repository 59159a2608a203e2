"""CRC-64/NVME, the checksum of `x-ms-content-crc64` (docs/wire/blobs.md, section 5.1).

Reflected polynomial 0x9A6C9329AC4BC9B5, all ones before and after. Computed only where a client asks for it.
The optional package `awscrt` computes it at memory speed; without it, tables handle eight bytes a step, about
80 ns each, so `crc64_beside` runs in a thread.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from struct import iter_unpack
from typing import Any, Final, TypeVar

import trio

from retain.api.blobs.wire.names import decode_base64
from retain.engine.writing.threads import in_thread

_POLYNOMIAL: Final = 0x9A6C9329AC4BC9B5
_ONES: Final = 0xFFFFFFFFFFFFFFFF


def _make_tables() -> list[list[int]]:
    """Return the tables: number n maps a byte to its effect on the register n zero bytes later."""
    first = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (_POLYNOMIAL if register & 1 else 0)
        first.append(register)
    tables = [first]
    for _ in range(7):
        tables.append([(register >> 8) ^ first[register & 0xFF] for register in tables[-1]])
    return tables


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _make_tables()


def crc64_by_tables(data: bytes, before: int = 0) -> int:
    """Return the checksum of `data`, continuing from the checksum `before` of what precedes it."""
    register = before ^ _ONES
    whole = len(data) & ~7
    for (word,) in iter_unpack("<Q", data[:whole]):
        register ^= word
        register = (
            _T7[register & 0xFF]
            ^ _T6[register >> 8 & 0xFF]
            ^ _T5[register >> 16 & 0xFF]
            ^ _T4[register >> 24 & 0xFF]
            ^ _T3[register >> 32 & 0xFF]
            ^ _T2[register >> 40 & 0xFF]
            ^ _T1[register >> 48 & 0xFF]
            ^ _T0[register >> 56]
        )
    for byte in data[whole:]:
        register = (register >> 8) ^ _T0[(register ^ byte) & 0xFF]
    return register ^ _ONES


def _native() -> Any:
    try:
        from awscrt import checksums
    except ImportError:
        return crc64_by_tables
    return checksums.crc64nvme


_update: Final = _native()

IS_FAST: Final = _update is not crc64_by_tables
"""Whether the extra `crc64` is installed. A CRC-64 then costs so little that every write returns one."""

FAST_BYTES: Final = 1 << 20
"""Most bytes summed in the event loop at once with the extra `crc64`, 0.1 ms."""
SLOW_BYTES: Final = 8 << 10
"""The same without it, 0.7 ms."""
_at_once = FAST_BYTES if IS_FAST else SLOW_BYTES

_one: Final = trio.CapacityLimiter(1)
"""One thread computes sums at a time: several would delay the event loop."""

Value = TypeVar("Value")


def crc64(data: bytes, before: int = 0) -> int:
    """Return the checksum of `data`, continuing from the checksum `before` of what precedes it."""
    return int(_update(data, before))


async def crc64_beside(data: bytes, before: int = 0) -> int:
    """Return what `crc64` does, without blocking the event loop."""
    return await worked(partial(crc64, data, before), len(data))


async def worked(work: Callable[[], Value], size: int) -> Value:
    """Return `work()`, which sums `size` bytes; it runs in a thread if it takes long."""
    if size <= _at_once:
        return work()
    return await in_thread(work, limiter=_one)


def encode(checksum: int) -> str:
    """Return a checksum in the form of its header: Base64 of eight little-endian bytes."""
    return b64encode(checksum.to_bytes(8, "little")).decode("ascii")


def decode(text: str) -> int | None:
    """Return the checksum in a header, None if it is malformed."""
    raw = decode_base64(text)
    return int.from_bytes(raw, "little") if raw is not None and len(raw) == 8 else None
