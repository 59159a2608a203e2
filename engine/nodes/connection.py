"""A node's connection to the shared log, for everything except its lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

import trio

from retain.engine.nodes.options import Connect
from retain.engine.writing.threads import in_thread
from retain.journal.errors import BadTarget
from retain.journal.format.record import Head
from retain.journal.log import Committed
from retain.journal.shared.interface import Shared, SharedHead

FETCH_RECORDS: Final = 2000
"""Records that are applied at a time, approximately, where no request waits for them."""

Value = TypeVar("Value")


class Connection:
    """A connection to the shared log that opens at its first use. It serves one call at a time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._shared: Shared | None = None
        self._turn = trio.Lock()

    async def run(self, work: Callable[[Shared], Value]) -> Value:
        """Return `work(connection)`, run in a thread, one call at a time.

        Raises:
            Unsettled: The shared log does not answer.

        """
        async with self._turn:

            def use() -> Value:
                if self._shared is None:
                    self._shared = self._connect()
                return work(self._shared)

            return await in_thread(use)

    def close(self) -> None:
        """Close it."""
        if self._shared is not None:
            self._shared.close()


def portions(frames: Sequence[Committed]) -> Iterator[list[Committed]]:
    """Divide frames into parts of about `FETCH_RECORDS` records."""
    portion: list[Committed] = []
    for frame in frames:
        portion.append(frame)
        if frame.last - portion[0].last >= FETCH_RECORDS:
            yield portion
            portion = []
    if portion:
        yield portion


def refuse_other_journal(head: SharedHead, identity: bytes) -> None:
    """Refuse a shared log that is another journal's than `identity`.

    Raises:
        BadTarget: It is.

    """
    if head.identity != identity:
        raise BadTarget(
            "the shared log belongs to another journal than this data folder; check the addresses of both"
        )


def refuse_other_log(head: SharedHead, identity: bytes, here: Head) -> None:
    """Refuse a shared log that is not that of this folder.

    Args:
        head: Where the shared log ends.
        identity: The journal's.
        here: Where the journal in this folder ends.

    Raises:
        BadTarget: The shared log is another journal's, or an earlier moment of this one.

    """
    refuse_other_journal(head, identity)
    if head.seq < here.seq or (head.seq == here.seq and head.root != here.root):
        raise BadTarget(
            f"the shared log ends with record {head.seq}, this folder with record {here.seq}: the "
            "database was restored to an earlier moment, or this server has run alone since. Stop all "
            "nodes, and run `retain node init` with an empty database on the machine whose folder has the "
            "most records"
        )


def same_name(name: str, url: str) -> str:
    """Return why a node cannot run: another one at `url` has its name."""
    return (
        f"another node with the name {name} runs, at {url}: each node needs its own cluster.name. If this is "
        "the same node at another address, start it again a few seconds after the former one has ended"
    )
