"""The staged blocks of one container, by blob name and by age. Only the slice's apply handlers change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush

from retain.engine.blobs.entries import NO_SOURCES, Block, BlockSources, GrowingSources


class StagedBlockIndex(Mapping[tuple[str, bytes], Block]):
    """Staged blocks by (name, block id).

    Those of one name are in a dict of their own, oldest first: a list of 50,000 blocks is committed in one
    step, which finds and removes them as a whole. No index has them one by one, because such a step would
    have to remove each from it.
    """

    __slots__ = ("_count", "_names", "_since", "_sources")

    def __init__(self) -> None:
        self._names: dict[str, dict[bytes, Block]] = {}
        # The record of the first block that there was under each name, which may be gone: in this order the
        # names are in both dicts.
        self._since: dict[str, int] = {}
        self._sources: dict[str, GrowingSources] = {}
        self._count = 0

    def __getitem__(self, key: tuple[str, bytes]) -> Block:
        name, block_id = key
        return self._names[name][block_id]

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        return ((name, block_id) for name, blocks in self._names.items() for block_id in blocks)

    def __len__(self) -> int:
        return self._count

    def of(self, name: str) -> dict[bytes, Block]:
        """Return the blocks staged under `name`, by block id, oldest first."""
        return self._names.get(name) or {}

    def sources(self, name: str) -> BlockSources:
        """Return what the blocks staged under `name` depend on."""
        sources = self._sources.get(name)
        return NO_SOURCES if sources is None else sources.all()

    def copy(self) -> dict[str, dict[bytes, Block]]:
        """Return all blocks of this moment by name and block id."""
        return {name: blocks.copy() for name, blocks in self._names.items()}

    def by_age(self) -> Iterator[tuple[str, Block]]:
        """Return all blocks and their names, oldest first. Nothing may change meanwhile.

        It is a merge of the names' dicts, each of which begins when the merge has come to its first block.
        """
        coming: list[tuple[int, str, Block, Iterator[Block]]] = []
        for name, since in self._since.items():
            while coming and coming[0][0] < since:
                yield from _oldest(coming)
            _push(coming, name, iter(self._names[name].values()))
        while coming:
            yield from _oldest(coming)

    def add(self, name: str, block: Block) -> Block | None:
        """Stage `block`, the newest, and return the block that it replaces."""
        old = self.remove(name, block.block_id)
        blocks = self._names.get(name)
        if blocks is None:
            blocks = self._names[name] = {}
            self._since[name] = block.seq
            self._sources[name] = GrowingSources()
        blocks[block.block_id] = block
        self._sources[name].add(block)
        self._count += 1
        return old

    def place(self, name: str, block: Block) -> None:
        """Replace a block by the same one with another body."""
        blocks = self._names[name]
        assert blocks[block.block_id].seq == block.seq
        blocks[block.block_id] = block

    def remove(self, name: str, block_id: bytes) -> Block | None:
        """Remove one block and return it."""
        blocks = self._names.get(name)
        block = None if blocks is None else blocks.pop(block_id, None)
        if blocks is not None and block is not None:
            self._count -= 1
            self._sources[name].remove(block)
            if not blocks:
                del self._names[name], self._since[name], self._sources[name]
        return block

    def remove_all(self, name: str) -> Sequence[Block]:
        """Remove all blocks staged under `name` and return them; there may be 100,000."""
        blocks = tuple(self._names.pop(name, {}).values())
        self._since.pop(name, None)
        self._sources.pop(name, None)
        self._count -= len(blocks)
        return blocks

    def load(self, staged: Mapping[tuple[str, bytes], Block]) -> None:
        """Fill an empty index."""
        for key, block in sorted(staged.items(), key=lambda item: item[1].seq):
            self.add(key[0], block)

    def clear(self) -> None:
        """Remove all blocks."""
        self._names.clear()
        self._since.clear()
        self._sources.clear()
        self._count = 0

    def check(self) -> None:
        """Assert that all orders agree."""
        assert all(self._names.values()), "a name without blocks"
        assert list(self._since) == list(self._names) == list(self._sources)
        assert sorted(self._since.values()) == list(self._since.values())
        assert self._count == sum(map(len, self._names.values()))
        for name, blocks in self._names.items():
            seqs = [block.seq for block in blocks.values()]
            assert seqs == sorted(seqs)
            assert self._since[name] <= seqs[0]
            expected, found = BlockSources.of(blocks.values()), self.sources(name)
            assert list(found.files) == list(expected.files)
            assert {size: sorted(held) for size, held in found.records.items()} == {
                size: sorted(held) for size, held in expected.records.items()
            }
        merged = [block.seq for _, block in self.by_age()]
        assert merged == sorted(block.seq for block in self.values())


def _push(coming: list[tuple[int, str, Block, Iterator[Block]]], name: str, blocks: Iterator[Block]) -> None:
    block = next(blocks, None)
    if block is not None:
        heappush(coming, (block.seq, name, block, blocks))


def _oldest(coming: list[tuple[int, str, Block, Iterator[Block]]]) -> Iterable[tuple[str, Block]]:
    _, name, block, blocks = heappop(coming)
    _push(coming, name, blocks)
    return ((name, block),)
