"""Seeded workloads: the same commands on every machine and in every run."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

from retain.engine.areas.commands import AreasPolicy, CreateArea

LONG = 10 * 365 * 24 * 3600
"""A ttl in seconds that no benchmark outlives."""

_POLICY = AreasPolicy()


def areas(seed: int, value_bytes: int, keys: int = 1, ttl: int = LONG) -> Iterator[CreateArea]:
    """Yield endless creations of plain areas, each with `keys` texts of `value_bytes` bytes."""
    source = random.Random(seed)
    names = [f"Key{number}" for number in range(1, keys + 1)]
    while True:
        yield CreateArea(
            actor="bench",
            name=str(uuid.UUID(int=source.getrandbits(128), version=4)),
            resource=source.randbytes(16),
            values={
                name: f"{source.getrandbits(64):016x}".ljust(value_bytes, "x")[:value_bytes] for name in names
            },
            ttl=ttl,
            policy=_POLICY,
        )
