"""Webhooks: events in order, at least once, with retries, and none whose record was erased."""

# ruff: noqa: SIM117 - what is between the two `with` differs from test to test

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, cast

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from retain.api.blobs.wire import etag
from retain.api.config.notifications import KINDS, WebhookConfig, secret_bytes
from retain.api.notifications import notifier as module
from retain.api.notifications import store
from retain.api.notifications.notifier import Notifier
from retain.api.notifications.post import Outcome
from retain.engine import Engine
from retain.engine.audit import feed
from retain.engine.blobs.commands import DeleteBlob
from retain.engine.core.errors import Unavailable
from retain.engine.history.slice import RecordChange
from retain.engine.testing import open_memory_engine
from retain.journal import Part
from retain.journal.lookup.trail import Trail
from retain.journal.mended import Mended
from retain.journal.testing.memory import MemoryDisk
from tests.engine.persons.test_find import QUIET, Store

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
HOOK = WebhookConfig(name="pipeline", url="https://pipeline.example/x?code=1", secret=SECRET, names=True)


@pytest.fixture
def quick_clock() -> MockClock:
    """A clock that runs fast. One that jumps would not wait for threads, and years would pass."""
    return MockClock(rate=50.0)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads seem slow to a fast clock."""
    monkeypatch.setattr(module, "ATTEMPT_S", 1e12)


@dataclass
class Receiver:
    """A webhook's other side. `answers` are its next ones; then it accepts.

    `confirmations` are its next statuses and answers to validation requests; then it returns the code.
    """

    answers: list[int] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    tried: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    confirmations: list[tuple[int, bytes]] = field(default_factory=list)
    validations: list[dict[str, Any]] = field(default_factory=list)

    def __call__(
        self, url: str, headers: dict[str, str], body: bytes, *, allow_private: bool, answer_bytes: int = 0
    ) -> Outcome:
        event = json.loads(body)
        if headers.get("aeg-event-type") == "SubscriptionValidation":
            self.validations += event
            code = event[0]["data"]["validationCode"]
            status, answer = (
                self.confirmations.pop(0)
                if self.confirmations
                else (200, json.dumps({"validationResponse": code}).encode())
            )
            return Outcome(status, body=answer[:answer_bytes])
        self.tried.append(event)
        self.headers.append({**headers, "body": body.decode(), "url": url})
        status = self.answers.pop(0) if self.answers else 204
        outcome = (
            Outcome(status) if status else Outcome(0, "it cannot be reached, or does not answer with HTTP")
        )
        if outcome.accepted:
            self.heard.append(event)
        return outcome

    @property
    def kinds(self) -> list[str]:
        return [event["type"].removeprefix("retain.") for event in self.heard]


@asynccontextmanager
async def notifying(
    engine: Engine, receiver: Receiver, config: WebhookConfig = HOOK, *, settle: bool = True
) -> AsyncIterator[Notifier]:
    """A notifier at work."""
    notifier = Notifier(
        engine,
        [config],
        source="urn:retain:test",
        url_of=lambda name: f"https://r.example/{name}",
        poster=receiver,
    )
    await notifier.load()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(notifier.run)
        if settle:
            await settled(notifier)
        yield notifier
        nursery.cancel_scope.cancel()


async def settled(notifier: Notifier) -> None:
    """Wait until everything durable was sent; the clock runs fast through pauses."""
    for webhook in notifier.webhooks.values():
        with trio.fail_after(1e9):
            while webhook.delivery.seq < notifier._engine.statistics().durable:  # noqa: ASYNC110 - for a test only
                await trio.sleep(0.5)


@asynccontextmanager
async def stored(disk: MemoryDisk | None = None) -> AsyncIterator[tuple[Engine, Store]]:
    async with open_memory_engine(disk or MemoryDisk(), options=QUIET) as engine:
        yield engine, Store(engine)


async def delete(engine: Engine, name: str) -> None:
    await engine.submit(DeleteBlob(actor="sas", account="mytenant", container="recordings", name=name))


def test_every_kind_of_notification_can_be_configured() -> None:
    assert set(KINDS) == feed.KINDS


async def test_a_change_is_sent_as_a_signed_cloudevent(quick_clock: MockClock) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_), notifying(engine, receiver) as notifier:
        await store_.container()
        await store_.blob("8888/call.mp3")
        await settled(notifier)
    created, put = receiver.heard
    assert receiver.kinds == ["container.created", "blob.created"]
    assert put["specversion"] == "1.0"
    assert put["source"] == "urn:retain:test"
    assert put["subject"] == "mytenant/recordings/8888/call.mp3"
    assert put["id"] == f"0-{put['data']['record']}"
    assert put["sequence"] > created["sequence"]
    assert put["data"]["actor"] == "sas"
    assert put["data"]["size"] == len(b"voice of 8888/call.mp3")
    assert put["data"]["content_type"] == "audio/opus"
    headers = receiver.headers[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{headers['body']}".encode()
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, signed, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == put["id"]
    assert headers["Content-Type"].startswith("application/cloudevents+json")


async def test_without_names_an_event_has_numbers_only(quick_clock: MockClock) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_):
        async with notifying(engine, receiver, replace(HOOK, names=False)) as notifier:
            await store_.container()
            await store_.blob("secret-name")
            await store_.area("cart", "bob")
            await settled(notifier)
    text = json.dumps(receiver.heard)
    assert len(receiver.heard) == 4
    for word in ("secret-name", "mytenant", "recordings", "cart", "bob", "sas", "anonymous"):
        assert word not in text
    assert all(event["subject"] == event["data"]["resource"] for event in receiver.heard)


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"events": ("blob.*",)}, ["blob.created", "blob.created", "blob.deleted"]),
        ({"events": ("blob.deleted", "container.created")}, ["container.created", "blob.deleted"]),
        ({"interfaces": ("areas",)}, ["area.created", "area.updated"]),
        ({"containers": ("mytenant/others",)}, []),
        ({"containers": ("mytenant/recordings",), "prefix": "8888/"}, ["blob.created", "blob.deleted"]),
    ],
)
async def test_filters(quick_clock: MockClock, fields: dict[str, Any], kinds: list[str]) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_):
        async with notifying(engine, receiver, replace(HOOK, **fields)) as notifier:
            await store_.container()
            await store_.blob("8888/a")
            await store_.blob("9999/a")
            await delete(engine, "8888/a")
            await store_.area("cart", "bob")
            await settled(notifier)
    assert receiver.kinds == kinds


async def test_event_grids_schema_names_the_blob(quick_clock: MockClock) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_):
        async with notifying(engine, receiver, replace(HOOK, schema="eventgrid")) as notifier:
            await store_.container()
            await store_.blob("8888/call 1.mp3")
            container = engine.state.blobs.find("mytenant", "recordings")
            assert container is not None
            etag_of_blob = etag.bare(container.blobs["8888/call 1.mp3"].etag)
            await delete(engine, "8888/call 1.mp3")
            await settled(notifier)
    (validation,) = receiver.validations
    assert validation["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent"
    (put,), (gone,) = receiver.heard
    assert put["eventType"] == "Microsoft.Storage.BlobCreated"
    assert put["subject"] == "/blobServices/default/containers/recordings/blobs/8888/call 1.mp3"
    assert put["data"]["url"] == "https://r.example/mytenant/recordings/8888/call%201.mp3"
    assert (put["data"]["api"], put["data"]["contentType"]) == ("PutBlob", "audio/opus")
    assert put["data"]["eTag"] == etag_of_blob
    assert gone["eventType"] == "Microsoft.Storage.BlobDeleted"
    assert gone["data"]["sequencer"] > put["data"]["sequencer"]
    assert all(headers["aeg-event-type"] == "Notification" for headers in receiver.headers)


@pytest.mark.parametrize(
    "refusal",
    [
        (404, b""),
        (202, b""),
        (200, b""),
        (200, b"not json"),
        (200, b'{"validationResponse":"another code"}'),
        (200, b'["validationResponse"]'),
        (200, b"[" * 100_000),
    ],
)
async def test_without_the_validation_code_no_event_is_sent_and_none_is_lost(
    quick_clock: MockClock, refusal: tuple[int, bytes]
) -> None:
    receiver = Receiver(confirmations=[refusal] * 3)
    async with stored() as (engine, store_):
        async with notifying(engine, receiver, replace(HOOK, schema="eventgrid"), settle=False) as notifier:
            await store_.container()
            await store_.blob("one")
            (webhook,) = notifier.webhooks.values()
            with trio.fail_after(1e9):
                while not webhook.counts.trouble:  # noqa: ASYNC110 - in the receiver's thread
                    await trio.sleep(0.01)
            assert "code" in webhook.counts.trouble or "404" in webhook.counts.trouble
            assert receiver.heard == []
            assert await webhook.resend() == 0
            await settled(notifier)
    codes = [one["data"]["validationCode"] for one in receiver.validations]
    assert len(set(codes)) == 4
    assert [event["eventType"] for (event,) in receiver.heard] == ["Microsoft.Storage.BlobCreated"]
    assert (webhook.counts.sent, webhook.counts.failed, webhook.counts.trouble) == (1, 3, "")


async def test_what_is_refused_is_sent_again_and_later_events_wait(
    quick_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "retain.notifications")
    receiver = Receiver(answers=[503, 0, 429])
    began = trio.current_time()
    async with stored() as (engine, store_), notifying(engine, receiver) as notifier:
        await store_.container()
        await store_.blob("a")
        await settled(notifier)
        course = notifier.webhooks["pipeline"].counts
    assert receiver.kinds == ["container.created", "blob.created"]
    assert len(receiver.tried) == 5
    assert trio.current_time() - began > 0.5 + 1 + 2
    assert (course.sent, course.failed, course.trouble) == (2, 3, "")
    words = [record.getMessage() for record in caplog.records if record.name == "retain.notifications"]
    assert words == ["notifications are not accepted", "notifications are accepted again"]


@pytest.mark.parametrize("answers", [[400], [503] * 10_000])
async def test_what_is_never_accepted_is_a_dead_letter_and_can_be_sent_again(
    quick_clock: MockClock, answers: list[int]
) -> None:
    receiver = Receiver(answers=list(answers))
    async with stored() as (engine, store_):
        async with notifying(engine, receiver, replace(HOOK, give_up_hours=0.01)) as notifier:
            await store_.container()
            await settled(notifier)
            webhook = notifier.webhooks["pipeline"]
            (letter,) = webhook.delivery.dead
            assert letter.reason == f"answered {answers[0]}"
            assert receiver.heard == []
            receiver.answers = [500]
            assert await webhook.resend() == 0
            receiver.answers = []
            assert await webhook.resend() == 1
            assert webhook.delivery.dead == []
            assert receiver.kinds == ["container.created"]


async def test_a_restart_goes_on_where_it_was_and_repeats_at_most_what_was_not_remembered(
    quick_clock: MockClock,
) -> None:
    disk = MemoryDisk()
    first, second = Receiver(), Receiver()
    async with stored(disk) as (engine, store_):
        async with notifying(engine, first) as notifier:
            await store_.container()
            await settled(notifier)
        await store_.blob("while nobody listened")
    async with stored(disk) as (engine, _), notifying(engine, second):
        pass
    assert first.kinds == ["container.created"]
    assert second.kinds == ["blob.created"]


async def test_what_was_erased_while_it_waited_is_not_sent_and_nothing_kept_names_it(
    quick_clock: MockClock,
) -> None:
    disk = MemoryDisk()
    receiver = Receiver(answers=[400])
    async with stored(disk) as (engine, store_):
        await store_.container()
        async with notifying(engine, receiver) as notifier:
            await store_.blob("secret-name")
            await settled(notifier)
            webhook = notifier.webhooks["pipeline"]
            (letter,) = webhook.delivery.dead
            await notifier.save()
            assert b"secret-name" not in disk.read(store.FILE)
            await delete(engine, "secret-name")
            await engine.erase([(letter.seq, Part.DETAILS), (letter.seq, Part.CONTENT)], 3)
            tried = len(receiver.tried)
            assert await webhook.resend() == 1
            sent = [event for event in receiver.tried[tried:] if event["data"]["record"] == letter.seq]
            assert sent == []


async def test_an_erasure_is_reported_when_it_is_done(quick_clock: MockClock) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_):
        await store_.container()
        await store_.blob("a")
        seq = engine.state.seq
        async with notifying(engine, receiver, replace(HOOK, events=("erasure.done",))) as notifier:
            await delete(engine, "a")
            await engine.erase([(seq, Part.CONTENT)], 3)
            await settled(notifier)
    assert receiver.kinds == ["erasure.done"]


async def test_after_a_restore_the_new_history_is_sent_under_new_ids(quick_clock: MockClock) -> None:
    disk = MemoryDisk()
    before, after = Receiver(), Receiver()
    async with stored(disk) as (engine, store_), notifying(engine, before) as notifier:
        await store_.container()
        await settled(notifier)
        kept = engine.state.seq
        await store_.blob("lost by the restore")
        await settled(notifier)
    async with stored(disk) as (engine, store_):
        change = Mended(
            number=b"n" * 16,
            actor="cli",
            change="restored",
            time=1,
            kept=kept,
            root=b"",
            lost=kept + 1,
            source="x",
            losses=(),
        )
        await engine.submit(RecordChange(actor="cli", mended=change, random=bytes(8)))
        async with notifying(engine, after) as notifier:
            await settled(notifier)
            assert notifier.webhooks["pipeline"].delivery.changes == [(b"n" * 16).hex()]
    assert "journal.changed" in after.kinds
    epoch = (b"n" * 16).hex()[:8]
    assert all(event["id"].startswith(f"{epoch}-") for event in after.heard)
    assert all(event["id"].startswith("0-") for event in before.heard)


async def test_a_request_that_hangs_is_given_up_and_holds_one_of_two_threads(
    quick_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    release = threading.Event()
    calls: list[int] = []

    def hang(*_: Any, **__: Any) -> Outcome:
        calls.append(1)
        release.wait(60)
        return Outcome(204)

    monkeypatch.setattr(module, "ATTEMPT_S", 2.5)
    async with stored() as (engine, store_):
        notifier = Notifier(engine, [HOOK], source="x", url_of=str, poster=hang)
        await notifier.load()
        await store_.container()
        (notification,), _ = feed.Feed(Trail(engine.disk)).after(0, engine.state.seq, 100)
        webhook = notifier.webhooks["pipeline"]
        outcomes = [await webhook.send(notification) for _ in range(4)]
        release.set()
    assert [outcome.word for outcome in outcomes] == ["it does not answer in time"] * 4
    assert len(calls) == 2


class SlowFeed:
    """A feed whose reads wait until `go` is set, and then bring the next of `answers`."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []
        self.go = threading.Event()

    def at(self, _seq: int) -> None:
        raise NotImplementedError

    def after(self, seq: int, _durable: int, _most: int) -> Any:
        self.asked.append(seq)
        assert self.go.wait(60)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def read_together(slow: SlowFeed, seqs: list[int], *, give_up: int | None = None) -> list[Any]:
    """What each of some readers that ask at the same time is told; the first may be given up meanwhile."""
    shared = module.SharedFeed(cast("Any", slow))
    found: list[Any] = [None] * len(seqs)
    scopes = [trio.CancelScope() for _ in seqs]

    async def read(number: int) -> None:
        with scopes[number]:
            try:
                found[number] = await shared.after(seqs[number], 99)
            except Unavailable as error:
                found[number] = error.message

    async with trio.open_nursery() as nursery:
        for number in range(len(seqs)):
            nursery.start_soon(read, number)
            await trio.testing.wait_all_tasks_blocked(0.01)
        if give_up is not None:
            scopes[give_up].cancel()
        slow.go.set()
    return found


