"""Tenants of the blob interface: their accounts and the accounts' keys.

Each account's keys are in one file, `accounts/<name>` under the data folder, mode 0600, created with the
account; or the configuration contains one or two fixed keys, as emulators have them. A key never reaches the
journal, a log or an error.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from retain.api.config.checks import account_name
from retain.api.config.load import ConfigError, TenantConfig
from retain.engine import Conflict, Invalid, NotFound
from retain.journal import Disk

FOLDER: Final = "accounts"
KEY_BYTES: Final = 64
"""As long as Azure's account keys."""
KEYS: Final = (1, 2)
"""An account has two, so that one can be replaced while the other is in use."""


class Tenants:
    """The accounts and their keys, held in memory and kept in files.

    Args:
        disk: The data folder.
        configured: The accounts of the configuration; those without a key get a file like all others.
        entropy: The source of keys.

    Attributes:
        changed: Called when keys have changed, from any thread, before the change is answered.

    Raises:
        ConfigError: A fixed key is not base64 of at least 16 bytes, or only a second one is given.

    """

    def __init__(
        self, disk: Disk, configured: Sequence[TenantConfig], entropy: Callable[[int], bytes]
    ) -> None:
        self._disk = disk
        self._entropy = entropy
        self._fixed = {tenant.name: keys for tenant in configured if (keys := _fixed_keys(tenant))}
        self._keys = dict(self._fixed)
        self._configured = {tenant.name: tenant for tenant in configured}
        self.changed: Callable[[], None] = lambda: None

    def load(self) -> None:
        """Read every account's file, and create the configured accounts that are missing; blocking.

        Raises:
            Invalid: A file does not have the form that this class writes.
            NoSpace, OSError: A file cannot be created or read.
        """
        for name in self._disk.names(FOLDER) if self._disk.exists(FOLDER) else ():
            if account_name(name) is None and name not in self._fixed:
                self._keys[name] = _unpacked(name, self._disk.read(f"{FOLDER}/{name}"))
        for name in self._configured:
            if name not in self._keys:
                self._write(name, (self._new_key(), self._new_key()))

    def read_again(self) -> None:
        """Read every account's file again after another process has changed them; blocking.

        Raises:
            Invalid: A file does not have the form that this class writes.
            OSError: A file cannot be read.
        """
        keys = dict(self._fixed)
        for name in self._disk.names(FOLDER) if self._disk.exists(FOLDER) else ():
            if account_name(name) is None and name not in self._fixed:
                with suppress(FileNotFoundError):  # removed since
                    keys[name] = _unpacked(name, self._disk.read(f"{FOLDER}/{name}"))
        self._keys = keys

    def names(self) -> tuple[str, ...]:
        """Return all accounts, in order."""
        return tuple(sorted(self._keys))

    def keys_of(self, account: str) -> tuple[bytes, ...] | None:
        """Return the decoded keys, the signing one first; None if there is no such account."""
        return self._keys.get(account)

    def required(self, account: str) -> tuple[bytes, ...]:
        """Return the keys as `keys_of` does.

        Raises:
            NotFound: `tenant`.
        """
        keys = self._keys.get(account)
        if keys is None:
            raise NotFound(
                f"the tenant {account} does not exist; `retain tenant list` lists all", reason="tenant"
            )
        return keys

    def is_configured(self, account: str) -> bool:
        """Return whether the configuration names the account, so that only a change there removes it."""
        return account in self._configured

    def is_fixed(self, account: str) -> bool:
        """Return whether the configuration contains the account's key, so that only it can replace it."""
        return account in self._fixed

    def add(self, account: str) -> None:
        """Create an account with two fresh keys; blocking.

        Raises:
            Invalid: `account-name`.
            Conflict: `tenant-exists`.
            NoSpace, OSError: The file cannot be created.
        """
        if (complaint := account_name(account)) is not None:
            raise Invalid(f"the tenant's name {complaint}", reason="account-name")
        if account in self._keys:
            raise Conflict(
                f"the tenant {account} already exists; `retain tenant list` lists all", reason="tenant-exists"
            )
        self._write(account, (self._new_key(), self._new_key()))

    def rotate(self, account: str, key: int) -> None:
        """Replace one of the two keys; blocking.

        Raises:
            NotFound: `tenant`.
            Invalid: `key`: there is no key of that number.
            Conflict: `fixed-key`.
            NoSpace, OSError: The file cannot be written; the old keys remain.
        """
        keys = list(self.required(account))
        if account in self._fixed:
            raise Conflict(
                f"the key of the tenant {account} is set in the configuration; replace it there",
                reason="fixed-key",
            )
        if key not in KEYS:
            raise Invalid("the key must be 1 or 2", reason="key")
        keys[key - 1] = self._new_key()
        self._write(account, tuple(keys))

    def check_removable(self, account: str) -> None:
        """Refuse what `remove` would refuse."""
        self.required(account)
        if account in self._configured:
            raise Conflict(
                f"the tenant {account} is set in the configuration; remove it there", reason="configured"
            )

    def remove(self, account: str) -> None:
        """Forget an account and its keys; blocking.

        Raises:
            NotFound: `tenant`.
            Conflict: `configured`.
        """
        self.check_removable(account)
        self._disk.unlink(f"{FOLDER}/{account}")
        self._disk.sync_folder(FOLDER)
        del self._keys[account]
        self.changed()

    def _new_key(self) -> bytes:
        return self._entropy(KEY_BYTES)

    def _write(self, account: str, keys: tuple[bytes, ...]) -> None:
        self._disk.make_folder(FOLDER)
        packed = {f"key{number}": encoded(key) for number, key in enumerate(keys, 1)}
        self._disk.write_atomic(f"{FOLDER}/{account}", json.dumps(packed, indent=1).encode() + b"\n")
        self._keys[account] = keys
        self.changed()


def encoded(key: bytes) -> str:
    """Return a key as clients need it, in Base64."""
    return base64.b64encode(key).decode("ascii")


def _fixed_keys(tenant: TenantConfig) -> tuple[bytes, ...]:
    """Return the keys that the configuration contains; none if the account has a file. Raises ConfigError."""
    where = f"tenants.{tenant.name}"
    if tenant.key is None:
        if tenant.second_key is not None:
            raise ConfigError("configuration", f"{where}.second_key", "needs `key`, the first one, beside it")
        return ()
    keys = [_fixed_key(tenant.key, f"{where}.key")]
    if tenant.second_key is not None:
        keys.append(_fixed_key(tenant.second_key, f"{where}.second_key"))
    return tuple(keys)


def _fixed_key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise ConfigError("configuration", where, "must be base64 of at least 16 bytes")
    return key


def _unpacked(account: str, data: bytes) -> tuple[bytes, ...]:
    try:
        packed = json.loads(data)
        if not isinstance(packed, Mapping) or set(packed) != {"key1", "key2"}:
            raise ValueError
        return tuple(base64.b64decode(packed[f"key{number}"], validate=True) for number in KEYS)
    except (ValueError, TypeError, RecursionError):
        raise Invalid(
            f"{FOLDER}/{account} in the data folder contains no valid keys; restore it from a backup",
            reason="key-file",
        ) from None
