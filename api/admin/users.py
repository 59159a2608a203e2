"""The users: those of the configuration, and those added on the command line.

The latter are in one file of the data folder, `users`, mode 0600, with their passwords' hashes. None of it
appears in the journal, a log or an error.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import trio

from retain.api.config.checks import password_hash as check_hash
from retain.api.config.checks import user_name as check_name
from retain.api.identity import User
from retain.engine import Command, Conflict, Invalid, NotFound
from retain.engine.history.actions import RecordUserAdded, RecordUserRemoved
from retain.journal import Disk

FILE: Final = "users"


class Users:
    """The users, in memory, and those that are not of the configuration in their file.

    Args:
        disk: The data folder.
        configured: The users of the configuration, who can only be changed there.
        record: Writes what was done into the audit log: `Engine.submit`.
        entropy: Random bytes that number each action.

    Attributes:
        known: All users by name; changes as they do.
        changed: Called when they have changed, before the change is answered.
        share: Awaited after that, where other machines must have the change first.

    """

    def __init__(
        self,
        disk: Disk,
        configured: Iterable[User],
        record: Callable[[Command[None]], Awaitable[None]],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._disk = disk
        self._record = record
        self._entropy = entropy
        self._configured = {user.name: user for user in configured}
        self._added: dict[str, User] = {}
        self._known = dict(self._configured)
        self.known: Mapping[str, User] = MappingProxyType(self._known)
        self.changed: Callable[[], None] = lambda: None
        self.share: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self._turn = trio.Lock()

    def load(self) -> None:
        """Read the file, if there is one; blocking.

        A user whom the configuration names, too, has the configuration's password and role.

        Raises:
            Invalid: `user-file`: the file does not have the form that this class writes.
            OSError: It cannot be read.
        """
        added = _unpacked(self._disk.read(FILE)) if self._disk.exists(FILE) else {}
        self._take(added)

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"user add": self.add, "user list": self.listed, "user remove": self.remove}

    async def add(self, *, actor: str, name: str, password: str, roles: Sequence[str]) -> dict[str, Any]:
        """Add a user, who can log in at once.

        Args:
            actor: The caller.
            name: The user's name.
            password: Its hash, as `hash_password` makes it.
            roles: The user's roles.

        Raises:
            Invalid: `user`: the name cannot be one; `password`: this is no hash; `role`: an empty role.
            Conflict: `user-exists`.

        """
        if (complaint := check_name(name)) is not None:
            raise Invalid(f"the user's name {complaint}", reason="user")
        if (complaint := check_hash(password)) is not None:
            raise Invalid(f"the password {complaint}", reason="password")
        if any(not role.strip() for role in roles):
            raise Invalid("the name of a role must not be empty", reason="role")
        async with self._turn:
            if name in self._known:
                where = " in the configuration" if name in self._configured else ""
                raise Conflict(f"the user {name} already exists{where}", reason="user-exists")
            user = User(name, password, frozenset(roles))
            added = RecordUserAdded(
                actor=actor, resource=self._entropy(16), name=name, roles=tuple(sorted(user.roles))
            )
            await self._record(added)
            await self._keep({**self._added, name: user})
        return _told(user, "command line")

    async def listed(self, *, actor: str) -> list[dict[str, Any]]:
        """Return all users, without their passwords' hashes."""
        return [
            _told(user, "configuration" if name in self._configured else "command line")
            for name, user in sorted(self._known.items())
        ]

    async def remove(self, *, actor: str, name: str) -> dict[str, Any]:
        """Remove a user; their sessions and credentials become invalid.

        Raises:
            NotFound: `user`.
            Conflict: `configured`: only a change of the configuration removes this user.
            StorageFailed: The user is removed, but the audit log has no record of it.

        """
        async with self._turn:
            if name in self._configured:
                raise Conflict(
                    f"the user {name} is set in the configuration; remove it there", reason="configured"
                )
            if name not in self._added:
                raise NotFound(f"the user {name} does not exist; `retain user list` lists all", reason="user")
            user = self._added[name]
            await self._keep({other: one for other, one in self._added.items() if other != name})
            # Recorded after the removal: the user is locked out even if the journal takes no record.
            await self._record(RecordUserRemoved(actor=actor, resource=self._entropy(16), name=name))
        return _told(user, "command line")

    async def _keep(self, added: dict[str, User]) -> None:
        await trio.to_thread.run_sync(self._disk.write_atomic, FILE, _packed(added))
        self._take(added)
        self.changed()
        await self.share()

    def _take(self, added: dict[str, User]) -> None:
        self._added = added
        users = {**added, **self._configured}
        self._known.update(users)  # not emptied before: requests look users up while a thread reads the file
        for name in self._known.keys() - users.keys():
            del self._known[name]


def _told(user: User, source: str) -> dict[str, Any]:
    return {"name": user.name, "roles": sorted(user.roles), "source": source}


def _packed(users: Mapping[str, User]) -> bytes:
    rows = {
        name: {"password": user.password_hash, "roles": sorted(user.roles)}
        for name, user in sorted(users.items())
    }
    return json.dumps(rows, indent=1, ensure_ascii=False).encode() + b"\n"


def _unpacked(data: bytes) -> dict[str, User]:
    try:
        rows = json.loads(data)
        return {name: User(name, row["password"], frozenset(row["roles"])) for name, row in rows.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Invalid(
            f"the file {FILE} in the data folder is not a valid list of users; restore it from a backup",
            reason="user-file",
        ) from None
