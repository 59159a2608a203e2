"""Inclusion proofs: that a record is in the journal (RFC 9162, section 2.1.3).

Built from the subtree hashes in indexes, and from the few heads between them: fast with indexes, and from all
heads without. `merkle.py` alone checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from retain.journal.disk.interface import Disk
from retain.journal.errors import BadTarget
from retain.journal.format.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    Frontier,
    leaf_hash,
    node_hash,
    split_point,
    tree_root,
    verify_inclusion,
)
from retain.journal.lookup.growth import BLOCK
from retain.journal.lookup.history import headers
from retain.journal.lookup.index import Indexes


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Record `seq` has `header` (its bytes on disk), and is in the tree over `size` records.

    `path` is the audit path, from the leaf's sibling up.
    """

    seq: int
    header: bytes
    size: int
    path: tuple[bytes, ...]

    def holds(self, root: bytes) -> bool:
        """Return whether this proves it to someone who trusts `root`."""
        leaf = leaf_hash(self.header)
        return verify_inclusion(leaf, self.seq - 1, self.size, self.path, root)


class Prover:
    """Proofs about a journal, as it was when this object was created."""

    def __init__(
        self, disk: Disk, progress: Callable[[int], None] | None = None, *, indexes: Indexes | None = None
    ) -> None:
        """Read the tree; `progress` receives the last record of each segment that had no index.

        Raises `Corrupt`, `UnknownVersion`, `OSError`.
        """
        self._indexes = indexes or Indexes(disk, progress)
        self._blocks: dict[int, bytes] = {}
        for segment in self._indexes.segments:
            index = self._indexes.of(segment)
            first, hashes = index.subtrees()
            for at in range(0, len(hashes), HASH_SIZE):
                self._blocks[first + at // HASH_SIZE] = hashes[at : at + HASH_SIZE]
        last = self._indexes.of(self._indexes.segments[-1]) if self._indexes.segments else None
        self.size = last.last if last is not None else 0
        self._leaves: dict[int, bytes] = {}
        self._load_borders()

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` records. Raises `BadTarget`."""
        self._check(size)
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion(self, seq: int, size: int | None = None) -> Inclusion:
        """Prove that record `seq` is in the tree over `size` records (default: all). Raises `BadTarget`."""
        size = self.size if size is None else size
        self._check(size)
        if not 0 < seq <= size:
            raise BadTarget(f"record {seq} is not among the first {size}", seq=seq)
        index, start, stop = seq - 1, 0, size
        path: list[bytes] = []
        while stop - start > 1:
            middle = start + split_point(stop - start)
            if index < middle:
                path.append(self._range(middle, stop))
                stop = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        header = headers(self._indexes.disk, [seq], self._indexes)[seq]
        return Inclusion(seq, header, size, tuple(reversed(path)))

    def _check(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise BadTarget(f"the journal has {self.size} records, not {size}", seq=size)

    def _range(self, start: int, stop: int) -> bytes:
        """Return the hash over leaves `start` to `stop`: a subtree, so `start` is a multiple of its width.

        Blocks count as leaves of the tree above them: RFC 9162's shape is the same at every level.
        """
        if stop - start < BLOCK:
            return tree_root(self._leaf_range(start, stop))
        border = stop // BLOCK
        frontier = Frontier()
        for block in range(start // BLOCK, border):
            frontier.append(self._block(block))
        node = tree_root(self._leaf_range(border * BLOCK, stop)) if stop % BLOCK else b""
        for peak in reversed(frontier.peaks):
            node = node_hash(peak, node) if node else peak
        return node

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = tree_root(self._leaf_range(number * BLOCK, (number + 1) * BLOCK))
        return self._blocks[number]

    def _leaf_range(self, start: int, stop: int) -> list[bytes]:
        missing = [seq for seq in range(start + 1, stop + 1) if seq not in self._leaves]
        if missing:
            for seq, header in headers(self._indexes.disk, missing, self._indexes).items():
                self._leaves[seq] = leaf_hash(header)
        return [self._leaves[seq] for seq in range(start + 1, stop + 1)]

    def _load_borders(self) -> None:
        """Read the leaves of all blocks that span two segments, in one pass."""
        borders = [number for number in range(self.size // BLOCK) if number not in self._blocks]
        seqs = [number * BLOCK + at for number in borders for at in range(1, BLOCK + 1)]
        for seq, header in headers(self._indexes.disk, seqs, self._indexes).items():
            self._leaves[seq] = leaf_hash(header)
