"""The staged blocks of one container, by blob name and by age. Only the slice's apply handlers change it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping

from retain.engine.blobs.entries import Block


class StagedBlockIndex(Mapping[tuple[str, bytes], Block]):
    """Staged blocks by (name, block id).

    Those of one name are in a dict of their own, oldest first: a list of 50,000 blocks is committed in one
    step, which finds and removes them as a whole.

    Attributes:
        ages: Record → the key of the block that it holds, oldest first.

    """

    __slots__ = ("_names", "ages")

    def __init__(self) -> None:
        self.ages: dict[int, tuple[str, bytes]] = {}
        self._names: dict[str, dict[bytes, Block]] = {}

    def __getitem__(self, key: tuple[str, bytes]) -> Block:
        name, block_id = key
        return self._names[name][block_id]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return iter(self.ages.values())

    def __len__(self) -> int:
        return len(self.ages)

    def of(self, name: str) -> dict[bytes, Block]:
        """Return the blocks staged under `name`, by block id, oldest first."""
        return self._names.get(name) or {}

    def copy(self) -> dict[str, dict[bytes, Block]]:
        """Return all blocks of this moment by name and block id."""
        return {name: blocks.copy() for name, blocks in self._names.items()}

    def add(self, name: str, block: Block) -> Block | None:
        """Stage `block`, the newest, and return the block that it replaces."""
        old = self.remove(name, block.block_id)
        self._names.setdefault(name, {})[block.block_id] = block
        self.ages[block.seq] = (name, block.block_id)
        return old

    def place(self, name: str, block: Block) -> None:
        """Replace a block by the same one with another body."""
        assert self.ages[block.seq] == (name, block.block_id)
        self._names[name][block.block_id] = block

    def remove(self, name: str, block_id: bytes) -> Block | None:
        """Remove one block and return it."""
        blocks = self._names.get(name)
        block = None if blocks is None else blocks.pop(block_id, None)
        if blocks is not None and block is not None:
            del self.ages[block.seq]
            if not blocks:
                del self._names[name]
        return block

    def remove_all(self, name: str) -> None:
        """Remove all blocks staged under `name`; there may be 100,000."""
        seqs = [block.seq for block in self._names.pop(name, {}).values()]
        deque(map(self.ages.pop, seqs), maxlen=0)

    def load(self, staged: Mapping[tuple[str, bytes], Block]) -> None:
        """Fill an empty index."""
        for key, block in sorted(staged.items(), key=lambda item: item[1].seq):
            self.add(key[0], block)

    def clear(self) -> None:
        """Remove all blocks."""
        self.ages.clear()
        self._names.clear()

    def check(self) -> None:
        """Assert that both orders agree."""
        found = [
            (block.seq, (name, key)) for name, blocks in self._names.items() for key, block in blocks.items()
        ]
        assert list(self.ages.items()) == sorted(found)
        assert all(self._names.values()), "a name without blocks"
        for blocks in self._names.values():
            seqs = [block.seq for block in blocks.values()]
            assert seqs == sorted(seqs)
