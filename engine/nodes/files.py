"""The small files that all nodes have: keys of accounts, users, the key that signs checkpoints.

The journal does not contain them. Each node has them in its folder. The shared log stores them encrypted with
the cluster's secret, so that nobody who reads the database can read a key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from retain import journal

NONCE_BYTES: Final = 12


class SharedFiles:
    """The files of one folder, and what the shared log contained when it was last read.

    Args:
        disk: The data folder.
        secret: The secret of the cluster.
        names: Returns the files of the folder that all nodes have.
        loaded: Called after files have changed, in a worker thread.
        entropy: Returns random bytes, for nonces.

    """

    def __init__(
        self,
        disk: journal.Disk,
        secret: bytes,
        names: Callable[[journal.Disk], list[str]],
        *,
        loaded: Callable[[], None] = lambda: None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.loaded = loaded
        self._disk = disk
        self._cipher = _cipher(secret)
        self._names = names
        self._entropy = entropy
        self._known: dict[str, bytes] = {}
        self._stored: dict[str, bytes] = {}
        self._is_loaded = False

    def changes(self) -> dict[str, bytes | None]:
        """Return the files that differ from those in the log, encrypted; None for a removed one. Blocking."""
        here = set(self._names(self._disk))
        return {
            name: self._sealed(name, self._disk.read(name)) if name in here else None
            for name in self._changed(here)
        }

    def before(self, changes: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """Return what the log had, encrypted, when it was last read, of the files to be changed."""
        return {name: self._stored.get(name) for name in changes}

    def stored(self, changes: Mapping[str, bytes | None]) -> None:
        """Note that the log has `changes` now."""
        for name, data in changes.items():
            _set(self._stored, name, data)
            _set(self._known, name, None if data is None else self._opened(name, data))

    def revert(self) -> None:
        """Undo the changes that the log does not have; where that fails, the next `load` does. Blocking.

        Raises:
            NoSpace, OSError: A file cannot be written.

        """
        self._is_loaded = False
        self._replace(self._known)
        self._is_loaded = True

    def load(self, kept: Mapping[str, bytes]) -> None:
        """Replace this folder's files by those in the log. Blocking.

        Files that were changed here since the last time stay: the change is to be stored yet.

        Raises:
            BadTarget: They were encrypted with another secret; or the log has none and this folder has some.
            OSError: A file cannot be written.

        """
        opened = {name: self._opened(name, data) for name, data in kept.items()}
        here = set(self._names(self._disk))
        if here and not opened:
            # `retain node init` was interrupted: this folder has the only copy of the keys, so keep it.
            raise journal.BadTarget(
                "the shared log keeps no keys, and this data folder has some; run `retain node init` again, "
                "on the machine whose folder began the cluster"
            )
        there, stored = dict(opened), dict(kept)
        if self._is_loaded:
            for name in self._changed(here):
                # What the log had before is kept, too: `Shared.keep` then notices if it has changed since.
                _set(there, name, self._disk.read(name) if name in here else None)
                _set(opened, name, self._known.get(name))
                _set(stored, name, self._stored.get(name))
        self._known, self._stored, self._is_loaded = opened, stored, True
        self._replace(there)

    def _changed(self, here: set[str]) -> list[str]:
        """Return the files that were changed here since they were last read from the log, or stored there."""
        known = self._known
        return [
            name
            for name in here | set(known)
            if name not in here or name not in known or self._disk.read(name) != known[name]
        ]

    def _replace(self, there: Mapping[str, bytes]) -> None:
        """Have exactly these files in the folder."""
        here = set(self._names(self._disk))
        changed = False
        for name, data in there.items():
            if name not in here or self._disk.read(name) != data:
                if "/" in name:
                    self._disk.make_folder(name.rpartition("/")[0])
                self._disk.write_atomic(name, data)
                changed = True
        for name in here - set(there):
            self._disk.unlink(name)
            self._disk.sync_folder(name.rpartition("/")[0])
            changed = True
        if changed:
            self.loaded()

    def _sealed(self, name: str, data: bytes) -> bytes:
        nonce = self._entropy(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, name.encode())

    def _opened(self, name: str, data: bytes) -> bytes:
        return _opened(self._cipher, name, data)


def check_secret(secret: bytes, kept: Mapping[str, bytes]) -> None:
    """Refuse a secret that is not the one with which the files in the shared log were encrypted.

    Raises:
        BadTarget: It is not.

    """
    for name, data in kept.items():
        _opened(_cipher(secret), name, data)


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(derived(secret, b"retain: files"))


def _opened(cipher: AESGCM, name: str, data: bytes) -> bytes:
    try:
        return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())
    except InvalidTag:
        raise journal.BadTarget(
            f"the shared log keeps {name} encrypted with another secret than this node's; copy the file of "
            "cluster.secret_file from another node, or, if all nodes have a new secret, run "
            "`retain node init` at one of them"
        ) from None


def _set(files: dict[str, bytes], name: str, data: bytes | None) -> None:
    if data is None:
        files.pop(name, None)
    else:
        files[name] = data


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose, from the cluster's secret."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret)
