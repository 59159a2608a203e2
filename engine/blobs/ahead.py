"""Find the blocks of a long list beside the event loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from retain.engine.blobs.commands import CommitBlocks
from retain.engine.blobs.containers import Container, blocks_end
from retain.engine.blobs.decide_blobs import commit, committed, resolved, writable
from retain.engine.blobs.entries import LONG_LIST, MAX_BLOCKS, BlobEntry, Composite, StagedBlocks
from retain.engine.blobs.events import BlocksCommitted
from retain.engine.blobs.lists import MadeList, make_list
from retain.engine.blobs.state import BlobsState
from retain.engine.core.command import Command, Decision
from retain.engine.core.domain import Ahead, LookAhead
from retain.engine.core.errors import Invalid


class _Found(NamedTuple):
    """The records of the list's blocks, and what the list comes to."""

    seqs: tuple[int, ...]
    made: MadeList


class CommitAhead(Ahead):
    """The blocks of a list, found among those staged and in the old content as they were at one moment.

    Conditions, lease and dates are for the command's turn: other writes do not make this invalid.
    """

    def __init__(self, blobs: BlobsState, container: Container, command: CommitBlocks) -> None:
        self._blobs = blobs
        self._container = container
        self._command = command
        name = command.name
        self._entry: BlobEntry | None = container.blobs.get(name)
        self._pending: StagedBlocks | None = container.pending.get(name)
        self._staged = dict(container.staged.of(name))
        # Blocks whose records are being written have no address yet.
        self._placed = blobs.is_placed(container, name)
        self._alive = (False, False)

    def decide(self, now: int) -> Decision[Any]:
        """Find the blocks. The result is for `settle` alone: what was found, or the refusal."""
        self._alive = self._alive_at(now)
        has_entry, has_staged = self._alive
        entry = self._entry if has_entry else None
        staged = self._staged if has_staged else {}
        try:
            seqs = resolved(staged, entry, self._command)
        except Invalid as refusal:  # judged after conditions and lease
            return Decision((), refusal)
        return Decision((), _Found(seqs, make_list(seqs, staged, None if entry is None else entry.body, {})))

    def holds(self) -> bool:
        """Return whether the blocks are the same; see `Ahead.holds`."""
        command = self._command
        if not self._placed or self._blobs.find(command.account, command.container) is not self._container:
            return False
        entry = self._container.blobs.get(command.name)
        # The record of the last write of the content; each staged block replaces `pending`.
        return _seq(entry) == _seq(self._entry) and (
            self._container.pending.get(command.name) is self._pending
        )

    def settle(self, decision: Decision[Any], now: int) -> Decision[Any]:
        """Decide with what was found; see `Ahead.settle`."""
        if self._alive_at(now) != self._alive:  # something has expired meanwhile
            return commit(self._blobs, self._command, now)
        container, entry = writable(self._blobs, self._command, now)
        found = decision.result
        if isinstance(found, Invalid):
            raise found
        assert isinstance(found, _Found)
        return committed(self._blobs, self._command, container, entry, found.seqs, now, found.made)

    def _alive_at(self, now: int) -> tuple[bool, bool]:
        """Return whether the old content, and the staged blocks, exist and have not expired."""
        entry, pending = self._entry, self._pending
        return (
            entry is not None and entry.modified > self._container.alive_after(now),
            pending is not None and now < blocks_end(pending),
        )


def finding(blobs: BlobsState, event: BlocksCommitted) -> Callable[[], BlocksCommitted] | None:
    """Return what finds the blocks of `event`, the next to be applied, in a worker thread; see `MadeList`.

    None if the event cannot be prepared: a restated list depends on more than its blocks.
    """
    container = blobs.find(event.account, event.container)
    if container is None or event.restates:
        return None
    staged = dict(container.staged.of(event.blob))
    entry = container.blobs.get(event.blob)
    old = None if entry is None else entry.body
    return lambda: replace(event, made=make_list(event.blocks, staged, old, {}))


def _seq(entry: BlobEntry | None) -> int:
    return 0 if entry is None else entry.seq


def looks_ahead(blobs: BlobsState) -> Mapping[type[Command[Any]], LookAhead]:
    """Return which commands may be decided ahead."""
    return {CommitBlocks: partial(_commit, blobs)}


def _commit(blobs: BlobsState, command: CommitBlocks) -> Ahead | None:
    container = blobs.find(command.account, command.container)
    if container is None or len(command.blocks) > MAX_BLOCKS:
        return None
    entry = container.blobs.get(command.name)
    old = entry.body.blocks if entry is not None and isinstance(entry.body, Composite) else ()
    longest = max(len(command.blocks), len(container.staged.of(command.name)), len(old))
    return CommitAhead(blobs, container, command) if longest > LONG_LIST else None