async def test_webhooks_at_the_same_record_share_what_is_read() -> None:
    slow = SlowFeed(([], 7), ([], 7), ([], 7))
    assert await read_together(slow, [3, 3, 3, 5, 3, 3]) == [([], 7)] * 6
    assert sorted(slow.asked) == [3, 5]


async def test_a_read_that_fails_is_repeated_by_one_of_those_who_wait_for_it() -> None:
    slow = SlowFeed(Unavailable("no disk"), ([], 7))
    assert await read_together(slow, [3, 3, 3]) == ["no disk", ([], 7), ([], 7)]
    assert slow.asked == [3, 3]


async def test_who_waits_for_a_read_may_be_given_up_and_the_others_are_told() -> None:
    slow = SlowFeed(([], 7))
    assert await read_together(slow, [3, 3, 3], give_up=1) == [([], 7), None, ([], 7)]
    assert slow.asked == [3]


async def test_dead_letters_are_bounded() -> None:
    delivery = store.DeliveryState(0)
    for seq in range(store.MOST_DEAD + 5):
        if seq < 5 or seq >= store.MOST_DEAD:
            delivery.add_dead(store.DeadLetter(seq, 0, 1, "answered 400"))
        else:
            delivery.dead.append(store.DeadLetter(seq, 0, 1, "answered 400"))
    assert len(delivery.dead) == store.MOST_DEAD
    assert delivery.forgotten == 5
    assert delivery.dead[0].seq == 5


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"a": 1}', b'{"a": {"seq": "x"}}', b"{" * 100_000, b"\xff", b'{"a": {}}']
)
def test_a_file_that_makes_no_sense_counts_as_none(content: bytes) -> None:
    disk = MemoryDisk()
    disk.write_atomic(store.FILE, content)
    assert store.load(disk) == {}


