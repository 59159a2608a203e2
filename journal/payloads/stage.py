"""A payload being written: hashed, encrypted, and either durable under its name or removed.

Order of durability: bytes synced, renamed to the final name, folder synced, and only then the event that
names the payload. On erasure the event comes first. What a crash leaves over is removed in the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5, sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from retain.journal.disk.real import Disk, File, explained
from retain.journal.errors import Closed, NoSpace, WriteFailed
from retain.journal.payloads.file import (
    CHUNK_BYTES,
    FOLDER,
    MARK,
    STAGING,
    TAG_BYTES,
    Payload,
    chunk_offset,
    nonce,
    payload_path,
)

#: Both sums over the same bytes: in steps that the processor's cache holds.
_STEP_BYTES: Final = 1 << 17
#: The disk begins to write after this many chunks, so that little is left to wait for when the last one came.
_WRITE_OUT_CHUNKS: Final = 4
_WRITE_OUT_BYTES: Final = _WRITE_OUT_CHUNKS * (CHUNK_BYTES + TAG_BYTES)


class Stage:
    """A payload being written. Not durable, and not reachable, before `seal` returned.

    Holds one chunk in memory, in the pieces it came in and sealed. To be used by one thread at a time, not
    always the same one.
    """

    def __init__(
        self,
        disk: Disk,
        name: str,
        key: bytes,
        make_folder: Callable[[str], None],
        *,
        with_md5: bool = True,
    ) -> None:
        self._disk, self._name, self._key = disk, name, key
        self._make_folder = make_folder
        self._path = f"{FOLDER}/{STAGING}/{name}"
        self._file: File | None = disk.open(self._path, create=True)
        self._cipher = algorithms.AES(key)
        self._md5 = md5(usedforsecurity=False) if with_md5 else None
        self._sha256 = sha256()
        # Made once: memory given back and asked for again with each chunk costs more than encrypting it.
        self._sealed = bytearray(CHUNK_BYTES + TAG_BYTES)
        self._pieces: list[memoryview] = []
        self._filled = self._index = self._size = 0
        self._broken: Exception | None = None

    @property
    def size(self) -> int:
        """Plain bytes written so far."""
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. What cannot change is kept as it is until its chunk is written, so large pieces cost least.

        Raises `NoSpace`, `WriteFailed`; all but `discard` raises the same from then on.
        """
        file = self._open_file()
        whole = memoryview(data)
        if not whole.readonly:
            whole = memoryview(bytes(whole))
        for start in range(0, len(whole), _STEP_BYTES):
            self._append(file, whole[start : start + _STEP_BYTES])

    def _append(self, file: File, view: memoryview) -> None:
        if self._md5 is not None:
            self._md5.update(view)
        self._sha256.update(view)
        self._size += len(view)
        while True:
            taken = min(len(view), CHUNK_BYTES - self._filled)
            self._pieces.append(view[:taken])
            self._filled, view = self._filled + taken, view[taken:]
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
        digest = b"" if self._md5 is None else self._md5.digest()
        return Payload(self._name, self._key, self._size, digest, self._sha256.digest())

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
            self._broken = failed(error, self._path)
            raise self._broken from error

    def _close(self, file: File) -> None:
        file.close()
        self._file = None

    def _write_chunk(self, file: File, *, last: bool) -> None:
        encryptor = Cipher(self._cipher, modes.GCM(nonce(self._index, last=last))).encryptor()
        encryptor.authenticate_additional_data(MARK)
        size = 0
        sealed = memoryview(self._sealed)
        for piece in self._pieces:
            size += encryptor.update_into(piece, sealed[size:])
        self._pieces.clear()
        encryptor.finalize()
        self._sealed[size : size + TAG_BYTES] = encryptor.tag
        if self._index == 0:
            file.pwrite(0, MARK)
        file.pwrite(chunk_offset(self._index), sealed[: size + TAG_BYTES])
        self._filled = 0
        self._index += 1
        if self._index % _WRITE_OUT_CHUNKS == 0:
            end = chunk_offset(self._index)
            file.begin_writing(end - _WRITE_OUT_BYTES, _WRITE_OUT_BYTES)


def failed(error: OSError, path: str) -> Exception:
    """Return the exception for an error of the disk at `path`."""
    cause = explained(error, path, -1)
    if isinstance(cause, NoSpace):
        return cause
    return WriteFailed(f"the payload file could not be written: {error}", file=path)
