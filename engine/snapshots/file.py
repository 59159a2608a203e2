"""The snapshot file: the state as bytes, so that start-up does not depend on the length of history.

A snapshot is a cache: deleting it loses nothing, and one that fails verification is ignored. The file
`snapshot-<seq>.msgpack` is a sequence of blocks `u32 length | u32 CRC-32C | msgpack`, big-endian: first the
head `[magic, version, seq, root, time]`, then `[slice, rows]` each, last `[number of rows, SHA-256 of all
blocks before]`. It is written under another name, synced and renamed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import crc32c
import msgpack

from retain.engine.state import State
from retain.journal import Disk, File, Position

MAGIC = "retain-snapshot"
VERSION = 4
ROWS_PER_BLOCK = 256
LARGE_ROW = 64 << 10
"""A row of more bytes ends its block."""
PREFIX = "snapshot-"
SUFFIX = ".msgpack"
ASIDE = SUFFIX + ".tmp"
_BLOCK = struct.Struct(">II")
_MAX_BLOCK_BYTES = 1 << 30


class InvalidSnapshot(Exception):
    """A file that is not a whole, intact snapshot of this journal in this version."""


def name_of(seq: int) -> str:
    """Return the file's name, relative to the data folder; names sort by sequence number."""
    return f"{PREFIX}{seq:016x}{SUFFIX}"


def names(disk: Disk) -> list[str]:
    """Return the names of the snapshots in the data folder, oldest first."""
    return [name for name in disk.names("") if name.startswith(PREFIX) and name.endswith(SUFFIX)]


def write(disk: Disk, position: Position, time: int, rows: Callable[[], Iterator[tuple[str, Any]]]) -> None:
    """Make a snapshot durable, then remove the older ones. Blocking.

    Args:
        disk: The data folder.
        position: The record up to which `rows` are valid, at a frame's border.
        time: Journal time of that record.
        rows: From `State.freeze`.

    Raises:
        NoSpace: The disk is full; older snapshots are untouched.
        OSError: It could not be written.

    """
    older = names(disk)
    name = name_of(position.seq)
    aside = f"{PREFIX}{position.seq:016x}{ASIDE}"
    try:
        with disk.open(aside, create=True) as file:
            _write_blocks(_Blocks(file), [MAGIC, VERSION, position.seq, position.root, time], rows())
            file.sync()
        disk.replace(aside, name)
    except BaseException:
        sweep(disk)
        raise
    disk.sync_folder("")
    for old in older:
        if old != name:
            disk.unlink(old)
    disk.sync_folder("")


def oldest(disk: Disk) -> tuple[int, int] | None:
    """Return the sequence number and journal time of the oldest snapshot, None without any. Blocking.

    A damaged one counts as being from the beginning of time.
    """
    for name in names(disk):
        try:
            with disk.open(name) as file:
                _, _, seq, _, time = next(_read_blocks(file))
                return seq, time
        except (InvalidSnapshot, ValueError, TypeError):
            return 0, 0
    return None


def discard(disk: Disk) -> None:
    """Remove all snapshots: they contain data to be erased, and no newer one can be written. Blocking.

    Raises:
        OSError: They could not be removed.

    """
    for name in names(disk):
        disk.unlink(name)
    disk.sync_folder("")


def sweep(disk: Disk) -> None:
    """Remove the file of an interrupted `write`: nothing else does, and it contains data with deadlines."""
    for name in disk.names(""):
        if name.startswith(PREFIX) and name.endswith(ASIDE):
            disk.unlink(name)


def _write_blocks(out: _Blocks, head: list[Any], rows: Iterator[tuple[str, Any]]) -> None:
    out.write(head)
    count = 0
    for name, own in groupby(rows, itemgetter(0)):
        block: list[bytes] = []
        for _, row in own:
            block.append(out.pack(row))
            count += 1
            if len(block) == ROWS_PER_BLOCK or len(block[-1]) > LARGE_ROW:
                out.write_rows(name, block)
                block.clear()
        if block:
            out.write_rows(name, block)
    out.write([count, out.digest()])


def load(disk: Disk, name: str) -> tuple[State, Position]:
    """Return the state and position of snapshot `name`. Blocking.

    The position's Merkle root binds it to one journal; opening any other journal at it fails.

    Raises:
        InvalidSnapshot: It is damaged or of another version.

    """
    with disk.open(name) as file:
        blocks = _read_blocks(file)
        head = next(blocks)
        if not isinstance(head, tuple) or head[:2] != (MAGIC, VERSION) or len(head) != 5:
            raise InvalidSnapshot("of another version")
        state = State()
        try:
            state.load(_row_blocks(blocks))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise InvalidSnapshot("of another version") from error
    state.skip(head[2], head[4])
    return state, Position(seq=head[2], root=head[3])


def _row_blocks(blocks: Iterator[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield all blocks but the last, which must confirm the number of rows."""
    count = 0
    last: Any = None
    for block in blocks:
        if last is not None:
            name, rows = last
            count += len(rows)
            yield name, rows
        last = block
    if not isinstance(last, tuple) or last[:1] != (count,):
        raise InvalidSnapshot("incomplete")


class _Blocks:
    """A writer of blocks, one after the other."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._offset = 0
        self._digest = hashlib.sha256()
        self._packer = msgpack.Packer()

    def pack(self, value: Any) -> bytes:
        packed: bytes = self._packer.pack(value)
        return packed

    def write(self, value: Any) -> None:
        self._write(self.pack(value))

    def write_rows(self, name: str, rows: Sequence[bytes]) -> None:
        """Write the block `[name, rows]` from packed rows."""
        header = self._packer.pack_array_header
        self._write(b"".join((header(2), self.pack(name), header(len(rows)), *rows)))

    def _write(self, data: bytes) -> None:
        block = _BLOCK.pack(len(data), crc32c.crc32c(data)) + data
        self._file.pwrite(self._offset, block)
        self._digest.update(block)
        self._offset += len(block)

    def digest(self) -> bytes:
        return self._digest.digest()


def _read_blocks(file: File) -> Iterator[Any]:
    """Yield every block's value as tuples; compare the digest in the last one before yielding it."""
    size = file.size()
    offset = 0
    digest = hashlib.sha256()
    while offset < size:
        prefix = file.pread(offset, _BLOCK.size)
        if len(prefix) < _BLOCK.size:
            raise InvalidSnapshot("cut short")
        length, crc = _BLOCK.unpack(prefix)
        data = file.pread(offset + _BLOCK.size, length) if length < _MAX_BLOCK_BYTES else b""
        if len(data) != length or crc32c.crc32c(data) != crc:
            raise InvalidSnapshot("damaged")
        value = msgpack.unpackb(data, strict_map_key=False, use_list=False)
        offset += _BLOCK.size + length
        if offset == size and value[1:] != (digest.digest(),):
            raise InvalidSnapshot("incomplete")
        digest.update(prefix + data)
        yield value
    if size == 0:
        raise InvalidSnapshot("empty")
