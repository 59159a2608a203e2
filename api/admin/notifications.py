"""Administrative actions on webhooks: show their state; show, retry and discard dead letters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from retain.api.notifications.notifier import Notifier, Webhook
from retain.engine import Engine, NotFound
from retain.engine.core.time import timestamp


class NotificationActions:
    """The actions.

    Args:
        engine: The engine whose changes webhooks are notified of.
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
        """Return each webhook: its URL without the query, its delivery state, and its last error."""
        durable = self._engine.statistics().durable
        return [
            {
                "name": name,
                "url": one.config.url.partition("?")[0],
                "delivered": one.delivery.seq,
                "behind": max(0, durable - one.delivery.seq),
                "sent": one.counts.sent,
                "trouble": one.counts.trouble,
                "dead": len(one.delivery.dead),
                "forgotten": one.delivery.forgotten,
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
            for letter in self._named(webhook).delivery.dead
        ]

    async def retry(self, *, actor: str, webhook: str) -> dict[str, Any]:
        """Send dead letters again, some at once; return how many are settled and left. Raises `NotFound`."""
        found = self._named(webhook)
        try:
            settled = await found.resend()
        finally:
            await self._notifier.save()
        return {"settled": settled, "left": len(found.delivery.dead), "trouble": found.counts.trouble}

    async def discard(self, *, actor: str, webhook: str) -> dict[str, Any]:
        """Discard the dead letters of a webhook; return how many there were. Raises `NotFound`."""
        found = self._named(webhook)
        count = len(found.delivery.dead)
        found.delivery.dead = []
        await self._notifier.save()
        return {"discarded": count}

    def _named(self, webhook: str) -> Webhook:
        found = self._notifier.webhooks.get(webhook)
        if found is None:
            known = ", ".join(self._notifier.webhooks) or "none"
            raise NotFound(f"the configuration has no webhook {webhook}; it has: {known}", reason="webhook")
        return found
