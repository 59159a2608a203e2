"""Persons' rights: find, export, erase and hold, each as the action that the command line uses."""

from __future__ import annotations

import html
import io
import json
import re
import threading
import zipfile
from datetime import UTC
from typing import Any

import pytest
import trio

from retain.api.admin.rights import Rights
from retain.api.console.pages import persons as pages
from retain.api.console.pages.persons import what_was_deleted
from retain.api.html.filters import in_zone
from retain.engine import Inline
from retain.engine.areas import CreateArea, DeleteArea
from retain.engine.audit.log import Filter, log
from retain.engine.audit.timeline import PAGE_SECONDS, Trail
from retain.engine.blobs.commands import DeleteBlob, PutBlob
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.core.time import DAY
from retain.engine.holds import HoldKind, SetHold
from retain.engine.testing import ManualClock
from tests.kit.console import Browser, Console, console

AREA, BLOB = bytes(range(16)), bytes(range(16, 32))
EVIL = "<script>alert(1)</script>"
PAGE = "/console/persons"


async def fill(server: Console) -> None:
    """An area and a blob of the customer 4711."""
    await server.engine.submit(
        CreateArea(actor="gms", name="cart", user="4711", resource=AREA, values={"pin": "sesame"}, ttl=9999)
    )
    await server.engine.submit(
        PutBlob(
            actor="cli",
            account="mytenant",
            container="recordings",
            name="2026/../4711.wav",
            resource=BLOB,
            headers=ContentHeaders("audio/wav"),
            metadata=(),
            tags=(("customer", "4711"),),
            md5=None,
            body=Inline(b"a voice", bytes(16)),
        )
    )


async def settled(browser: Browser) -> str:
    """The page once no work goes on."""
    await nothing_runs(browser)
    return (await browser.get(PAGE)).text


async def nothing_runs(browser: Browser) -> None:
    """Return once no work goes on."""
    with trio.fail_after(30):
        while json.loads((await browser.get("/console/audit/work")).text)["id"]:
            await trio.lowlevel.checkpoint()


async def found(browser: Browser, **fields: str) -> tuple[str, str]:
    """The page after a search, and the search's id."""
    answer = await browser.send(f"{PAGE}/find", fields or {"customer": "4711", "tag": "customer=4711"}, PAGE)
    assert answer.status == 303, answer.text
    text = await settled(browser)
    number = re.search(r'name="found" value="([0-9a-f]{32})"', text)
    return text, number[1] if number else ""


def actions(server: Console, event: str) -> list[str]:
    """Who did it, by the audit log."""
    return [entry.actor for entry in log(server.engine.disk, Filter()) if entry.event == event]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"tenant": "mytenant"}, "4711.wav"),
        ({"number": AREA.hex()}, "cart"),
        ({"number": BLOB.hex(), "user": "nobody"}, "4711.wav"),
    ],
)
async def test_a_tenant_and_a_number_find_what_they_name(fields: dict[str, str], what: str) -> None:
    async with console() as server:
        await fill(server)
        text, _ = await found(await server.signed_in(), **fields)
        assert "Found: 1\u00a0resource," in text
        assert what in text


@pytest.mark.parametrize("number", ["7", "x" * 32, AREA.hex().upper() + "0", f"{AREA.hex()[:-1]}٣"])
async def test_a_number_that_is_none_is_refused_beside_its_field(number: str) -> None:
    async with console() as server:
        answer = await (await server.signed_in()).send(f"{PAGE}/find", {"number": number}, PAGE)
        assert (answer.status, "A number has 32 digits" in answer.text) == (400, True)


async def test_what_is_found_is_shown_as_a_dry_run() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        text, _ = await found(browser)
        assert "Found: 2\u00a0resources, 13\u00a0B" in text, "sesame and a voice, not their packing"
        assert "4711/<wbr>cart" in text
        assert "nothing has been changed" in text
        assert actions(server, "erasure-ordered") == actions(server, "area-deleted") == []
        text, _ = await found(browser, user="nobody")
        assert "Found: nothing" in text


