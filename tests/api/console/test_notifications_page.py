"""The console's page of webhooks and their dead letters."""

from __future__ import annotations

import base64

from retain.api.config.load import Config, WebhookConfig
from retain.api.notifications.post import Outcome
from retain.api.notifications.store import DeadLetter
from tests.kit.console import USERS, console

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
HOOK = WebhookConfig(name="pipeline", url="https://pipeline.example/x?code=hidden", secret=SECRET)
PAGE = "/console/notifications"


async def test_without_a_webhook_the_page_says_what_one_is() -> None:
    async with console() as server:
        answer = await (await server.signed_in()).get(PAGE)
    assert "The configuration has no webhook" in answer.text


async def test_dead_letters_are_shown_and_sent_again() -> None:
    sent: list[bytes] = []
    status = 503

    def receive(_url: str, _headers: object, body: bytes, *, allow_private: bool) -> Outcome:
        sent.append(body)
        return Outcome(status)

    async with console(Config(users=USERS, webhooks=(HOOK,))) as server:
        webhook = server.administration.notifier.webhooks["pipeline"]
        webhook._post = receive
        webhook.delivery.dead = [DeadLetter(2, server.engine.now(), 7, "answered 400")]
        browser = await server.signed_in()
        page = await browser.get(PAGE)
        assert "answered 400" in page.text
        assert "https://pipeline.example/x" in page.text
        assert "hidden</code>" not in page.text
        assert SECRET not in page.text

        refused = await browser.send(f"{PAGE}/retry", {"webhook": "pipeline"}, PAGE)
        assert refused.status == 303
        assert "1 left. The last one was refused: answered 503." in (await browser.get(PAGE)).text
        status = 204
        await browser.send(f"{PAGE}/retry", {"webhook": "pipeline"}, PAGE)
        page = await browser.get(PAGE)
        assert "1 dead letter of pipeline sent, or erased meanwhile." in page.text.replace("\xa0", " ")
        assert "Send again</button>" not in page.text
        assert len(sent) == 2


async def test_a_webhook_that_is_not_there_is_not_found() -> None:
    async with console(Config(users=USERS, webhooks=(HOOK,))) as server:
        server.administration.notifier.webhooks["pipeline"].delivery.dead = [DeadLetter(1, 0, 1, "x")]
        browser = await server.signed_in()
        assert (await browser.send(f"{PAGE}/retry", {"webhook": "nope"}, PAGE)).status == 404