def test_what_is_remembered_comes_back() -> None:
    disk = MemoryDisk()
    delivery = store.DeliveryState(7, ["ab"], [store.DeadLetter(3, 4, 5, "answered 503")], 2)
    store.save(disk, store.pack([("pipeline", delivery)]))
    assert store.load(disk) == {"pipeline": delivery}


def test_the_secret_is_checked() -> None:
    assert secret_bytes(SECRET) == b"k" * 32
    for wrong in ("", "whsec_", "k" * 40, "whsec_" + base64.b64encode(b"short").decode(), "whsec_!!"):
        with pytest.raises(ValueError, match="base64"):
            secret_bytes(wrong)


async def test_an_invalid_record_does_not_hold_up_later_events(
    quick_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    async with stored() as (engine, store_):
        notifier = Notifier(engine, [HOOK], source="x", url_of=str, poster=receiver)
        await notifier.load()
        await store_.container()
        await store_.blob("a")
        happened, _ = feed.Feed(Trail(engine.disk)).after(0, engine.state.seq, 100)
        odd = replace(happened[1], facts={"modified": "soon"})
        outcome = await notifier.webhooks["pipeline"].send(odd)
    assert outcome.status in module.FINAL
    assert outcome.word == "its record has invalid fields"
    assert receiver.tried == []
    assert "no event can be made from its record" in caplog.text