async def test_what_stays_says_why_and_since_when() -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await fill(server)
        holds = (
            (HoldKind.CONTAINER, ("mytenant", "recordings"), "case 8"),
            (HoldKind.BLOB, ("mytenant", "recordings", "2026/../4711.wav"), f"case 7 {EVIL}"),
        )
        for kind, names, reason in holds:
            number = server.engine.entropy(16)
            await server.engine.submit(
                SetHold(actor="a", hold_id=number, kind=kind, names=names, reason=reason)
            )
            clock.advance(86_400)
        browser = await server.signed_in()
        text, _ = await found(browser)
        row = text.partition("4711.wav")[2].partition("</tr>")[0]
        words = html.unescape(re.sub("<[^>]+>", "", row.rpartition("<td")[2].partition(">")[2]))
        assert words == (
            f"stays: “case 8”, held with its container since {day(server, -2)}; "
            f"“case 7 {EVIL}”, held since {day(server, -1)}"
        )
        assert EVIL not in text
        assert "1\u00a0resource under a legal hold, with the reason above" in text
        assert f"names in the audit until {day(server, 365)}" in re.sub("<[^>]+>", "", text)


async def test_what_ended_before_says_when_and_how_long_its_names_stay() -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await fill(server)
        ended = DeleteBlob(actor="x", account="mytenant", container="recordings", name="2026/../4711.wav")
        await server.engine.submit(ended)
        clock.advance(86_400)
        browser = await server.signed_in()
        text, _ = await found(browser)
        assert f"goes; ended {day(server, -1)}" in re.sub("<[^>]+>", "", text)
        await server.engine.erase_due()
        text, _ = await found(browser)
        words = f"no content is left; its names stay until {day(server, 364)} as the record of who did what"
        assert words in re.sub("<[^>]+>", "", text)
        assert "1 goes, 0 stay, 1 without content" in text
        assert 'data-type="erase 1 resource"' in text, "only what has content is erased"


async def test_where_only_names_are_left_they_alone_are_erased() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        _, number = await found(browser, customer="4711")
        await browser.send(f"{PAGE}/erase", {"found": number, "sure": "erase 1 resource"}, PAGE)
        text, number = await found(browser, customer="4711")
        assert "No content is left." in text
        assert "0 go, 0 stay, 1 without content" in text
        sent = {"found": number, "sure": "erase 1 resource"}
        await browser.send(f"{PAGE}/erase", sent, PAGE)
        assert "Nothing was erased" in (await browser.get(PAGE)).text
        assert all("details" not in one.erased for one in log(server.engine.disk, Filter(number=AREA.hex())))
        await browser.send(f"{PAGE}/erase", {**sent, "names": "yes"}, PAGE)
        assert "The names of 1\u00a0resource are erased" in (await browser.get(PAGE)).text
        assert all("details" in one.erased for one in log(server.engine.disk, Filter(number=AREA.hex())))


