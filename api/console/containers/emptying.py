"""Emptying a container of any size: in the background, with progress, until it is done or stopped.

Its state does not outlive the server: after a restart, empty the container again to delete the rest.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import trio

from retain.api.html.filters import counted
from retain.api.html.spans import span
from retain.api.refusals import status_of
from retain.engine import Conflict, Engine, EngineError, State
from retain.engine.blobs.commands import DeleteBlob
from retain.engine.blobs.listing import list_blobs
from retain.engine.blobs.queries import totals_of

LOG = logging.getLogger("retain.http")
AT_ONCE: Final = 200
"""Deletions that may wait for one sync together."""
RUNNING_MAX: Final = 4
"""Containers that are emptied at once."""
KEPT_MAX: Final = 100
"""Containers of which the last emptying is remembered."""


@dataclass(slots=True, eq=False)
class Emptying:
    """The emptying of one container, running or ended.

    Attributes:
        id: Names it in addresses.
        tenant: The container's tenant.
        container: The container.
        by: The display name of the user who started it.
        actor: The actor in the audit log.
        total: How many blobs there were at the start.
        began: When, in seconds of Trio's clock.
        deleted: How many were deleted.
        kept: How many remain: held, leased, or written meanwhile.
        done: Whether it has ended.
        stopped: Whether somebody stopped it.
        failure: Why it failed, in words; empty if it did not.
    """

    id: str
    tenant: str
    container: str
    by: str
    actor: str
    total: int
    began: float
    deleted: int = 0
    kept: int = 0
    done: bool = False
    stopped: bool = False
    failure: str = ""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def percent(self) -> int:
        """Return the percentage done; 100 only at its end."""
        return 100 if self.done else min(99, int(100 * (self.deleted + self.kept) / max(1, self.total)))

    @property
    def words(self) -> str:
        """Return the progress, with the estimated remaining time."""
        seen = self.deleted + self.kept
        text = f"{counted(seen, 'blob')} of {self.total:,}"
        text += f", {self.kept:,} of them remained" if self.kept else ""
        seconds = trio.current_time() - self.began
        if seen and seconds > 1:
            text += f", about {span(seconds * max(0, self.total - seen) / seen)} left"
        return f"{text}."

    @property
    def outcome(self) -> str:
        """Return the outcome, once it has ended."""
        text = f"Deleted {counted(self.deleted, 'blob')} of {self.container}."
        if self.kept:
            text += f" {counted(self.kept, 'blob')} remained: held, leased or written meanwhile."
        if self.stopped:
            text += " It was stopped; empty it again to continue."
        if self.failure:
            text += f" It ended early: {self.failure}. Empty it again to continue."
        return text


class Emptyings:
    """All emptyings of one server.

    Args:
        engine: The engine with the containers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: OrderedDict[tuple[str, str], Emptying] = OrderedDict()

    def of(self, tenant: str, container: str) -> Emptying | None:
        """Return the last emptying of a container, which may still be running."""
        return self._last.get((tenant, container))

    async def start(self, tenant: str, container: str, *, by: str, actor: str) -> Emptying:
        """Begin to delete the blobs of a container.

        Raises:
            NotFound: `container`.
            Conflict: `busy`: this container, or the greatest number of others, is being emptied already.
        """
        held = await self._engine.read(lambda state, _: totals_of(state.blobs, tenant, container))
        running = [one for one in self._last.values() if not one.done]
        if any((one.tenant, one.container) == (tenant, container) for one in running):
            raise Conflict(f"{tenant}/{container} is being emptied already", reason="busy")
        if len(running) >= RUNNING_MAX:
            names = ", ".join(f"{one.tenant}/{one.container}" for one in running)
            raise Conflict(f"{names} are being emptied; wait until one is done, or stop one", reason="busy")
        work = Emptying(
            id=self._engine.entropy(16).hex(),
            tenant=tenant,
            container=container,
            by=by,
            actor=actor,
            total=held.blobs,
            began=trio.current_time(),
        )
        self._last[tenant, container] = work
        self._last.move_to_end((tenant, container))
        while len(self._last) > KEPT_MAX:
            del self._last[next(key for key, one in self._last.items() if one.done)]
        trio.lowlevel.spawn_system_task(self._run, work)
        return work

    def stop(self, tenant: str, container: str) -> bool:
        """Stop the emptying of a container; return whether one was running."""
        work = self.of(tenant, container)
        if work is None or work.done:
            return False
        work.stopped = True
        work.scope.cancel()
        return True

    async def _run(self, work: Emptying) -> None:
        try:
            with work.scope:
                following: str | None = ""
                while following is not None:
                    names, following = await self._some(work, following)
                    await self._delete(work, names)
        except* EngineError as errors:
            work.failure = str(_first(errors))
        except* Exception as errors:  # a system task that fails would end the server
            LOG.error("unhandled exception while a container was emptied", exc_info=errors)
            work.failure = "an internal error in the server; see its log"
        finally:
            work.done = True

    async def _some(self, work: Emptying, start: str) -> tuple[list[str], str | None]:
        def look(state: State, now: int) -> tuple[list[str], str | None]:
            page = list_blobs(state.blobs, work.tenant, work.container, now, start=start, limit=AT_ONCE)
            return [one.name for one in page.items], page.next

        return await self._engine.read(look)

    async def _delete(self, work: Emptying, names: list[str]) -> None:
        async def delete(name: str) -> None:
            command = DeleteBlob(actor=work.actor, account=work.tenant, container=work.container, name=name)
            try:
                await self._engine.submit(command)
            except EngineError as error:
                if status_of(error) not in (404, 409, 412):
                    raise
                work.kept += 1
            else:
                work.deleted += 1

        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(delete, name)


def _first(errors: BaseExceptionGroup[EngineError]) -> str:
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found.message
