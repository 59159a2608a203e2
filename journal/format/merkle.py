"""The Merkle tree over the records' headers: RFC 9162 (Certificate Transparency 2.0), section 2.

Pure functions over 32-byte SHA-256 hashes, and `Frontier`, which grows a tree without keeping its leaves.
A client that keeps a (size, root) can check that a record is in the tree, with a proof of O(log n) hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Hash of one entry: SHA-256(0x00 || data). RFC 9162, section 2.1.1."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right). RFC 9162, section 2.1.1."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: the roots of its perfect subtrees, largest first.

    It takes one hash per set bit of the size, so a segment's opener can carry it: `Frontier(size, peaks)`
    continues where another one stopped.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Start from peaks. Raises `ValueError` if they cannot belong to a tree of `size` leaves."""
        self._size = size
        self._peaks = list(peaks)
        if size < 0 or len(self._peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves cannot have {len(self._peaks)} peaks")
        if any(len(peak) != HASH_SIZE for peak in self._peaks):
            raise ValueError(f"a peak must be {HASH_SIZE} bytes")

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Roots of the perfect subtrees, from the largest (leftmost) to the smallest."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash. Amortised O(1)."""
        peaks = self._peaks
        node = leaf
        size = self._size
        while size & 1:
            node = node_hash(peaks.pop(), node)
            size >>= 1
        peaks.append(node)
        self._size += 1

    def extend(self, entries: Iterable[bytes]) -> None:
        """Add entries, not yet hashed. What `append` does for the leaf of each, without calls in between."""
        peaks, hashed, size = self._peaks, sha256, self._size
        for entry in entries:
            node = hashed(b"\x00" + entry).digest()
            full = size
            while full & 1:
                node = hashed(b"\x01" + peaks.pop() + node).digest()
                full >>= 1
            peaks.append(node)
            size += 1
        self._size = size

    def root(self) -> bytes:
        """Return the tree's head, in O(log n). Without leaves it is SHA-256("")."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in self._peaks[-2::-1]:
            node = node_hash(peak, node)
        return node

    def copy(self) -> Frontier:
        """Return an independent copy."""
        return Frontier(self._size, self._peaks)


class Believed(Frontier):
    """A tree of which only size and root are known. After the next leaf, the root is unknown."""

    __slots__ = ("_believed",)

    def __init__(self, size: int, root: bytes) -> None:
        super().__init__()
        self._size = size
        self._believed = root

    def extend(self, entries: Iterable[bytes]) -> None:
        self._size += sum(1 for _ in entries)
        self._believed = b""

    def root(self) -> bytes:
        return self._believed

    def copy(self) -> Frontier:
        return Believed(self._size, self._believed)


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes, in one pass and O(log n) memory."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether `proof` shows that leaf hash `leaf` is number `index` in the tree (`size`, `root`)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    computed = leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            computed = node_hash(computed, sibling)
        node >>= 1
        last >>= 1
    return last == 0 and computed == root


def split_point(size: int) -> int:
    """Return the largest power of two smaller than `size` (RFC 9162, section 2.1.1: k)."""
    return 1 << (size - 1).bit_length() - 1
