"""Payload files: content too large for the journal, each encrypted under a key of its own.

The key exists only in the content part of the record that names the payload, so erasing that part makes the
file unreadable everywhere, in backups too. The file goes as well, but nothing depends on that.

A file is a 16-byte mark and then chunks: 1 MiB of plain bytes each (the last one shorter), sealed with
AES-256-GCM (NIST SP 800-38D), 16 bytes of tag after each. The nonce is the chunk's number (11 bytes, big
endian) and one byte that is 1 for the last chunk only, so chunks can be neither reordered, nor dropped, nor
cut off at the end; the mark is authenticated with every chunk. A nonce never repeats under its key, for each
file has a fresh key and each chunk its own number. (The STREAM construction of Hoang, Reyhanitabar, Rogaway
and Vizár, 2015.)

Order of durability: bytes synced, renamed to the final name, folder synced, and only then the event that
names the payload. On erasure the event comes first. What a crash leaves over is removed by `sweep` at the
start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5, sha256
from types import TracebackType
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from journal.disk import Disk, File, explained
from journal.errors import Closed, Corrupt, NoSpace, WriteFailed

CHUNK_BYTES: Final = 1 << 20
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
NAME_BYTES: Final = 16
MARK: Final = b"retain-payload\x00\x01"
FOLDER: Final = "payloads"
STAGING: Final = "staging"

#: Two sums and a copy of the same bytes: done in steps that the processor's cache holds.
_STEP_BYTES: Final = 1 << 16
#: The disk begins to write after so many chunks, so that little is left to wait for when the last one came.
_WRITE_OUT_CHUNKS: Final = 4
_WRITE_OUT_BYTES: Final = _WRITE_OUT_CHUNKS * (CHUNK_BYTES + TAG_BYTES)

_LEVEL = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(rf"[0-9a-f]{{{2 * NAME_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Payload:
    """What a record must keep to read a payload file: whoever holds this can decrypt it.

    `name`: 32 hexadecimal digits; `key`: 32 bytes; `size`: plain bytes; `md5`, `sha256`: of the plain bytes.
    """

    name: str
    key: bytes = field(repr=False)
    size: int
    md5: bytes
    sha256: bytes


def payload_path(name: str) -> str:
    """Where a sealed payload lies in the data folder. Raises `ValueError` if that is no payload's name."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a payload")
    return f"{FOLDER}/{name[:2]}/{name[2:4]}/{name}"


