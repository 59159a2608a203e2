"""Delivers events to webhooks: in the order of the journal, at least once, with retries.

Each webhook has a task that reads the journal from the last record delivered; those that stand at the same
record share what is read. So an address that is down for
a day costs no memory, and delivery resumes there after a restart. Each attempt builds the event from its
record: an event whose record was erased meanwhile is not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final
from uuid import UUID

import trio

from retain.api.config.notifications import WebhookConfig, secret_bytes
from retain.api.notifications import store
from retain.api.notifications.payload import (
    CLOUDEVENTS,
    EVENTGRID,
    cloudevent,
    confirms,
    event_id,
    grid_event,
    signed_headers,
    validation_event,
)
from retain.api.notifications.post import Outcome, post
from retain.api.notifications.store import DeadLetter, DeliveryState
from retain.engine import Engine, EngineError
from retain.engine.audit.feed import Feed, Notification, epoch_of, rewound
from retain.engine.audit.timeline import Trail
from retain.engine.core.time import SECOND
from retain.journal import NoSpace

LOG = logging.getLogger("retain.notifications")

READ_RECORDS: Final = 512
"""Records looked at in one go."""
POLL_S: Final = 5.0
"""The journal's own records, of erasures, are noticed after this long."""
GATHER_S: Final = 0.02
"""Seconds after a change before it is read: what follows it meanwhile is read with it, in one go."""
SAVE_S: Final = 1.0
"""Seconds between two writes of the delivery state: after a crash, events sent in between are sent again."""
ATTEMPT_S: Final = 30.0
"""Longest time for one request."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
FINAL: Final = frozenset((400, 413, 414, 415, 422))
"""Statuses that refuse the event itself: sending the same request again is useless."""
ANSWER_BYTES: Final = 4096
"""Read of the answer to a validation request."""
AT_ONCE: Final = 100
"""Most dead letters that one retry sends again."""

Post = Callable[..., Outcome]


@dataclass(slots=True)
class DeliveryCounts:
    """Delivery counts of a webhook since the start, for status and metrics.

    Attributes:
        sent: Events that it accepted.
        failed: Requests that it did not accept.
        trouble: Why the last request failed; empty if it did not.
    """

    sent: int = 0
    failed: int = 0
    trouble: str = ""


class SharedFeed:
    """Reads events once for all webhooks that ask for the same ones at the same time.

    Nothing is kept after that: a webhook that is behind reads on its own, and finds what was erased meanwhile
    erased.
    """

    def __init__(self, feed: Feed) -> None:
        self.at = feed.at
        self._feed = feed
        self._reading: dict[int, tuple[trio.Event, list[tuple[Sequence[Notification], int]]]] = {}

    async def after(self, seq: int, durable: int) -> tuple[Sequence[Notification], int]:
        """Return the events after record `seq`, and the last record examined. Raises `Unavailable`."""
        while (reading := self._reading.get(seq)) is not None:
            done, read = reading
            await done.wait()
            if read:
                return read[0]
        done, read = self._reading[seq] = trio.Event(), []
        try:
            read.append(await trio.to_thread.run_sync(self._feed.after, seq, durable, READ_RECORDS))
            return read[0]
        finally:  # if it failed or was cancelled, the next one tries itself
            del self._reading[seq]
            done.set()


class Webhook:
    """One webhook.

    Args:
        config: Its configuration.
        engine: The engine whose changes it is notified of.
        delivery: The delivery state.
        feed: Where it reads its events, which all webhooks share.
        source: CloudEvents' `source`.
        url_of: Returns the URL of an account.
        poster: Sends a request; see `post`.
    """

    def __init__(
        self,
        config: WebhookConfig,
        engine: Engine,
        delivery: DeliveryState,
        feed: SharedFeed,
        *,
        source: str,
        url_of: Callable[[str], str],
        poster: Post = post,
    ) -> None:
        self.config = config
        self.delivery = delivery
        self.counts = DeliveryCounts()
        self.wake = trio.Event()
        self._grid = config.schema == "eventgrid"
        self._validated = not self._grid
        self._engine = engine
        self._feed = feed
        self._key = secret_bytes(config.secret)
        self._source = source
        self._url_of = url_of
        self._post = poster
        self._threads = trio.CapacityLimiter(2)  # a request that was given up keeps its thread until it ends

    async def run(self, changed: Callable[[], None]) -> None:
        """Deliver events until cancelled; call `changed` after each change of `delivery`."""
        if self._grid:
            await self._validate()
        while True:
            durable = self._engine.statistics().durable
            wake = self.wake = trio.Event()
            try:
                happened, last = await self._feed.after(self.delivery.seq, durable)
            except EngineError:
                LOG.warning("the journal cannot be read", extra={"facts": {"webhook": self.config.name}})
                await trio.sleep(POLL_S)
                continue
            for notification in happened:
                if self.wants(notification):
                    await self._deliver(notification)
                self.delivery.seq = notification.seq
                changed()
            if last != self.delivery.seq:
                self.delivery.seq = last
                changed()
            if last >= durable:
                with trio.move_on_after(POLL_S):
                    await wake.wait()
                    await trio.sleep(GATHER_S)

    def wants(self, notification: Notification) -> bool:
        """Return whether the configuration selects this event for the webhook."""
        config, names = self.config, notification.names
        if config.events and not any(
            notification.kind == one or (one.endswith(".*") and notification.kind.startswith(one[:-1]))
            for one in config.events
        ):
            return False
        if config.interfaces and notification.interface not in config.interfaces:
            return False
        if config.containers and f"{names.get('account')}/{names.get('container')}" not in config.containers:
            return False
        if config.prefix is not None and not names.get("blob", "").startswith(config.prefix):
            return False
        return not self._grid or notification.kind.startswith("blob.")

    async def _deliver(self, notification: Notification) -> None:
        """Send an event until it is accepted, refused for good, or too old."""
        attempts = 0
        while True:
            outcome = await self.send(notification)
            attempts += 1
            if outcome.accepted:
                return
            age = self._engine.now() - notification.time
            if outcome.status in FINAL or age > self.config.give_up_hours * 3600 * SECOND:
                self._give_up(notification.seq, attempts, outcome)
                return
            await self._pause(attempts, outcome)
            try:
                renewed = await trio.to_thread.run_sync(self._feed.at, notification.seq)
            except EngineError:
                continue  # the pause grows, and the next attempt reads it again
            if renewed is None:
                return  # erased meanwhile
            notification = renewed

    async def _validate(self) -> None:
        """Ask the receiver to confirm the subscription, as Event Grid does, until it returns the code.

        Events wait meanwhile: the receiver may be another than the operator believes.
        """
        attempts = 0
        while True:
            code = str(UUID(bytes=self._engine.entropy(16), version=4)).upper()
            now = self._engine.wall()
            body = validation_event(code, topic=self._source, now=now)
            outcome = await self._request("SubscriptionValidation", code, body, ANSWER_BYTES)
            attempts += 1
            # Event Grid, too, accepts no other status: 202 is no confirmation.
            if outcome.status == HTTPStatus.OK and confirms(outcome.body, code):
                self._validated = True
                self._settle("")
                return
            self._settle("it does not return the validation code" if outcome.accepted else outcome.word)
            self.counts.failed += 1
            await self._pause(attempts, outcome)

    async def _pause(self, attempts: int, outcome: Outcome) -> None:
        """Wait before the next attempt."""
        pause = min(FIRST_PAUSE_S * 2 ** min(attempts - 1, 20), LONGEST_PAUSE_S)
        jitter = 0.5 + self._engine.entropy(1)[0] / 256  # webhooks that failed together do not retry together
        await trio.sleep(max(pause * jitter, outcome.pause_s or 0))

    def _give_up(self, seq: int, attempts: int, outcome: Outcome) -> None:
        self.delivery.add_dead(DeadLetter(seq, self._engine.now(), attempts, outcome.word))
        LOG.error(
            "a notification was not accepted and is a dead letter",
            extra={"facts": {**self._facts(outcome.word), "record": seq, "attempts": attempts}},
        )

    async def send(self, notification: Notification) -> Outcome:
        """Send one event once."""
        try:
            identity, body = self._made(notification)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A record with invalid fields, which replay skips: it must not block later events.
            LOG.error(
                "no event can be made from its record",
                exc_info=error,
                extra={"facts": {"record": notification.seq}},
            )
            return Outcome(min(FINAL), "its record has invalid fields")
        outcome = await self._request("Notification", identity, body)
        if outcome.accepted:
            self.counts.sent += 1
        else:
            self.counts.failed += 1
        self._settle("" if outcome.accepted else outcome.word)
        return outcome

    async def _request(self, kind: str, identity: str, body: bytes, answer_bytes: int = 0) -> Outcome:
        """Send a request; `kind` is the value of Event Grid's `aeg-event-type`."""
        headers = {
            "Content-Type": EVENTGRID if self._grid else CLOUDEVENTS,
            **({"aeg-event-type": kind} if self._grid else {}),
            **signed_headers(self._key, identity, self._engine.wall(), body),
        }
        send = partial(self._post, self.config.url, headers, body, allow_private=self.config.allow_private)
        if answer_bytes:
            send = partial(send, answer_bytes=answer_bytes)
        with trio.move_on_after(ATTEMPT_S):
            return await trio.to_thread.run_sync(send, abandon_on_cancel=True, limiter=self._threads)
        return Outcome(0, "it does not answer in time")

    def _made(self, notification: Notification) -> tuple[str, bytes]:
        """Return an event's id and its form for this webhook."""
        epoch = epoch_of(self._engine.state.history.changes.values(), notification.seq)
        if self._grid:
            body = grid_event(notification, epoch, url_of=self._url_of)
        else:
            body = cloudevent(notification, epoch, source=self._source, names=self.config.names)
        return event_id(notification, epoch), body

    def _settle(self, trouble: str) -> None:
        """Note why the last request failed, empty if it did not; log the first failure and its end."""
        before, self.counts.trouble = self.counts.trouble, trouble
        if before and not trouble:
            LOG.info("notifications are accepted again", extra={"facts": {"webhook": self.config.name}})
        elif trouble and not before:
            LOG.warning("notifications are not accepted", extra={"facts": self._facts(trouble)})

    def _facts(self, reason: str) -> dict[str, object]:
        return {"webhook": self.config.name, "reason": reason}

    async def resend(self) -> int:
        """Send dead letters again, oldest first, at most `AT_ONCE`; return how many are settled.

        Stops at the first that is refused, and sends none before the receiver confirmed the subscription.
        A dead letter whose record was erased meanwhile counts as settled.
        """
        settled = 0
        if not self._validated:
            return settled
        for letter in self.delivery.dead[:AT_ONCE]:
            notification = await trio.to_thread.run_sync(self._feed.at, letter.seq)
            if notification is not None and not (await self.send(notification)).accepted:
                break
            self.delivery.dead = [one for one in self.delivery.dead if one.seq != letter.seq]
            settled += 1
        return settled


