"""The actions on webhooks: how they fare, and what becomes of their dead letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from retain.api.notifications.notifier import Notifier, Webhook
from retain.engine import Engine, NotFound
from retain.engine.core.time import timestamp


class NotificationActions:
    """The actions.

    Args:
        engine: Whose journal webhooks are told of.
        notifier: The webhooks.
    """

    def __init__(self, engine: Engine, notifier: Notifier) -> None:
        self._engine = engine
        self._notifier = notifier

    def actions(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Return the actions by name."""
        return {
            "notifications list": self.show,
            "notifications dead": self.dead,
            "notifications retry": self.retry,
            "notifications discard": self.discard,
        }

    async def show(self, *, actor: str) -> list[dict[str, Any]]:
        """Return each webhook: its address without the query, how far it was told, and its troubles."""
        durable = self._engine.statistics().durable
        return [
            {
                "name": name,
                "url": one.config.url.partition("?")[0],
                "told": one.told.seq,
                "behind": max(0, durable - one.told.seq),
                "sent": one.course.sent,
                "trouble": one.course.trouble,
                "dead": len(one.told.dead),
                "forgotten": one.told.forgotten,
            }
            for name, one in self._notifier.webhooks.items()
        ]

    async def dead(self, *, actor: str, webhook: str) -> list[dict[str, Any]]:
        """Return the dead letters of a webhook, oldest first. Raises `NotFound`."""
        return [
            {
                "record": letter.seq,
                "given_up": timestamp(letter.time),
                "attempts": letter.attempts,
                "reason": letter.reason,
            }
            for letter in self._named(webhook).told.dead
        ]

    async def retry(self, *, actor: str, webhook: str) -> dict[str, Any]:
        """Send dead letters again, some at once; return how many are settled and left. Raises `NotFound`."""
        found = self._named(webhook)
        try:
            settled = await found.resend()
        finally:
            await self._notifier.save()
        return {"settled": settled, "left": len(found.told.dead), "trouble": found.course.trouble}

    async def discard(self, *, actor: str, webhook: str) -> dict[str, Any]:
        """Forget the dead letters of a webhook; return how many there were. Raises `NotFound`."""
        found = self._named(webhook)
        count = len(found.told.dead)
        found.told.dead = []
        await self._notifier.save()
        return {"discarded": count}

    def _named(self, webhook: str) -> Webhook:
        found = self._notifier.webhooks.get(webhook)
        if found is None:
            known = ", ".join(self._notifier.webhooks) or "none"
            raise NotFound(
                f"the configuration has no webhook {webhook}; known are: {known}", reason="webhook"
            )
        return found
