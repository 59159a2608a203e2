"""A data folder whose payload files are objects in a store that several machines reach.

Staged payloads are local files. Sealing one puts it into the store under its name, where it appears only as a
whole. All other files of the data folder are local.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from retain.journal.disk.interface import File
from retain.journal.disk.real import RealDisk, RealFile

_FOLDER: Final = "payloads"
_STAGING: Final = f"{_FOLDER}/staging"
_OBJECT: Final = re.compile(rf"{_FOLDER}/[0-9a-f]{{2}}(/.*)?", re.DOTALL)
MARK: Final = "retain-cluster"
"""The object by which nodes recognise the store of their cluster: it contains the journal's identity."""
TIMEOUT: Final = "30s"
"""Longest time for one request to the store; a large payload is sent in several."""
RETRIES: Final = 3
RETRY_S: Final = 20
"""A failed request is repeated at most `RETRIES` times within `RETRY_S` seconds, because a client waits."""


class Objects(Protocol):
    """A store of objects. Names contain "/". A failing call raises `OSError`. From any thread."""

    def put(self, name: str, source: Path | bytes) -> None:
        """Store a file's bytes, or these bytes, durably, under this name. An earlier object is replaced."""

    def size(self, name: str) -> int:
        """Return an object's length. Raises `FileNotFoundError`."""

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return `length` bytes of an object, which must have them. Raises `FileNotFoundError`."""

    def remove(self, name: str) -> None:
        """Remove an object. Raises `FileNotFoundError` if the store reports that there is none."""

    def names(self, folder: str = "") -> list[str]:
        """Return the objects and folders in `folder`, without the folder's own name."""

    def all(self) -> Iterator[str]:
        """Yield the names of all objects."""


