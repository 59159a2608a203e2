"""The payload files: content too large for the journal, each encrypted under its own key.

The key exists only in the content part of the record that names the payload, so erasing that part makes the
file unreadable everywhere, in backups too. The file is removed as well, but nothing depends on that.

The file is described in `journal.payload_file`, how it comes to be in `journal.staging`. On erasure the event
comes first. What a crash leaves over is removed by `sweep` at the start.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
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

_LEVEL = re.compile(r"[0-9a-f]{2}")


class Swept(NamedTuple):
    """What a sweep did and found.

    Attributes:
        removed: Names of the files removed.
        missing: Names to keep that have no file.
    """

    removed: list[str]
    missing: list[str]


class PayloadStore:
    """The payload files of a data folder. `entropy` gives keys and names."""

    def __init__(self, disk: Disk, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._disk = disk
        self._entropy = entropy
        self._staged: set[str] = set()
        self._folders: set[str] = set()
        self._handles = Handles(READ_HANDLES)
        self._readers: Counter[str] = Counter()
        self._removed: dict[str, File] = {}
        self._readers_lock = Lock()

    def stage(self, *, with_md5: bool = True) -> Stage:
        """Begin a payload, without an MD5 if `with_md5` is false. Raises `NoSpace`, `WriteFailed`."""
        name = self._entropy(NAME_BYTES).hex()
        try:
            self._make_folder(f"{FOLDER}/{STAGING}")
            self._staged.add(name)
            return Stage(
                self._disk,
                name,
                self._entropy(KEY_BYTES),
                self._make_folder,
                self._staged.discard,
                with_md5=with_md5,
            )
        except OSError as error:
            self._staged.discard(name)
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

        Not synced: its key is erased by then, and `sweep` removes a file that reappears after a crash.
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

    def sweep(self, keep: Collection[str]) -> Swept:
        """Remove what no record names: sealed payloads not in `keep`, and stages of dead processes.

        For the start, before anything is staged: a payload sealed but not yet recorded must be in `keep`.
        """
        removed: list[str] = []
        kept = 0
        for folder, name in self._sealed():
            if name in keep:
                kept += 1
            else:
                self._disk.unlink(f"{folder}/{name}")
                removed.append(name)
        staging = f"{FOLDER}/{STAGING}"
        for name in self._listed(staging):
            if is_name(name) and name not in self._staged:
                self._disk.unlink(f"{staging}/{name}")
                removed.append(name)
        # Listed a second time only where something is missing.
        missing = sorted(set(keep).difference(self.names())) if kept < len(keep) else []
        return Swept(removed, missing)

    def names(self) -> list[str]:
        """Return the names of all sealed payloads, sorted."""
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
                yield from ((folder, name) for name in self._listed(folder) if is_name(name))

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
