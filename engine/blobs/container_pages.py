"""Pages over the containers of several accounts, by account and name; a page costs what it shows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from retain.engine.blobs.containers import Container
from retain.engine.blobs.state import BlobsState

START: Final = ("", "")
"""The position before all containers."""

Position = tuple[str, str]
"""An account and the name of a container in it; the name is empty for an account without one."""


class ContainersPage(NamedTuple):
    """A page of containers.

    Attributes:
        items: Account and container; None for an account that has none.
        next: The position that the next page begins with; None if this is the last.
        before: The position that the page before begins with; None if this is the first.
    """

    items: tuple[tuple[str, Container | None], ...]
    next: Position | None
    before: Position | None


def page_of_containers(
    blobs: BlobsState, accounts: Sequence[str], *, prefix: str = "", start: Position = START, limit: int
) -> ContainersPage:
    """Return a page of the containers of `accounts` whose names begin with `prefix`.

    Args:
        blobs: The accounts' containers.
        accounts: The accounts, sorted. One without a container is an item of its own, unless there is a
            `prefix`.
        prefix: The beginning of the names.
        start: The position that the page begins with.
        limit: The most items.
    """
    found = list(islice(_from(blobs, accounts, prefix, start), limit + 1))
    ahead = list(islice(_before(blobs, accounts, prefix, start), limit))
    items = tuple((account, blobs.find(account, name) if name else None) for account, name in found[:limit])
    return ContainersPage(items, found[limit] if len(found) > limit else None, ahead[-1] if ahead else None)


def _from(blobs: BlobsState, accounts: Sequence[str], prefix: str, start: Position) -> Iterator[Position]:
    """Yield the positions from `start` on."""
    for account in islice(accounts, bisect_left(accounts, start[0]), None):
        first = max(prefix, start[1]) if account == start[0] else prefix
        containers = blobs.accounts.get(account)
        if not containers:
            if not prefix and not first:
                yield account, ""
            continue
        for name in containers.irange(first):
            if not name.startswith(prefix):
                break
            yield account, name


def _before(blobs: BlobsState, accounts: Sequence[str], prefix: str, start: Position) -> Iterator[Position]:
    """Yield the positions before `start`, the nearest first."""
    for index in range(bisect_right(accounts, start[0]) - 1, -1, -1):
        account = accounts[index]
        own = account == start[0]
        if own and not start[1]:
            continue
        containers = blobs.accounts.get(account)
        if not containers:
            if not prefix:
                yield account, ""
            continue
        # No character sorts behind the last one of Unicode, so this bound is behind all names of the prefix.
        last = start[1] if own else prefix + "\U0010ffff"
        for name in containers.irange(prefix, last, inclusive=(True, False), reverse=True):
            yield account, name
