"""The actions that list lost content and record its loss."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from retain.engine import Engine
from retain.engine.losses.search import AREA, BLOCK, Lost

LOG = logging.getLogger("retain.engine")


class LossActions:
    """The actions on lost content.

    Args:
        engine: The engine whose content is checked.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {"lost list": self.show, "lost accept": self.accept}

    async def show(self, *, actor: str, bodies: bool = False) -> list[dict[str, Any]]:
        """Return the content whose payload file is missing or damaged; with `bodies`, read all of them.

        Raises:
            Unavailable: The storage refuses.
        """
        return [facts_of(one) for one in await self._engine.lost_bodies(read=bodies)]

    async def accept(self, *, actor: str, records: list[int], bodies: bool = False) -> int:
        """Record the loss of these records' content, where it is still lost; return the number of bodies.

        Raises:
            Unavailable: The storage refuses.
        """
        wanted = set(records)
        lost = [one for one in await self._engine.lost_bodies(read=bodies) if one.body.seq in wanted]
        given_up = await self._engine.accept_lost(lost, actor)
        LOG.warning(
            "an operator accepted lost content", extra={"facts": {"actor": actor, "bodies": given_up}}
        )
        return given_up


def facts_of(lost: Lost) -> dict[str, Any]:
    """Return one loss for people and machines."""
    one = lost.body
    if one.kind == AREA:
        name, user, key = one.names
        subject = "/".join(part for part in (user, name, key) if part is not None)
    else:
        subject = "/".join(str(part) for part in one.names)
    kind = {AREA: "file of an area", BLOCK: "uncommitted block"}.get(one.kind, one.kind)
    return {
        "kind": kind,
        "subject": subject,
        "record": one.seq,
        "bytes": one.payload.size,
        "file": one.file,
        "reason": lost.reason,
    }
