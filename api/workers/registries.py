"""A worker's view of the files beside the journal (keys, users) and of failed logins.

Keys and users are changed in one process, which publishes that before it answers. A worker compares the
published number at each access and reads the files again if it has changed. So a replaced key or a removed
user is refused by every worker once the command has returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import trio

from retain.api.admin.tenants import Tenants
from retain.api.admin.users import Users
from retain.api.identity import TooManyAttempts, User
from retain.api.workers.messages import LoggedIn, Turn, Wait
from retain.engine.following.board import Board
from retain.engine.following.link import Link


class Registries:
    """The current keys and users.

    Args:
        board: The page on which their changes are published.
        tenants: The accounts and their keys.
        users: The users who can log in.

    """

    def __init__(self, board: Board, tenants: Tenants, users: Users) -> None:
        self._board = board
        self._tenants = tenants
        self._users = users
        self._seen = -1
        self.users: Mapping[str, User] = _Known(self)

    def keys_of(self, account: str) -> tuple[bytes, ...] | None:
        """Return the account's keys; None if there is no such account."""
        self.look()
        return self._tenants.keys_of(account)

    def known(self) -> Mapping[str, User]:
        """Return the users."""
        self.look()
        return self._users.known

    def look(self) -> None:
        """Read the files again if they have changed; they are few and small.

        Raises:
            Invalid: A file is malformed.
            OSError: A file cannot be read.

        """
        published = self._board.registries
        if published != self._seen:
            self._tenants.read_again()
            self._users.load()
            self._seen = published


class _Known(Mapping[str, User]):
    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def __getitem__(self, name: str) -> User:
        return self._registries.known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registries.known())

    def __len__(self) -> int:
        return len(self._registries.known())


class SharedThrottle:
    """Slows failed logins of all workers together, in the deciding process.

    Args:
        link: The connection to it.
        interface: The interface of the throttle.

    """

    def __init__(self, link: Link, interface: str) -> None:
        self._link = link
        self._interface = interface
        self._right: list[LoggedIn] = []
        self._more = trio.Event()

    async def turn(self, address: str, name: str) -> None:
        """Wait until a login may be tried; see `retain.api.identity.throttle.Throttle.turn`."""
        wait = await self._link.ask(Turn(self._interface, address, name))
        assert isinstance(wait, Wait)
        if wait.refused is not None:
            raise TooManyAttempts(wait.refused)
        if wait.seconds > 0:
            await trio.sleep(wait.seconds)

    def succeeded(self, address: str, name: str) -> None:
        """Take back the counted attempt."""
        self._right.append(LoggedIn(self._interface, address, name))
        self._more.set()

    async def run(self) -> None:
        """Report successful logins, until cancelled."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            right, self._right = self._right, []
            for one in right:
                await self._link.tell(one)
