"""Tells a former leader that another node leads: one that only the shared log cannot be reached from.

Such a leader can neither commit nor learn whether its last change was committed, and its clients wait. The
next leader knows: nothing of an earlier term is committed after its own term began. It says so over the link,
as do the nodes that follow it, because the way to the former leader may be open for one of them only.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import trio

from retain.engine.core.errors import EngineError
from retain.engine.following.codec import BadMessage
from retain.engine.following.link import Link
from retain.engine.nodes.causes import leaves
from retain.engine.nodes.messages import NodeCodec, Succeeded
from retain.engine.nodes.options import NodeOptions, Transport
from retain.journal.shared.interface import SharedHead
from retain.journal.shared.leadership import PATIENCE_S

LOG = logging.getLogger("retain.nodes")

AGAIN_S: Final = 1.0
"""Seconds between two attempts to reach a former leader."""
_NOT_REACHED: Final = (OSError, EngineError, BadMessage)


class FormerLeaders:
    """Who led before, and the news for it.

    Args:
        transport: Connections to other nodes.
        node: The options of this node.

    """

    def __init__(self, transport: Transport, node: NodeOptions) -> None:
        self._transport = transport
        self._node = node
        self._last = self._before = (b"", "")

    def saw(self, head: SharedHead) -> None:
        """Note who leads, or led last, by the shared log."""
        if head.term.holder != self._last[0]:
            self._before, self._last = self._last, (head.term.holder, head.url)

    async def tell(self, news: Succeeded) -> None:
        """Tell the former leader of a later term, until it has answered.

        After `PATIENCE_S` seconds it has ended by itself, or nobody can reach it.
        """
        holder, url = self._before if self._last[0] == news.holder else self._last
        if not url or url == self._node.url or holder == news.holder:
            return
        with trio.move_on_after(PATIENCE_S):
            while not await self._told(url, news):  # noqa: ASYNC110 - nothing tells when it is reached
                await trio.sleep(AGAIN_S)

    async def _told(self, url: str, news: Succeeded) -> bool:
        """Return whether the node at `url` has answered the news."""
        with trio.move_on_after(self._node.lease_seconds):
            try:
                link = Link(await self._transport.dial(url), NodeCodec())
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(link.run, _ignore)
                    heard = await link.ask(news, shielded=False)
                    nursery.cancel_scope.cancel()
            except Exception as error:
                if not all(isinstance(one, _NOT_REACHED) for one in leaves(error)):
                    raise
                return False  # it has ended, as a rule, and nobody waits there
            if heard:
                LOG.info("a former leader was told", extra={"facts": {"link": url, "epoch": news.epoch}})
            return True
        return False


async def _ignore(message: Any) -> None:
    """Do nothing with what a leader sends to each node."""
