"""The effects of a power failure on a file's bytes and a folder's names: the model of `MemoryDisk`."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Literal

from retain.journal.disk.interface import SECTOR

CrashMode = Literal["none", "all", "random"]


@dataclass(slots=True)
class Inode:
    """A file's bytes as readers see them (`now`) and as the platter holds them (`stable`)."""

    now: bytearray = field(default_factory=bytearray)
    stable: bytearray = field(default_factory=bytearray)
    dirty: set[int] = field(default_factory=set)

    def copy(self) -> Inode:
        return Inode(bytearray(self.now), bytearray(self.stable), set(self.dirty))

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.now):
            self.resize(end)
        self.now[offset:end] = data
        self.dirty.update(range(offset // SECTOR, -(-end // SECTOR)))

    def resize(self, size: int) -> None:
        old = len(self.now)
        if size < old:
            del self.now[size:]
            self.dirty.update(range(size // SECTOR, -(-old // SECTOR)))
        else:
            self.now.extend(bytes(size - old))

    def sync(self) -> None:
        """Write the dirty sectors; those lost in an earlier failed sync stay lost."""
        del self.stable[len(self.now) :]
        self.stable.extend(bytes(len(self.now) - len(self.stable)))
        self._carry(self.stable, self.dirty)
        self.dirty.clear()

    def survivor(self, mode: CrashMode, rng: Random) -> bytearray:
        """Return the bytes after a power cut now."""
        result = bytearray(self.stable)
        if mode == "none" or (not self.dirty and len(self.now) == len(self.stable)):
            return result
        if mode == "all":
            size, kept = len(self.now), self.dirty
        else:
            size, kept = self._some_size(rng), {one for one in sorted(self.dirty) if rng.getrandbits(1)}
        del result[size:]
        result.extend(bytes(size - len(result)))
        self._carry(result, kept)
        return result

    def _carry(self, target: bytearray, sectors: set[int]) -> None:
        """Copy sectors to `target`, adjoining ones at once: a batch has thousands of them."""
        end = min(len(self.now), len(target))
        beyond = -(-end // SECTOR)
        few = range(beyond) if beyond < len(sectors) else sorted(sectors)
        start = stop = 0
        for sector in few:
            if sector >= beyond or sector not in sectors:
                continue
            if sector != stop:
                target[start * SECTOR : stop * SECTOR] = self.now[start * SECTOR : stop * SECTOR]
                start = sector
            stop = sector + 1
        until = min(stop * SECTOR, end)
        target[start * SECTOR : until] = self.now[start * SECTOR : until]

    def _some_size(self, rng: Random) -> int:
        low, high = sorted((len(self.stable), len(self.now)))
        borders = (high - low) // SECTOR
        choice = rng.randrange(3 if borders else 2)
        if choice < 2:
            return (low, high)[choice]
        return min(high, (low // SECTOR + rng.randint(1, borders)) * SECTOR)


@dataclass(frozen=True, slots=True)
class NameChange:
    """A change of names: `new` leads to `target` (None: a folder) and `old` does so no more.

    It becomes durable when `folder` is synced.
    """

    folder: str
    target: Inode | None
    old: str = ""
    new: str = ""

    def apply(self, names: dict[str, Inode | None]) -> None:
        if self.old and names.get(self.old) is self.target:
            names.pop(self.old, None)
        if self.new:
            names[self.new] = self.target
