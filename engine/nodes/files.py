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
        self._cipher = AESGCM(derived(secret, b"retain: files"))
        self._names = names
        self._entropy = entropy
        self._known: dict[str, bytes] = {}

    def changes(self) -> dict[str, bytes | None]:
        """Return the files that differ from those in the log, encrypted; None for a removed one. Blocking."""
        here = {name: self._disk.read(name) for name in self._names(self._disk)}
        changes: dict[str, bytes | None] = {
            name: self._sealed(name, data) for name, data in here.items() if self._known.get(name) != data
        }
        changes |= dict.fromkeys(set(self._known) - set(here))
        return changes

    def load(self, kept: Mapping[str, bytes]) -> None:
        """Replace this folder's files by those in the log. Blocking.

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
        changed = False
        for name, data in opened.items():
            if name not in here or self._disk.read(name) != data:
                if "/" in name:
                    self._disk.make_folder(name.rpartition("/")[0])
                self._disk.write_atomic(name, data)
                changed = True
        for name in here - set(opened):
            self._disk.unlink(name)
            self._disk.sync_folder(name.rpartition("/")[0])
            changed = True
        self._known = opened
        if changed:
            self.loaded()

    def _sealed(self, name: str, data: bytes) -> bytes:
        nonce = self._entropy(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, name.encode())

    def _opened(self, name: str, data: bytes) -> bytes:
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], name.encode())
        except InvalidTag:
            raise journal.BadTarget(
                f"the shared log keeps {name} encrypted with another secret: all nodes need the same one; "
                "after a change of the secret, run `retain node init` at one node"
            ) from None


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose, from the cluster's secret."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret)
