"""Interfaces of a node: while it may not answer, they refuse every request.

Some answers need only the keys and users in its folder, and these may be outdated, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from retain.api.config.checks import account_name
from retain.api.http.message import Handler, Mounted, Request, Response
from retain.engine.core.errors import NodeNotReady
from retain.engine.nodes.node import NodeEngine
from retain.engine.state import State


def answering(engine: NodeEngine, interfaces: Sequence[Mounted]) -> list[Mounted]:
    """Return `interfaces` that raise `NodeNotReady` for requests which arrive while the node may not answer.

    One that claims accounts then claims each name that an account may have: another node may have added it.
    """
    return [
        replace(
            one,
            handle=_handler(engine, one.handle),
            claims=None if one.claims is None else _claimer(engine, one.claims),
        )
        for one in interfaces
    ]


def _handler(engine: NodeEngine, handle: Handler) -> Handler:
    async def handled(request: Request) -> Response:
        engine.glance(_nothing)
        return await handle(request)

    return handled


def _claimer(engine: NodeEngine, claims: Callable[[str], bool]) -> Callable[[str], bool]:
    def claimed(segment: str) -> bool:
        if claims(segment):
            return True
        if account_name(segment.partition("-")[0]) is not None:
            return False
        try:
            engine.glance(_nothing)
        except NodeNotReady:
            return True
        return False

    return claimed


def _nothing(state: State) -> None:
    """Look at nothing: only whether the node may answer counts."""
