"""Hashes of passwords for tests that are not about what a hash costs."""

from __future__ import annotations

from argon2 import PasswordHasher


def cheap_hash(password: str) -> str:
    """An argon2id hash as `retain user hash` makes it, but for 8 KiB: a login costs nothing."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)
