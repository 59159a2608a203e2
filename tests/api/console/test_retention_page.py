"""A container's retention, its emptying and its removal: what is shown before, and what is done."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
import trio

from retain.api.console.containers.emptying import Emptyings
from retain.engine import StorageFull
from retain.engine.blobs.queries import totals_of
from retain.engine.testing import ManualClock
from tests.api.console.test_containers_page import AT, at, put
from tests.kit.console import Browser, Console, console

NAME = "mytenant/recordings"


async def blobs(server: Console) -> int:
    return (await server.engine.read(lambda s, _: totals_of(s.blobs, "mytenant", "recordings"))).blobs


async def days(server: Console) -> int | None:
    found = await server.engine.read(lambda s, _: totals_of(s.blobs, "mytenant", "recordings"))
    return found.entry.days


async def test_a_shorter_retention_says_what_it_ends_and_needs_the_name() -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await put(server, "old.wav")
        await put(server, "old-held.wav")
        clock.advance(20 * 86_400)
        await put(server, "new.wav")
        browser = await server.signed_in()
        reason = {"name": "old-held.wav", "reason": "case 1"}
        await browser.send(at("/blob/hold"), reason, at("/blob", name="old-held.wav"))
        asked = at("/retention", keep="days", days="14")
        preview = (await browser.get(asked)).text
        assert "14\u00a0days instead of 30\u00a0days: 2\u00a0blobs, 8\u00a0B, end at once" in preview
        assert "hidden, kept" in preview
        assert await days(server) is None, "a preview changes nothing"
        sent = {"keep": "days", "days": "14"}
        for sure in ("", "recordings", "mytenant/recordings "):
            refused = await browser.send(at("/retention"), {**sent, "sure": sure}, asked)
            assert (refused.status, "not the container’s name" in refused.text) == (400, True)
        assert await days(server) is None
        done = await browser.send(at("/retention"), {**sent, "sure": NAME}, asked)
        assert (done.status, await days(server)) == (303, 14)
        page = (await browser.get(AT)).text
        assert "2\u00a0blobs ended" in page
        assert "new.wav" in page
        assert "old.wav" not in page
        assert (await browser.get(at("/blob", name="old-held.wav"))).status == 404, (
            "hidden from clients, but is kept"
        )


async def test_a_longer_retention_ends_nothing_and_needs_no_name() -> None:
    async with console() as server:
        await put(server, "x.wav")
        browser = await server.signed_in()
        for keep, text, expected in (("forever", "", 0), ("days", "60", 60), ("default", "", None)):
            preview = await browser.get(at("/retention", keep=keep, days=text))
            assert "no blob ends" in preview.text
            done = await browser.send(at("/retention"), {"keep": keep, "days": text}, at("/retention"))
            assert (done.status, await days(server)) == (303, expected)


@pytest.mark.parametrize("text", ["", "0", "-1", "36501", "1.5", "٣", "9" * 400, "<b>"])
async def test_days_that_are_none_are_refused_beside_the_field(text: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        shown = await browser.get(f"{AT}/retention?keep=days&days={quote(text)}")
        sent = await browser.send(at("/retention"), {"keep": "days", "days": text}, at("/retention"))
        for answer in (shown, sent):
            assert (answer.status, "Write a number of days" in answer.text) == (400, True)
            assert "<b>" not in answer.text.replace("<b>ann</b>", "")
        assert await days(server) is None


async def test_emptying_needs_the_name_and_leaves_what_is_held() -> None:
    async with console() as server:
        for number in range(205):
            await put(server, f"{number}.wav")
        browser = await server.signed_in()
        await browser.send(at("/blob/hold"), {"name": "7.wav", "reason": "case"}, at("/blob", name="7.wav"))
        refused = await browser.send(at("/empty"), {"sure": "recordings"}, at("/remove"))
        assert (refused.status, await blobs(server)) == (400, 205)
        begun = await browser.send(at("/empty"), {"sure": NAME}, at("/remove"))
        assert (begun.status, begun.location) == (303, f"{at('/remove')}#emptying")
        with trio.fail_after(30):
            while await followed(browser) is not None:
                await trio.lowlevel.checkpoint()
        assert await blobs(server) == 1
        said = (await browser.get(at("/remove"))).text
        assert "Deleted 204\u00a0blobs of recordings. 1\u00a0blob remained" in said
        log = await browser.get(f"/console/audit?actor=user:ann&resource={NAME}/8.wav")
        assert "Blob deleted" in log.text


async def followed(browser: Browser) -> dict[str, Any] | None:
    """What the script of the page is told of an emptying; None once it has ended."""
    facts: dict[str, Any] = json.loads((await browser.get(at("/empty/work"))).text)
    return None if facts["id"] is None else facts


async def test_emptying_is_followed_stopped_and_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as server:
        async with trio.open_nursery() as nursery:
            for number in range(450):
                nursery.start_soon(put, server, f"{number}.wav")
        gate, through, submit = trio.Event(), 0, server.engine.submit

        async def slow(command: Any) -> Any:
            nonlocal through
            through += 1
            if through > 200:
                await gate.wait()
            return await submit(command)

        monkeypatch.setattr(server.engine, "submit", slow)
        browser, other = await server.signed_in(), await server.signed_in()
        page = await browser.get(at("/remove"))
        sent = {"csrf_token": page.csrf, "sure": NAME}
        await browser.ask("POST", at("/empty"), form=sent)
        with trio.fail_after(30):
            while (facts := await followed(other)) is not None and not facts["words"].startswith("200"):
                await trio.lowlevel.checkpoint()
        assert facts is not None
        assert (facts["percent"], facts["words"][:16]) == (44, "200\u00a0blobs of 450")
        shown = await other.get(at("/remove"))
        assert "It is being emptied" in shown.text
        assert 'data-follow="/console/containers/mytenant/recordings/empty/work"' in shown.text
        busy = await other.ask("POST", at("/empty"), form={**sent, "csrf_token": shown.csrf})
        assert (busy.status, "is being emptied already" in busy.text) == (409, True)
        stopped = await other.ask("POST", at("/empty/stop"), form={"csrf_token": shown.csrf})
        assert stopped.status == 303
        with trio.fail_after(30):
            while await followed(browser) is not None:
                await trio.lowlevel.checkpoint()
        assert await blobs(server) == 250
        gate.set()
        assert "It was stopped; empty it again to continue." in (await browser.get(at("/remove"))).text
        await browser.send(at("/empty/stop"), {}, at("/remove"))
        assert "It had already ended." in (await browser.get(at("/remove"))).text
        await browser.ask("POST", at("/empty"), form=sent)
        with trio.fail_after(30):
            while await blobs(server):
                await trio.lowlevel.checkpoint()


async def test_emptying_that_the_disk_ends_says_so_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with console() as server:
        await put(server, "x.wav")
        for failure, words in (
            (StorageFull("there is no room on the disk"), "It ended early: there is no room on the disk."),
            (ZeroDivisionError(), "an internal error in the server; see its log"),
        ):
            emptyings = Emptyings(server.engine)

            async def failing(_command: object, failure: Exception = failure) -> None:
                raise failure

            with monkeypatch.context() as broken:
                broken.setattr(server.engine, "submit", failing)
                work = await emptyings.start("mytenant", "recordings", by="ann", actor="user:ann")
                with trio.fail_after(30):
                    while not work.done:
                        await trio.lowlevel.checkpoint()
            assert words in work.outcome
            assert await blobs(server) == 1
        assert "unhandled exception while a container was emptied" in caplog.text


async def test_a_container_is_removed_unless_it_is_held() -> None:
    async with console() as server:
        await put(server, "x.wav")
        browser = await server.signed_in()
        assert (await browser.send(at("/remove"), {"sure": ""})).status == 400
        await browser.send(at("/blob/hold"), {"name": "x.wav", "reason": "case"}, at("/blob", name="x.wav"))
        held = await browser.send(at("/remove"), {"sure": NAME})
        assert (held.status, "Nothing was changed" in held.text) == (409, True)
        hold = (await server.administration.actions()["hold list"](actor="cli"))[0]["hold"]
        await server.administration.actions()["hold lift"](actor="cli", hold=hold)
        done = await browser.send(at("/remove"), {"sure": NAME})
        assert (done.status, done.location) == (303, "/console/containers")
        assert (await browser.get(AT)).status == 404


async def test_a_container_and_a_tenant_are_held_and_let_go_on_a_page() -> None:
    async with console() as server:
        await put(server, "x.wav")
        browser = await server.signed_in()
        page = at("/holds")
        assert "Neither this container nor its tenant is held" in (await browser.get(page)).text
        empty = await browser.send(page, {"what": "tenant", "reason": " "})
        assert (empty.status, "Give the reason" in empty.text) == (400, True)
        for what in ("container", "tenant"):
            done = await browser.send(page, {"what": what, "reason": f"case <{what}>"})
            assert (done.status, done.location) == (303, page)
        shown = (await browser.get(page)).text
        assert "case &lt;container&gt;" in shown
        assert "all of mytenant" in shown
        assert (await browser.send(at("/remove"), {"sure": NAME})).status == 409
        log = (await browser.get("/console/audit?actor=user:ann")).text
        assert log.count("Hold set") == 2
        numbers = re.findall(r'name="hold" value="([0-9a-f]{32})"', shown)
        for number in numbers:
            lifted = await browser.send(f"{page}/lift", {"hold": number}, page)
            assert lifted.status == 303
        again = await browser.send(f"{page}/lift", {"hold": numbers[0]}, page)
        assert (again.status, "already lifted" in again.text) == (404, True)
        assert "Neither this container nor its tenant is held" in (await browser.get(page)).text


async def test_only_a_hold_that_the_page_shows_is_lifted_there() -> None:
    async with console() as server:
        await put(server, "x.wav")
        browser = await server.signed_in()
        await browser.send(at("/blob/hold"), {"name": "x.wav", "reason": "c"}, at("/blob", name="x.wav"))
        hold = (await server.administration.actions()["hold list"](actor="cli"))[0]["hold"]
        assert (await browser.send(at("/holds/lift"), {"hold": hold}, at("/holds"))).status == 404
        assert len(await server.administration.actions()["hold list"](actor="cli")) == 1


async def test_a_preview_says_how_much_ends_unless_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await put(server, "old.wav", bytes(1500))
        clock.advance(20 * 86_400)
        await put(server, "new.wav", bytes(300))
        browser = await server.signed_in()
        text = (await browser.get(at("/retention", keep="days", days="14"))).text
        assert "1\u00a0blob, 1.5\u00a0kB, end at once" in text
        assert "300\u00a0B" in text
        monkeypatch.setattr("retain.engine.blobs.queries.ADDED_UP", 0)
        text = (await browser.get(at("/retention", keep="days", days="14"))).text
        assert "1\u00a0blob end at once" in text
        assert "too many to add up" in text