class PayloadStore:
    """The payload files of a data folder. `entropy` gives keys and names."""

    def __init__(self, disk: Disk, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._disk = disk
        self._entropy = entropy
        self._staged: set[str] = set()
        self._folders: set[str] = set()

    def stage(self) -> Stage:
        """Begin a payload. Raises `NoSpace`, `WriteFailed`."""
        name = self._entropy(NAME_BYTES).hex()
        try:
            self._make_folder(f"{FOLDER}/{STAGING}")
            self._staged.add(name)
            return Stage(self._disk, name, self._entropy(KEY_BYTES), self._make_folder, self._staged.discard)
        except OSError as error:
            self._staged.discard(name)
            raise _failed(error, f"{FOLDER}/{STAGING}") from error

    def open(self, payload: Payload) -> PayloadReader:
        """Raises `Corrupt` if the file is missing or has not the length that belongs to `payload.size`."""
        path = payload_path(payload.name)
        try:
            file = self._disk.open(path)
        except FileNotFoundError:
            raise Corrupt("the payload file is missing", file=path) from None
        expected = file_size(payload.size)
        if file.size() != expected or file.pread(0, len(MARK)) != MARK:
            found = file.size()
            file.close()
            raise Corrupt(
                f"not a payload file of {payload.size} bytes: {found} bytes long, expected {expected}",
                file=path,
                offset=min(found, expected),
            )
        return PayloadReader(file, payload)

    def unlink(self, name: str) -> bool:
        """Remove a sealed payload; False if it was gone already.

        Not synced: its key is gone for good by then, and `sweep` meets a file that comes back after a crash.
        """
        try:
            self._disk.unlink(payload_path(name))
        except FileNotFoundError:
            return False
        return True

    def sweep(self, keep: Container[str]) -> list[str]:
        """Remove what no record names: sealed payloads not in `keep`, and stages nobody here is writing.

        For the start, before anything is staged: a payload sealed but not yet recorded must be in `keep`.
        Returns the names removed.
        """
        removed = []
        for folder, name in self._sealed():
            if name not in keep:
                self._disk.unlink(f"{folder}/{name}")
                removed.append(name)
        staging = f"{FOLDER}/{STAGING}"
        for name in self._listed(staging):
            if name not in self._staged:
                self._disk.unlink(f"{staging}/{name}")
                removed.append(name)
        return removed

    def names(self) -> list[str]:
        """Names of all sealed payloads, sorted."""
        return [name for _, name in self._sealed()]

    def _make_folder(self, folder: str) -> None:
        # Entered only after the sync, so that no other thread relies on a folder that may yet be lost.
        if folder not in self._folders:
            self._disk.make_folder(folder)
            self._folders.add(folder)

    def _sealed(self) -> Iterator[tuple[str, str]]:
        for first in self._listed(FOLDER):
            if not _LEVEL.fullmatch(first):
                continue
            for second in self._listed(f"{FOLDER}/{first}"):
                folder = f"{FOLDER}/{first}/{second}"
                yield from ((folder, name) for name in self._listed(folder) if _NAME.fullmatch(name))

    def _listed(self, folder: str) -> list[str]:
        try:
            return self._disk.names(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []


class Stage:
    """A payload being written. Not durable, and not reachable, before `seal` returned.

    Holds one chunk in memory, plain and sealed. To be used by one thread at a time, not always the same one.
    """

    def __init__(
        self,
        disk: Disk,
        name: str,
        key: bytes,
        make_folder: Callable[[str], None],
        forget: Callable[[str], None],
    ) -> None:
        self._disk, self._name, self._key = disk, name, key
        self._make_folder = make_folder
        self._forget = forget
        self._path = f"{FOLDER}/{STAGING}/{name}"
        self._file: File | None = disk.open(self._path, create=True)
        self._cipher = algorithms.AES(key)
        self._md5 = md5(usedforsecurity=False)
        self._sha256 = sha256()
        # Made once: memory given back and asked for again with each chunk costs more than encrypting it.
        self._chunk = bytearray(CHUNK_BYTES)
        self._sealed = bytearray(CHUNK_BYTES + TAG_BYTES)
        self._filled = self._index = self._size = 0
        self._broken: Exception | None = None

    @property
    def size(self) -> int:
        """Plain bytes written so far."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. Raises `NoSpace`, `WriteFailed`; all but `discard` raises the same from then on."""
        file = self._open_file()
        whole = memoryview(data)
        for start in range(0, len(whole), _STEP_BYTES):
            self._append(file, whole[start : start + _STEP_BYTES])

    def _append(self, file: File, view: memoryview) -> None:
        self._md5.update(view)
        self._sha256.update(view)
        self._size += len(view)
        while True:
            end = min(self._filled + len(view), CHUNK_BYTES)
            taken = end - self._filled
            self._chunk[self._filled : end], self._filled, view = view[:taken], end, view[taken:]
            if not view:
                return  # A full chunk waits for one more byte: only then is it known not to be the last one.
            with self._final_errors():
                self._write_chunk(file, last=False)

    def seal(self) -> Payload:
        """Make it durable under its final name. Raises `NoSpace`, `WriteFailed`; `discard` it then."""
        file = self._open_file()
        final = payload_path(self._name)
        folder = final.rpartition("/")[0]
        with self._final_errors():
            self._write_chunk(file, last=True)
            file.sync()
            self._make_folder(folder)
            self._disk.replace(self._path, final)
            self._path = final
            self._disk.sync_folder(folder)
        self._close(file)
        return Payload(self._name, self._key, self._size, self._md5.digest(), self._sha256.digest())

    def discard(self) -> None:
        """Remove what was written. After `seal` or a first `discard` there is nothing to do."""
        if self._file is not None:
            self._close(self._file)
            self._disk.unlink(self._path)

    def _open_file(self) -> File:
        if self._file is None:
            raise Closed("the payload was sealed or discarded before", file=self._path)
        if self._broken is not None:
            raise self._broken
        return self._file

    @contextmanager
    def _final_errors(self) -> Iterator[None]:
        try:
            yield
        except NoSpace as error:
            self._broken = error
            raise
        except OSError as error:
            self._broken = _failed(error, self._path)
            raise self._broken from error

    def _close(self, file: File) -> None:
        file.close()
        self._file = None
        self._forget(self._name)

    def _write_chunk(self, file: File, *, last: bool) -> None:
        encryptor = Cipher(self._cipher, modes.GCM(_nonce(self._index, last=last))).encryptor()
        encryptor.authenticate_additional_data(MARK)
        size = encryptor.update_into(memoryview(self._chunk)[: self._filled], self._sealed)
        encryptor.finalize()
        self._sealed[size : size + TAG_BYTES] = encryptor.tag
        if self._index == 0:
            file.pwrite(0, MARK)
        file.pwrite(_chunk_offset(self._index), memoryview(self._sealed)[: size + TAG_BYTES])
        self._filled = 0
        self._index += 1
        if self._index % _WRITE_OUT_CHUNKS == 0:
            end = _chunk_offset(self._index)
            file.begin_writing(end - _WRITE_OUT_BYTES, _WRITE_OUT_BYTES)


class PayloadReader:
    """A sealed payload, open for reading any range. To be used by one thread at a time."""

    def __init__(self, file: File, payload: Payload) -> None:
        self._file = file
        self._cipher = AESGCM(payload.key)
        self._size = payload.size
        self._last = max(0, payload.size - 1) // CHUNK_BYTES
        self._index = -1
        self._chunk = b""

    @property
    def size(self) -> int:
        """Plain bytes in all."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on: fewer than `length` only at the end. Decrypts only the chunks touched.

        Raises `Corrupt` and gives no byte of a chunk that is not authentic; `ValueError` below zero.
        """
        if offset < 0 or length < 0:
            raise ValueError(f"no bytes at {offset}, length {length}")
        stop = min(offset + length, self._size)
        pieces = []
        while offset < stop:
            index, start = divmod(offset, CHUNK_BYTES)
            piece = self._decrypted(index)[start : start + stop - offset]
            pieces.append(piece)
            offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def forget(self) -> None:
        """Give back the memory of the chunk last read; the next read decrypts anew."""
        self._index, self._chunk = -1, b""

    def close(self) -> None:
        """Close the file and forget the chunk last read. May be called twice."""
        self._file.close()
        self.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decrypted(self, index: int) -> bytes:
        # Reads in small steps come back to the same chunk many times.
        if index != self._index:
            size = min(CHUNK_BYTES, self._size - index * CHUNK_BYTES)
            place = _chunk_offset(index)
            sealed = self._file.pread(place, size + TAG_BYTES)
            try:
                self._chunk = self._cipher.decrypt(_nonce(index, last=index == self._last), sealed, MARK)
            except InvalidTag:
                raise Corrupt(
                    f"chunk {index} of the payload is damaged", file=self._file.name, offset=place
                ) from None
            self._index = index
        return self._chunk


def file_size(size: int) -> int:
    """Length of the file that holds `size` plain bytes."""
    chunks = max(1, -(-size // CHUNK_BYTES))
    return len(MARK) + size + chunks * TAG_BYTES


def _chunk_offset(index: int) -> int:
    return len(MARK) + index * (CHUNK_BYTES + TAG_BYTES)


def _nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _failed(error: OSError, path: str) -> Exception:
    told = explained(error, path, -1)
    if isinstance(told, NoSpace):
        return told
    return WriteFailed(f"the payload file could not be written: {error}", file=path)