class Notifier:
    """All configured webhooks.

    Args:
        engine: The engine whose changes they are notified of.
        configs: The webhooks.
        source: CloudEvents' `source`.
        url_of: Returns the URL of an account.
        poster: Sends a request.
        trail: The places of the journal's records; a server shares one.

    Attributes:
        webhooks: By name; filled by `load`.
    """

    def __init__(
        self,
        engine: Engine,
        configs: Sequence[WebhookConfig],
        *,
        source: str,
        url_of: Callable[[str], str],
        poster: Post = post,
        trail: Trail | None = None,
    ) -> None:
        self.webhooks: dict[str, Webhook] = {}
        self._engine = engine
        self._configs = configs
        self._source = source
        self._url_of = url_of
        self._poster = poster
        self._feed = SharedFeed(Feed(trail or Trail(engine.disk)))
        self._changed = trio.Event()

    async def load(self) -> None:
        """Read the delivery state. A new webhook starts at the end of the journal. Raises `OSError`."""
        known = await trio.to_thread.run_sync(store.load, self._engine.disk)
        changes = list(self._engine.state.history.changes.values())
        durable = self._engine.statistics().durable
        for config in self._configs:
            delivery = known.get(config.name)
            if delivery is None:
                delivery = DeliveryState(durable, rewound(changes, lambda _: False)[1])
            kept, new = rewound(changes, delivery.changes.__contains__)
            if kept is not None:
                # The history after `kept` was replaced (a restore): deliver the new one from there on.
                delivery.seq = min(delivery.seq, kept)
                delivery.dead = [one for one in delivery.dead if one.seq <= kept]
                delivery.changes += new
            delivery.seq = min(delivery.seq, durable)
            self.webhooks[config.name] = Webhook(
                config,
                self._engine,
                delivery,
                self._feed,
                source=self._source,
                url_of=self._url_of,
                poster=self._poster,
            )

    async def run(self) -> None:
        """Deliver events until cancelled; then save the delivery state."""
        if not self.webhooks:
            return
        self._engine.on_commit(self._wake)
        try:
            async with trio.open_nursery() as nursery:
                for webhook in self.webhooks.values():
                    nursery.start_soon(webhook.run, self.note)
                await self.save()
                while True:
                    await self._changed.wait()
                    self._changed = trio.Event()
                    await self.save()
                    await trio.sleep(SAVE_S)
        finally:
            with trio.CancelScope(shield=True):
                await self.save()

    def _wake(self, _seq: int) -> None:
        for webhook in self.webhooks.values():
            webhook.wake.set()

    def note(self) -> None:
        """Schedule a save of the delivery state."""
        self._changed.set()

    async def save(self) -> None:
        """Save the delivery state. A failure is logged; a restart then sends some events again."""
        packed = store.pack((name, webhook.delivery) for name, webhook in self.webhooks.items())
        try:
            await trio.to_thread.run_sync(store.save, self._engine.disk, packed)
        except (NoSpace, OSError) as error:
            LOG.warning(
                "the delivery state of webhooks cannot be saved",
                extra={"facts": {"error": type(error).__name__}},
            )