def day(server: Console, days: int) -> str:
    """The day that is this many days after the present, as the page writes it."""
    return in_zone(server.engine.now() + days * DAY, UTC, "day").replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"user": " "}, "Fill in at least one"),
        ({"tag": "customer"}, "Write the tag as"),
        ({"name": "x*\\"}, "Write a backslash before"),
        ({"user": "x" * 2000}, "Longer than"),
    ],
)
async def test_a_search_that_is_unclear_says_so_beside_its_field(fields: dict[str, str], words: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        answer = await browser.send(f"{PAGE}/find", fields, PAGE)
        assert answer.status == 400
        assert words in answer.text
        assert 'aria-invalid="true"' in answer.text


async def test_erasing_needs_the_number_typed_and_stands_in_the_log() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        text, number = await found(browser)
        assert "To erase, type <code>erase 2 resources</code>" in text
        for typed in ("", "erase 1 resource", "erase"):
            await browser.send(f"{PAGE}/erase", {"found": number, "sure": typed}, PAGE)
            assert "Nothing was erased" in (await browser.get(PAGE)).text
        assert actions(server, "area-deleted") == []
        sent = {"found": number, "sure": "erase 2 resources", "when": "now"}
        await browser.send(f"{PAGE}/erase", sent, PAGE)
        text = (await browser.get(PAGE)).text
        assert "2\u00a0resources ended." in text
        assert actions(server, "erasure-ordered") == actions(server, "area-deleted") == ["user:ann"]
        entries = [e for e in log(server.engine.disk, Filter()) if e.event in ("area-created", "blob-put")]
        assert [one.erased for one in entries] == [("content",), ("content",)]
        answer = await browser.send(f"{PAGE}/erase", sent, PAGE)
        assert answer.status == 409


async def test_names_go_too_if_that_was_ticked_and_later_is_later() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        _, number = await found(browser, customer="4711")
        sent = {"found": number, "sure": "erase 1 resource", "when": "later"}
        await browser.send(f"{PAGE}/erase", sent, PAGE)
        assert "erased within 24 hours" in (await browser.get(PAGE)).text
        assert next(log(server.engine.disk, Filter(number=AREA.hex()))).erased == ()
        _, number = await found(browser, tag="customer=4711")
        sent = {"found": number, "sure": "erase 1 resource", "names": "yes"}
        await browser.send(f"{PAGE}/erase", sent, PAGE)
        assert all("details" in one.erased for one in log(server.engine.disk, Filter(number=BLOB.hex())))


async def test_a_hold_on_what_is_deleted_says_what_it_was() -> None:
    async with console() as server:
        await fill(server)
        await server.engine.submit(DeleteArea(actor="gms", name="cart", user="4711"))
        await server.engine.submit(
            DeleteBlob(actor="cli", account="mytenant", container="recordings", name="2026/../4711.wav")
        )
        last = {
            one.hex(): list(log(server.engine.disk, Filter(number=one.hex())))[-1].seq for one in (AREA, BLOB)
        }
        browser = await server.signed_in()
        _, number = await found(browser)
        await browser.send(f"{PAGE}/hold", {"found": number, "reason": "case 7"}, PAGE)
        text = (await browser.get(PAGE)).text.partition('id="holds"')[2]
        area, blob = (
            f"deleted area, last record {last[AREA.hex()]}",
            f"deleted blob, last record {last[BLOB.hex()]}",
        )
        assert sorted(re.findall(r"the hold on ([^<]+)</span></button>", text)) == [area, blob]
        assert AREA.hex() not in text
        (timeline,) = {one.subject for one in log(server.engine.disk, Filter()) if AREA.hex() in one.subject}
        assert timeline == f"deleted resource {AREA.hex()}"
        hold = re.findall(r'name="hold" value="([0-9a-f]{32})"', text)[-1]
        await browser.send(f"{PAGE}/lift", {"hold": hold}, PAGE)
        assert "Lifted the hold on deleted " in (await browser.get(PAGE)).text
        held = [{"kind": "resource", "resource": one.hex()} for one in (AREA, BLOB)]
        times = iter((0.0, 0.0, PAGE_SECONDS))
        assert what_was_deleted(Trail(server.engine.disk), held, lambda: next(times)) == {AREA.hex(): area}


async def test_a_hold_keeps_what_was_found_until_it_is_lifted() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        _, number = await found(browser)
        refused = await browser.send(f"{PAGE}/hold", {"found": number, "reason": ""}, PAGE)
        assert (refused.status, "Give the reason" in refused.text) == (400, True)
        await browser.send(f"{PAGE}/hold", {"found": number, "reason": EVIL}, PAGE)
        text = (await browser.get(PAGE)).text
        assert "2\u00a0holds set" in text
        assert EVIL not in text
        assert html.escape(EVIL) in text
        assert "Everything that was found is under a legal hold" in text
        assert actions(server, "hold-set") == ["user:ann", "user:ann"]
        await browser.send(f"{PAGE}/erase", {"found": number, "sure": "erase 0 resources"}, PAGE)
        assert actions(server, "area-deleted") == []
        for hold in re.findall(r'name="hold" value="([0-9a-f]{32})"', text):
            assert f"/console/audit/resources/{hold}" in text
            assert (await browser.get(f"/console/audit/resources/{hold}")).status == 200
            assert (await browser.send(f"{PAGE}/lift", {"hold": hold}, PAGE)).status == 303
        assert "Nothing is held" in (await browser.get(PAGE)).text
        assert actions(server, "hold-lifted") == ["user:ann", "user:ann"]
        for wrong in ("x", "0" * 32):
            assert (await browser.send(f"{PAGE}/lift", {"hold": wrong}, PAGE)).status in (400, 404)


async def test_a_data_protection_officer_erases_and_holds_and_reads_no_value() -> None:
    async with console() as server:
        await fill(server)
        dora = await server.signed_in("DataProtection")
        text, number = await found(dora)
        assert "4711/<wbr>cart" in text
        assert "an administrator makes the export" in text
        assert "Export as zip" not in text
        for path in (f"{PAGE}/export.zip", "/console/containers/mytenant/recordings", "/console/tokens"):
            assert (await dora.get(path)).status == 403
        sent = {"found": number}
        assert (await dora.send(f"{PAGE}/export", sent, PAGE)).status == 403
        await dora.send(f"{PAGE}/hold", {**sent, "reason": "case 7"}, PAGE)
        text = (await dora.get(PAGE)).text
        assert "Everything that was found is under a legal hold" in text
        for hold in re.findall(r'name="hold" value="([0-9a-f]{32})"', text):
            await dora.send(f"{PAGE}/lift", {"hold": hold}, PAGE)
        history = (await dora.get(f"/console/audit/resources/{AREA.hex()}")).text
        assert "sesame" not in history
        assert (
            "sesame" in (await (await server.signed_in()).get(f"/console/audit/resources/{AREA.hex()}")).text
        )
        done = await dora.send(f"{PAGE}/erase", {**sent, "sure": "erase 2 resources", "when": "now"}, PAGE)
        assert done.status == 303
        assert actions(server, "erasure-ordered") == ["user:dora"]
        assert actions(server, "area-deleted") == ["user:dora"]
        assert actions(server, "hold-set") == actions(server, "hold-lifted") == ["user:dora", "user:dora"]


@pytest.mark.parametrize(
    ("kind", "names"),
    [(HoldKind.CONTAINER, ("mytenant", "recordings")), (HoldKind.TENANT, ("mytenant",))],
)
async def test_only_administrators_lift_what_only_they_can_set(
    kind: HoldKind, names: tuple[str, ...]
) -> None:
    async with console() as server:
        await fill(server)
        number = bytes(range(48, 64))
        await server.engine.submit(
            SetHold(actor="user:ann", hold_id=number, kind=kind, names=names, reason="case 8")
        )
        dora, ann = await server.signed_in("DataProtection"), await server.signed_in()
        text = (await dora.get(PAGE)).text
        assert "case 8" in text
        assert "An administrator lifts it" in text
        assert number.hex() not in re.findall(r'name="hold" value="([0-9a-f]{32})"', text)
        assert (await dora.send(f"{PAGE}/lift", {"hold": number.hex()}, PAGE)).status == 403
        assert actions(server, "hold-lifted") == []
        assert (await ann.send(f"{PAGE}/lift", {"hold": number.hex()}, PAGE)).status == 303
        assert actions(server, "hold-lifted") == ["user:ann"]


async def test_the_generated_id_of_an_area_is_a_secret_from_all_but_administrators() -> None:
    secret, number = "0f1e2d3c-0000-4000-8000-000000000001", bytes(range(32, 48))
    async with console() as server:
        await server.engine.submit(
            CreateArea(actor="gms", name=secret, resource=number, values={"pin": "x"}, ttl=9999)
        )
        dora, ann = await server.signed_in("DataProtection"), await server.signed_in()
        assert "Found: nothing" in (await found(dora, name="0f1e2d3c*"))[0]
        assert secret in (await found(ann, name="0f1e2d3c*"))[0]
        text, search = await found(dora, number=number.hex())
        assert f"area {number.hex()}" in text
        assert secret not in text
        await dora.send(f"{PAGE}/hold", {"found": search, "reason": "case 7"}, PAGE)
        text = (await dora.get(PAGE)).text
        assert secret not in text
        hold = re.search(r'name="hold" value="([0-9a-f]{32})"', text)
        assert hold is not None
        await dora.send(f"{PAGE}/lift", {"hold": hold[1]}, PAGE)
        text = (await dora.get(PAGE)).text
        assert f"Lifted the hold on area {number.hex()}" in text
        assert secret not in text
        assert "Found: 1\u00a0resource," in (await found(dora, name=secret))[0], "who knows it whole finds it"


async def test_a_search_that_ends_while_its_page_is_made_is_shown_as_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page's script looks again. It was shown as a search that had found nothing."""
    may_end, find = threading.Event(), pages.recorded

    def recorded(*arguments: Any) -> Any:
        assert may_end.wait(30)
        return find(*arguments)

    async def list_holds(rights: Rights, *, actor: str) -> list[dict[str, Any]]:
        may_end.set()
        await nothing_runs(browser)
        return []

    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        with monkeypatch.context() as late:
            late.setattr(pages, "recorded", recorded)
            assert (await browser.send(f"{PAGE}/find", {"customer": "4711"}, PAGE)).status == 303
            late.setattr(Rights, "list_holds", list_holds)  # not before: sending reads the page first
            text = (await browser.get(PAGE)).text
        assert "Found: " not in text
        assert "data-work=" in text
        assert "Found: 1\u00a0resource," in await settled(browser)


async def test_the_export_is_a_zip_that_can_be_taken_once() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        _, number = await found(browser)
        await browser.send(f"{PAGE}/export", {"found": number}, PAGE)
        assert "The export is ready" in await settled(browser)
        answer = await browser.client.get(f"{PAGE}/export.zip", scope_base={})
        data = await answer.get_data(as_text=False)
        assert answer.headers["Cache-Control"] == "no-store"
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            assert file.testzip() is None
            document = json.loads(file.read("export.json"))
            assert file.namelist() == ["files/00001-4711.wav", "export.json"]
            assert file.read("files/00001-4711.wav") == b"a voice"
        assert document["format"] == "retain-export/1"
        names = [one["name"] for one in document["resources"]]
        assert names == ["4711/cart", "mytenant/recordings/2026/../4711.wav"]
        assert document["asked"] == {"customer": "4711", "tag": "customer=4711"}
        assert (await browser.get(f"{PAGE}/export.zip")).status == 404
        told = (await browser.get("/console/audit?actor=user:ann")).text
        assert "Data exported" in told
        assert re.search(r"export of [12]<", told), re.findall(r"export of[^<]*", told)


async def test_what_one_session_found_is_not_shown_in_another() -> None:
    async with console() as server:
        await fill(server)
        browser, other = await server.signed_in(), await server.signed_in()
        _, number = await found(browser)
        assert "4711/" not in (await other.get(PAGE)).text
        for action in ("erase", "hold", "export"):
            sent = {"found": number, "sure": "erase 2 resources", "reason": "x"}
            assert (await other.send(f"{PAGE}/{action}", sent, PAGE)).status == 409
        assert (await other.get(f"{PAGE}/export.zip")).status == 404


async def test_an_auditor_may_not() -> None:
    async with console() as server:
        for role in ("Auditor", "User"):
            browser = await server.signed_in(role)
            for path in ("", "/export.zip"):
                assert (await browser.get(PAGE + path)).status == 403
