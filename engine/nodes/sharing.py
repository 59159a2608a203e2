"""Changes of the small files that all nodes have: stored in the shared log, then loaded by every node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar

import trio

from retain.engine.core.errors import EngineError, NodeNotReady
from retain.engine.nodes.files import SharedFiles
from retain.engine.writing.threads import in_thread
from retain.journal import Fenced, NoSpace, Unsettled
from retain.journal.shared.interface import Shared, Term

RETRY_S: Final = 0.2
"""Seconds between two attempts to have all nodes load what the shared log has."""

Value = TypeVar("Value")


class SharesFiles(Protocol):
    """The role of a node that may answer."""

    @property
    def term(self) -> Term:
        """Return the leader's term, as last heard of."""

    async def change_files(self) -> None:
        """Return once every node that may answer has loaded the small files as they are now."""


class FileSharing:
    """Loads the small files of a node, and shares its changes of them.

    Args:
        files: Of this node's folder.
        role: Returns the node's role; raises `NodeNotReady` while it may not answer.
        with_shared: Runs a call to the shared log in a thread.

    """

    def __init__(
        self,
        files: SharedFiles,
        role: Callable[[], SharesFiles],
        with_shared: Callable[[Callable[[Shared], None]], Awaitable[None]],
    ) -> None:
        self._files = files
        self._role = role
        self._with_shared = with_shared
        self._turn = trio.Lock()
        self._unsure = trio.Event()

    async def load(self) -> None:
        """Replace the files by those in the shared log, except for changes that are to be shared yet."""
        async with self._turn:
            await self._with_shared(lambda shared: self._files.load(shared.kept()))

    async def keep(self) -> None:
        """Store this folder's changes in the shared log, without telling the other nodes.

        Raises:
            NodeNotReady: They are not stored, or whether they are is unknown. The folder is as before.

        """
        async with self._turn:
            try:
                role = self._role()
                await self._with_shared(partial(self._keep, role.term.holder))
            except (Fenced, Unsettled, EngineError) as error:
                self._unsure.set()  # the log may have the change, or a later one of another node
                with suppress(NoSpace, OSError):  # the folder has it until the log is read again
                    await in_thread(self._files.revert)
                raise NodeNotReady(f"the shared log does not keep the change: {error}; try again") from error

    def _keep(self, holder: bytes, shared: Shared) -> None:
        changes = self._files.changes()
        if not changes:
            return
        # The epoch may have grown since this node heard of the term: a lost answer was settled.
        epoch, now = shared.head().term
        if now != holder:
            raise Fenced("another node leads the shared log")
        shared.keep(changes, Term(epoch, holder), self._files.before(changes))
        self._files.stored(changes)

    async def share(self) -> None:
        """Give this folder's changes to all nodes; return when every node that may answer has them.

        Raises:
            NodeNotReady: The change is not in effect, or not at all nodes yet.

        """
        await self.keep()
        try:
            await self._role().change_files()
        except (Fenced, Unsettled, EngineError) as error:
            self._unsure.set()
            raise NodeNotReady(f"the other nodes do not have the change yet: {error}; try again") from error

    async def run(self) -> None:
        """Have all nodes load what the shared log has, whenever a change here failed."""
        while True:
            await self._unsure.wait()
            self._unsure = trio.Event()  # a change that fails from now on needs a load of its own
            try:
                await self._role().change_files()
            except (Fenced, Unsettled, EngineError, NoSpace, OSError):
                self._unsure.set()
                await trio.sleep(RETRY_S)
