"""The files of the data folder beside the journal, as a worker sees them: keys, users, logins.

Keys and users are changed in one process, which publishes that before it answers. A worker compares the
published number at each look and reads the files again where it has moved: so a key that was replaced, or a
user that was removed, is dead at every worker when the command returns.
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
    """Keys and users, as they are at each moment.

    Args:
        board: Where their changes are published.
        tenants: The accounts and their keys.
        users: Who can log in.

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
        """Read the files again if they have changed: a few small ones.

        Raises:
            Invalid: A file does not have its form.
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
    """Failed logins of all workers together are slowed, by the process that decides.

    Args:
        link: The connection to it.
        interface: Whose throttle.

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
        """Take back what was counted."""
        self._right.append(LoggedIn(self._interface, address, name))
        self._more.set()

    async def run(self) -> None:
        """Tell of logins that were right, until cancelled."""
        while True:
            await self._more.wait()
            self._more = trio.Event()
            right, self._right = self._right, []
            for one in right:
                await self._link.tell(one)
