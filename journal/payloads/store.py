"""The payload files: content too large for the journal, each encrypted under its own key.

The key exists only in the content part of the record that names the payload, so erasing that part makes the
file unreadable everywhere, in backups too. The file is removed as well, but nothing depends on that.

The file is described in `journal.payload_file`, how it comes to be in `journal.staging`. On erasure the event
comes first. What a crash leaves is removed in a later run: `of_other_runs` lists what may be such a file.
Names end with four bytes that all stores of one run share, and other runs do not. So a file that was sealed
a moment ago, by whichever process, is never taken for the remains of a crash before its record is written.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from threading import Lock
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retain.journal.disk.handles import Handles
from retain.journal.disk.real import Disk, File
from retain.journal.errors import Corrupt, NoSpace
from retain.journal.payloads.file import (
    CHUNK_BYTES,
    FOLDER,
    KEY_BYTES,
    MARK,
    NAME_BYTES,
    RUN_BYTES,
    STAGING,
    TAG_BYTES,
    Payload,
    chunk_offset,
    file_size,
    is_name,
    nonce,
    payload_path,
)
from retain.journal.payloads.stage import Stage, failed

__all__ = [
    "CHUNK_BYTES",
    "FOLDER",
    "MARK",
    "TAG_BYTES",
    "Payload",
    "PayloadReader",
    "PayloadStore",
    "Stage",
    "file_size",
    "payload_path",
]

#: Payload files open for reading at once, however many readers there are: a slow reader holds no descriptor.
READ_HANDLES = 64
#  Further open files, removed while they were read. Beyond this, their readers fail.
REMOVED_HANDLES = 64
PAYLOAD_HANDLES = READ_HANDLES + REMOVED_HANDLES

PORTION_FOLDERS = 64
PORTION_NAMES = 1024
"""`of_other_runs` lists at most this many folders at a time, and fewer if their names are more than these."""

_LEVEL = re.compile(r"[0-9a-f]{2}")


class Portion(NamedTuple):
    """Some of the files that this run has not made.

    Attributes:
        sealed: Names of sealed payloads.
        stages: Names of payloads that a dead process was still writing.
    """

    sealed: list[str]
    stages: list[str]


class PayloadStore:
    """The payload files of a data folder.

    Args:
        disk: The data folder.
        entropy: Gives keys and names.
        run: What the names end with: `RUN_BYTES`, from the store of the process that has the lock. A store
            that gets none draws its own, and so begins a run.

    Attributes:
        run: The same.
    """

    def __init__(
        self, disk: Disk, entropy: Callable[[int], bytes] = os.urandom, *, run: bytes | None = None
    ) -> None:
        self._disk = disk
        self._entropy = entropy
        self.run = entropy(RUN_BYTES) if run is None else run
        self._folders: set[str] = set()
        self._handles = Handles(READ_HANDLES)
        self._readers: Counter[str] = Counter()
        self._removed: dict[str, File] = {}
        self._readers_lock = Lock()

    def stage(self, *, with_md5: bool = True) -> Stage:
        """Begin a payload, without an MD5 if `with_md5` is false. Raises `NoSpace`, `WriteFailed`."""
        name = (self._entropy(NAME_BYTES - RUN_BYTES) + self.run).hex()
        try:
            self._make_folder(f"{FOLDER}/{STAGING}")
            key = self._entropy(KEY_BYTES)
            return Stage(self._disk, name, key, self._make_folder, with_md5=with_md5)
        except OSError as error:
            raise failed(error, f"{FOLDER}/{STAGING}") from error

    def open(self, payload: Payload) -> PayloadReader:
        """Check the file. Raises `Corrupt` if it is missing or its length does not match `payload.size`."""
        path = payload_path(payload.name)
        expected = file_size(payload.size)
        file = _Shared(self, path)
        try:
            with self._handles.reading(path, partial(self._disk.open, path)) as opened:
                found, mark = opened.size(), opened.pread(0, len(MARK))
        except FileNotFoundError:
            file.close()
            raise Corrupt("the payload file is missing", file=path) from None
        except BaseException:
            file.close()
            raise
        if found != expected or mark != MARK:
            file.close()
            self._handles.drop(path)
            raise Corrupt(
                f"not a payload file of {payload.size} bytes: {found} bytes long, expected {expected}",
                file=path,
                offset=min(found, expected),
            )
        return PayloadReader(file, payload)

    def pread(self, path: str, offset: int, length: int) -> bytes:
        """Return bytes of a file in use. Raises `Corrupt` if it is missing, `Shortage`, `OSError`."""
        with self._readers_lock:
            kept = self._removed.get(path)
        if kept is not None:
            return kept.pread(offset, length)
        try:
            with self._handles.reading(path, partial(self._disk.open, path)) as file:
                return file.pread(offset, length)
        except FileNotFoundError:
            raise Corrupt("the payload file was removed while it was read", file=path) from None

    def forget_handle(self, path: str) -> None:
        """Close the shared handle of a file, as soon as it has no readers."""
        self._handles.drop(path)

    def enter(self, path: str) -> None:
        """Count one more reader of a file."""
        with self._readers_lock:
            self._readers[path] += 1

    def leave(self, path: str) -> None:
        """Count one reader of a file less."""
        with self._readers_lock:
            self._readers[path] -= 1
            if self._readers[path]:
                return
            del self._readers[path]
            kept = self._removed.pop(path, None)
        if kept is not None:
            kept.close()

    def _keep_for_readers(self, path: str) -> None:
        """Keep a file open for its readers before it is removed, as far as there are descriptors."""
        with self._readers_lock:
            if path in self._readers and path not in self._removed and len(self._removed) < REMOVED_HANDLES:
                with suppress(NoSpace, FileNotFoundError):
                    self._removed[path] = self._disk.open(path)

    def unlink(self, name: str) -> bool:
        """Remove a sealed payload; return False if it did not exist.

        Not synced: its key is erased by then, and a later run removes a file that reappears after a crash.
        """
        path = payload_path(name)
        self._keep_for_readers(path)
        try:
            self._disk.unlink(path)
        except FileNotFoundError:
            return False
        finally:
            self._handles.drop(path)
        return True

    def close(self) -> None:
        """Close the files that are kept open for reading."""
        self._handles.close()

    def unlink_stage(self, name: str) -> None:
        """Remove what a dead process was writing, if it is still there."""
        with suppress(FileNotFoundError):
            self._disk.unlink(f"{FOLDER}/{STAGING}/{name}")

    def exists(self, name: str) -> bool:
        """Return whether there is a sealed payload of this name."""
        return self._disk.exists(payload_path(name))

    def of_other_runs(self) -> Iterator[Portion]:
        """Yield the files that other runs made, in portions that take some milliseconds each to list.

        Every file that was there before the first portion, and still is after the last, is in one of them.
        """
        own = self.run.hex()
        stages = [name for name in self._listed(f"{FOLDER}/{STAGING}") if is_name(name)]
        yield Portion([], [name for name in stages if not name.endswith(own)])
        sealed: list[str] = []
        for count, (_, names) in enumerate(self._sealed_by_folder(), 1):
            sealed += (name for name in names if not name.endswith(own))
            if not count % PORTION_FOLDERS or len(sealed) >= PORTION_NAMES:
                yield Portion(sealed, [])
                sealed = []
        yield Portion(sealed, [])

    def names(self) -> list[str]:
        """Return the names of all sealed payloads, sorted."""
        return [name for _, names in self._sealed_by_folder() for name in names]

    def _make_folder(self, folder: str) -> None:
        # Entered only after the sync, so that no other thread relies on a folder that may yet be lost.
        if folder not in self._folders:
            self._disk.make_folder(folder)
            self._folders.add(folder)

    def _sealed_by_folder(self) -> Iterator[tuple[str, list[str]]]:
        for first in self._listed(FOLDER):
            if not _LEVEL.fullmatch(first):
                continue
            for second in self._listed(f"{FOLDER}/{first}"):
                folder = f"{FOLDER}/{first}/{second}"
                yield folder, [name for name in self._listed(folder) if is_name(name)]

    def _listed(self, folder: str) -> list[str]:
        try:
            return self._disk.names(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []


class Readable(Protocol):
    """What a payload is read from."""

    @property
    def name(self) -> str: ...

    def pread(self, offset: int, length: int) -> bytes: ...

    def reopen(self) -> None: ...

    def close(self) -> None: ...


class _Shared:
    """A payload file that is read through the store's few handles; none is kept between two reads."""

    def __init__(self, store: PayloadStore, path: str) -> None:
        self._store = store
        self._path = path
        self._is_open = True
        store.enter(path)

    @property
    def name(self) -> str:
        return self._path

    def pread(self, offset: int, length: int) -> bytes:
        return self._store.pread(self._path, offset, length)

    def reopen(self) -> None:
        """Let the next read open the file by its name again: another may have been put in its place."""
        self._store.forget_handle(self._path)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._store.leave(self._path)


class PayloadReader:
    """A sealed payload, open for reading any range. To be used by one thread at a time."""

    def __init__(self, file: Readable, payload: Payload) -> None:
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
        """Return the bytes from `offset` on, fewer than `length` only at the end.

        Decrypts only the chunks touched. Raises `Corrupt`, and returns no byte of a chunk that is not
        authentic; `ValueError` below zero.
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
        """Give back the memory of the chunk last read; the next read decrypts it again."""
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
            place = chunk_offset(index)
            sealed = self._file.pread(place, size + TAG_BYTES)
            try:
                self._chunk = self._cipher.decrypt(nonce(index, last=index == self._last), sealed, MARK)
            except InvalidTag:
                self._file.reopen()
                raise Corrupt(
                    f"chunk {index} of the payload is damaged", file=self._file.name, offset=place
                ) from None
            self._index = index
        return self._chunk