class StoredObjects:
    """Objects in S3, Azure Blob Storage or a folder, through the library obstore.

    Args:
        store: An object store of obstore.

    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._library = import_module("obstore")

    @classmethod
    def at(cls, url: str, *, create: bool = True) -> Self:
        """Return the store at a URL. Credentials come from the environment, as its own tools read them.

        `create` creates the folder of a `file://` URL; without, one that is missing is refused.

        Raises:
            ImportError: obstore is not installed.
            ValueError: No store has such a URL, or a parameter of the store or its folder is missing.

        """
        stores, errors = import_module("obstore.store"), import_module("obstore.exceptions")
        if url.startswith("file://"):
            folder = url.removeprefix("file://")
            if not create and not os.path.isdir(folder):
                raise ValueError(
                    f"there is no folder {folder}; mount its file system, which every machine has"
                )
            try:
                return cls(stores.LocalStore(folder, mkdir=True))
            except OSError as error:
                raise ValueError(_first_line(error)) from None
        client = {"timeout": TIMEOUT, "connect_timeout": "5s", "allow_http": _is_http_allowed(url)}
        retries = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_S)}
        try:
            return cls(stores.from_url(url, client_options=client, retry_config=retries))
        except errors.BaseError as error:
            raise ValueError(_first_line(error)) from None

    def put(self, name: str, source: Path | bytes) -> None:
        """Store an object."""
        with self._failures(name):
            self._library.put(self._store, name, source)

    def size(self, name: str) -> int:
        """Return an object's length."""
        with self._failures(name):
            return int(self._library.head(self._store, name)["size"])

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Return a part of an object."""
        if not length:
            return b""
        with self._failures(name):
            return bytes(self._library.get_range(self._store, name, start=offset, length=length))

    def remove(self, name: str) -> None:
        """Remove an object."""
        with self._failures(name):
            self._library.delete(self._store, name)

    def names(self, folder: str = "") -> list[str]:
        """Return the objects and folders in `folder`."""
        with self._failures(folder):
            found = self._library.list_with_delimiter(self._store, folder or None)
        paths = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def all(self) -> Iterator[str]:
        """Yield the names of all objects."""
        with self._failures(""):
            for page in self._library.list(self._store):
                yield from (one["path"] for one in page)

    @contextmanager
    def _failures(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
        except self._library.exceptions.BaseError as error:
            # Not EIO, which is damage: the store may answer again a moment later.
            raise OSError(errno.EHOSTDOWN, f"the object store refused: {_first_line(error)}", name) from error


class ObjectFile(File):
    """An object, open for reading."""

    def __init__(self, objects: Objects, key: str, name: str) -> None:
        self._objects, self._key, self._name = objects, key, name
        self._size = objects.size(key)

    @property
    def name(self) -> str:
        return self._name

    def size(self) -> int:
        return self._size

    def pread(self, offset: int, length: int) -> bytes:
        return self._objects.read(self._key, offset, max(0, min(length, self._size - offset)))

    def pwrite(self, offset: int, data: bytes | memoryview) -> None:
        raise self._unchangeable()

    def sync(self) -> None:
        return  # put made it durable

    def truncate(self, size: int) -> None:
        raise self._unchangeable()

    def allocate(self, offset: int, length: int) -> None:
        raise self._unchangeable()

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def _unchangeable(self) -> OSError:
        return OSError(errno.EROFS, "an object in the store cannot be changed", self._name)


class ObjectDisk(RealDisk):
    """A data folder with its sealed payloads in `objects`; see the module.

    Attributes:
        objects: The store.

    """

    def __init__(self, path: str | os.PathLike[str], objects: Objects, *, create: bool = True) -> None:
        super().__init__(path, create=create)
        self.objects = objects

    def names(self, folder: str = "") -> list[str]:
        if folder == _FOLDER:
            here: list[str] = []
            with suppress(FileNotFoundError):  # nothing was staged here yet
                here = [name for name in super().names(folder) if not _is_object(f"{folder}/{name}")]
            return sorted({*here, *self.objects.names()})
        return self.objects.names(_key(folder)) if _is_object(folder) else super().names(folder)

    def open(self, name: str, *, create: bool = False, write: bool = False) -> RealFile | ObjectFile:  # type: ignore[override]
        if not _is_object(name):
            return super().open(name, create=create, write=write)
        if create or write:
            raise OSError(errno.EROFS, "a payload is put into the store when it is sealed", name)
        return ObjectFile(self.objects, _key(name), name)

    def replace(self, old: str, new: str) -> None:
        if not _is_object(new):
            super().replace(old, new)
            return
        self.objects.put(_key(new), self._place(old))
        super().unlink(old)

    def unlink(self, name: str) -> None:
        if _is_object(name):
            self.objects.remove(_key(name))
        else:
            super().unlink(name)

    def sync_folder(self, folder: str = "") -> None:
        if not _is_object(folder):
            super().sync_folder(folder)

    def make_folder(self, folder: str) -> None:
        if not _is_object(folder):
            super().make_folder(folder)

    def payloads(self) -> list[str]:
        """Return the names of all payloads in the store."""
        return [key.rpartition("/")[2] for key in self.objects.all() if _is_object(f"{_FOLDER}/{key}")]

    def remove_payload(self, name: str) -> None:
        """Remove a payload that no record names; do nothing if there is none."""
        with suppress(FileNotFoundError):
            self.objects.remove(f"{name[:2]}/{name[2:4]}/{name}")

    def take_in(self) -> int:
        """Put the payloads of the local folder into the store, and remove them here; return how many.

        For the folder of a single server that becomes a node.
        """
        folder, moved = RealDisk(self.path), 0
        for name in _sealed(folder):
            self.objects.put(_key(name), self._place(name))
            folder.unlink(name)
            moved += 1
        return moved

    def drop_copies(self) -> int:
        """Remove local payloads that the store also has; return how many others there are.

        Called at the start, before anything is staged, so the remains of staging are removed too. A restored
        backup of another node has such payloads.
        """
        folder, others = RealDisk(self.path), 0
        if folder.exists(_STAGING):
            for name in folder.names(_STAGING):
                folder.unlink(f"{_STAGING}/{name}")
        for name in _sealed(folder):
            with folder.open(name) as file:
                size = file.size()
            try:
                found = self.objects.size(_key(name))
            except FileNotFoundError:
                found = -1
            if found == size:
                folder.unlink(name)
            else:
                others += 1
        return others


def _is_http_allowed(url: str) -> bool:
    """Return whether the environment allows HTTP: obstore reads it only if no client option is passed."""
    scheme = url.partition("://")[0]
    prefix = {"s3": "AWS", "s3a": "AWS", "gs": "GOOGLE"}.get(scheme, "AZURE")
    return os.environ.get(f"{prefix}_ALLOW_HTTP", "").lower() in ("1", "true", "yes", "on")


def _is_object(name: str) -> bool:
    return _OBJECT.fullmatch(name) is not None


def _key(name: str) -> str:
    return name.removeprefix(f"{_FOLDER}/")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _sealed(folder: RealDisk) -> list[str]:
    if not folder.exists(_FOLDER):
        return []
    firsts = [f"{_FOLDER}/{one}" for one in folder.names(_FOLDER)]
    seconds = [f"{first}/{one}" for first in firsts if _is_object(first) for one in folder.names(first)]
    return [f"{second}/{one}" for second in seconds for one in folder.names(second)]
