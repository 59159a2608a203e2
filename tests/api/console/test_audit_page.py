"""The audit page: filters, paging, histories, roles, erased parts, long work, receipts."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from typing import Any

import pytest
import trio
from werkzeug.datastructures import FileStorage

from retain.api.admin.rights import Rights
from retain.api.console.evidence.bench import Bench
from retain.api.console.pages import audit, audit_work
from retain.engine import Conflict, Inline
from retain.engine.areas import CreateArea, UpdateArea
from retain.engine.audit.timeline import TimelinePage, page
from retain.engine.audit.verify import Verification
from retain.engine.blobs.commands import PutBlob
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.holds import HoldKind
from retain.engine.holds.commands import SetHold
from retain.engine.settings.commands import ImportDocument
from retain.engine.settings.model import Level, Place, SettingsPolicy
from retain.journal.check.verify import Finding, FindingKind, Report
from retain.journal.lookup.trail import Trail
from tests.kit.console import Browser, Console, console

AREA = bytes(range(16))
EVIL = '"><script>alert(1)</script>'
SECRET = "sesame-4711"


async def fill(server: Console, actor: str = "user:maria") -> None:
    """An area that was updated, a document of two versions, a blob."""
    engine = server.engine
    await engine.submit(
        CreateArea(actor=actor, name="cart", user="bob", resource=AREA, values={"pin": SECRET}, ttl=9999)
    )
    await engine.submit(
        UpdateArea(actor=actor, name="cart", user="bob", resource=AREA, values={"pin": "other"}, ttl=9999)
    )


async def settled(server: Console, browser: Browser) -> str:
    """The audit page once no work goes on."""
    with trio.fail_after(20):
        while json.loads((await browser.get("/console/audit/work")).text)["id"]:
            await trio.lowlevel.checkpoint()
    return (await browser.get("/console/audit")).text


def lines(text: str) -> list[str]:
    """The timeline's lines as plain text."""
    found = re.findall(r'<div class="line.*?</span></div>', text, re.DOTALL)
    return [
        html.unescape(
            re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]*>", " ", one.replace("<wbr>", "")))
        ).strip()
        for one in found
    ]


async def test_the_timeline_tells_who_did_what_newest_first() -> None:
    async with console() as server:
        await fill(server)
        text = (await (await server.signed_in()).get("/console/audit")).text
        shown = lines(text)
        assert "Area updated bob/cart user:maria record 4" in shown[0]
        assert "Container created mytenant/recordings" in shown[-1]
        assert f'href="/console/audit/resources/{AREA.hex()}"' in text
        assert SECRET not in text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("interface=areas", ["Area updated", "Area created"]),
        ("interface=blobs", ["Container created", "Container created"]),
        ("verb=patch", ["Area updated"]),
        ("actor=cli", ["Container created", "Container created"]),
        ("actor=user:*", ["Area updated", "Area created"]),
        ("resource=bob/*&verb=put", ["Area created"]),
        (f"resource={AREA.hex()}", ["Area updated", "Area created"]),
        ("resource=nobody", []),
        ("to=1999-01-01T00:00", []),
        ("from=2400-01-01T00:00", []),
        ("from=1999-01-01T00:00&to=2400-01-01T00:00&interface=areas", ["Area updated", "Area created"]),
    ],
)
async def test_filters_stand_in_the_address(query: str, expected: list[str]) -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        answer = await browser.get(f"/console/audit?{query}")
        assert answer.status == 200
        shown = lines(answer.text)
        assert len(shown) == len(expected)
        assert all(words in one for words, one in zip(expected, shown, strict=True))
        rows = (await browser.get(f"/console/audit/csv?{query}")).text.splitlines()
        assert len(rows) == 1 + len(expected)


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("from=yesterday", "from", "Write the moment as"),
        ("to=2501-01-01", "to", "Write the moment as"),
        ("resource=x*\\", "resource", "backslash"),
        ("actor=?\\", "actor", "backslash"),
        ("verb=x", "verb", "Choose one from the list"),
        ("interface=x", "interface", "Choose one from the list"),
        (f"actor={'x' * 3000}", "actor", "Longer than"),
    ],
)
async def test_a_filter_that_cannot_be_read_says_so_beside_its_field(
    query: str, field: str, words: str
) -> None:
    async with console() as server:
        answer = await (await server.signed_in()).get(f"/console/audit?{query}")
        assert answer.status == 400
        fault = re.search(rf'id="{field}-fault">(.*?)</p>', answer.text, re.DOTALL)
        assert fault is not None, answer.text
        assert words in fault[1]
        assert lines(answer.text) == []


async def test_a_csv_has_every_matching_entry_and_is_made_while_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In pieces, of which only the first is awaited before the answer begins."""
    made: list[int] = []
    monkeypatch.setattr(audit, "CSV_ROWS", 7)
    original = audit.page

    def counted(*arguments: Any, **more: Any) -> TimelinePage:
        found = original(*arguments, **more)
        made.append(len(found.entries))
        return found

    monkeypatch.setattr(audit, "page", counted)
    async with console() as server:
        for _ in range(20):
            await fill_one(server)
        browser = await server.signed_in()
        answer = await browser.get("/console/audit/csv?actor=user:maria")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert answer.headers["Content-Type"] == "text/csv;charset=utf-8"
        numbers = [int(row["seq"]) for row in rows]
        assert len(set(numbers)) == 20
        assert numbers == sorted(numbers, reverse=True)
        assert max(made) == 7
        assert len(made) >= 3


async def fill_one(server: Console) -> None:
    await server.engine.submit(
        CreateArea(
            actor="user:maria",
            name="cart",
            user="bob",
            resource=server.engine.entropy(16),
            values={"a": "b"},
            ttl=9999,
        )
    )


async def test_a_csv_of_a_filter_that_cannot_be_read_leads_to_the_page_that_says_so() -> None:
    """All entries instead would be taken for those that match."""
    async with console() as server:
        browser = await server.signed_in()
        answer = await browser.get("/console/audit/csv?actor=ann&from=yesterday")
        assert (answer.status, answer.location) == (303, "/console/audit?actor=ann&from=yesterday")


async def test_one_pages_to_the_first_record_and_back() -> None:
    async with console() as server:
        for number in range(120):
            resource = (number + 1).to_bytes(16, "big")
            await server.engine.submit(
                CreateArea(actor="user:x", name=f"a{number}", user=None, resource=resource, values={}, ttl=99)
            )
        browser = await server.signed_in()
        path, seen = "/console/audit?interface=areas", []
        pages = []
        while path:
            text = (await browser.get(path)).text
            pages.append(text)
            seen += re.findall(r"Area created a(\d+) ", " ".join(lines(text)))
            older = re.search(r'href="([^"]*)">Older', text)
            path = html.unescape(older[1]) if older else ""
        assert [int(one) for one in seen] == list(range(120))[::-1]
        newer = re.search(r'href="([^"]*)">Newer', pages[1])
        assert newer is not None
        assert lines((await browser.get(html.unescape(newer[1]))).text) == lines(pages[0])
        for bad in ("before=x", "before=-1", f"after={'9' * 30}", "before=0"):
            assert (await browser.get(f"/console/audit?{bad}")).status == 200


async def test_a_page_looks_at_no_more_records_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    real = Trail.before

    def counting(self: Trail, *args: Any, **named: Any) -> Any:
        for spot in real(self, *args, **named):
            looked.append(spot.header.seq)
            yield spot

    async with console() as server:
        for number in range(300):
            resource = (number + 1).to_bytes(16, "big")
            await server.engine.submit(
                CreateArea(actor="user:x", name=f"a{number}", user=None, resource=resource, values={}, ttl=99)
            )
        browser = await server.signed_in()
        monkeypatch.setattr(Trail, "before", counting)
        monkeypatch.setitem(page.__kwdefaults__, "clock", lambda: 0.0)
        await browser.get("/console/audit")
        assert len(looked) == 51


async def test_what_users_typed_is_text_on_every_page() -> None:
    async with console() as server:
        engine = server.engine
        await engine.submit(
            CreateArea(actor=EVIL, name="x", user=EVIL, resource=AREA, values={EVIL: EVIL}, ttl=99)
        )
        await Rights(engine).add_hold(
            actor=EVIL,
            target={"kind": "area", "resource": AREA.hex(), "names": ["x", EVIL], "subject": ""},
            reason=EVIL,
        )
        browser = await server.signed_in()
        await browser.send(
            "/console/audit/state", {"at": "2400-01-01T00:00", "resource": "*"}, "/console/audit"
        )
        for text in (
            await settled(server, browser),
            (await browser.get("/console/audit?actor=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")).text,
            (await browser.get(f"/console/audit/resources/{AREA.hex()}?at=2400-01-01T00:00")).text,
            (await browser.get(f"/console/audit/resources/{AREA.hex()}?at=%22%3E%3Cscript%3E")).text,
        ):
            assert "<script>alert" not in text
            assert "script&gt;" in text


async def test_a_history_shows_values_to_administrators_and_names_to_auditors() -> None:
    path = f"/console/audit/resources/{AREA.hex()}"
    async with console() as server:
        await fill(server)
        text = (await (await server.signed_in()).get(path)).text
        assert f"<del>−   &#34;pin&#34;: &#34;{SECRET}&#34;</del>" in text
        assert "<ins>+   &#34;pin&#34;: &#34;other&#34;</ins>" in text
        auditor = await server.signed_in("Auditor")
        for query in ("", "?at=2400-01-01T00:00"):
            text = (await auditor.get(path + query)).text
            assert SECRET not in text
            assert "other&" not in text
            assert "changed: pin" in text
        assert "It held: pin" in text


async def test_an_auditor_learns_no_generated_id_because_it_opens_the_area() -> None:
    name, number = "5ec7c66f-05c8-4c6f-94d7-c79a47808784", AREA.hex()
    async with console() as server:
        made = CreateArea(actor="anonymous", name=name, resource=AREA, values={"pin": SECRET}, ttl=9999)
        await server.engine.submit(made)
        hold = {"hold_id": server.engine.entropy(16), "kind": HoldKind.AREA, "names": (name, None)}
        await server.engine.submit(SetHold(actor="ann", reason="case 7", **hold))
        paths = (
            "/console/audit",
            "/console/audit/csv",
            f"/console/audit/resources/{number}",
            f"/console/audit/resources/{number}?at=2400-01-01T00:00",
            f"/console/audit/resources/{hold['hold_id'].hex()}",
            f"/console/audit/resources/{number}/receipt",
            f"/console/audit/resources/{number}/receipt?format=json",
        )
        ann, otto = await server.signed_in(), await server.signed_in("Auditor")
        for path in paths:
            text = (await otto.get(path)).text
            assert name not in text, path
            assert number in text, path
        for path in paths[:5]:
            assert name in (await ann.get(path)).text, path
        for pattern, found in ((name[:4] + "*", 0), (name[:-1] + "?", 0), ("*", 0), (name, 2)):
            shown = lines((await otto.get(f"/console/audit?resource={pattern}")).text)
            rows = (await otto.get(f"/console/audit/csv?resource={pattern}")).text
            assert (len([one for one in shown if number in one]), rows.count(f"area {number}")) == (
                found,
                found,
            )
            assert name not in rows
        assert len(lines((await ann.get(f"/console/audit?resource={name[:4]}*")).text)) == 2
        at = {"at": "2400-01-01T00:00:00", "resource": name}
        await ann.send("/console/audit/state", at, "/console/audit")
        assert name in await settled(server, ann)
        seen = await settled(server, otto)
        assert name not in seen
        assert f">area {number}<" in re.sub(r"</?(bdi|wbr)>", "", seen)
        await otto.send("/console/audit/state", {**at, "resource": f"{name[:4]}*"}, "/console/audit")
        assert "<dt>Stored</dt><dd>nothing</dd>" in await settled(server, otto)


async def test_documents_and_blobs_have_histories_too() -> None:
    async with console() as server:
        engine = server.engine
        place = Place("desk", Level.USER, "", "maria")
        for value in ({"queues": ["claims", "sales"]}, {"queues": ["claims"]}):
            await engine.submit(
                ImportDocument(actor="cli", place=place, value=value, resource=AREA, policy=SettingsPolicy())
            )
        number = AREA.hex()
        shown = (await (await server.signed_in()).get(f"/console/audit/resources/{number}")).text
        assert re.search(r"<del>−\s+&#34;sales&#34;</del>", shown), shown
        blob = bytes(reversed(AREA))
        await engine.submit(
            PutBlob(
                actor="cli",
                account="mytenant",
                container="recordings",
                name="a.wav",
                resource=blob,
                headers=ContentHeaders("audio/wav"),
                metadata=(),
                tags=(("customer", SECRET),),
                md5=None,
                body=Inline(b"xyz", bytes(16)),
            )
        )
        assert SECRET in (await (await server.signed_in()).get(f"/console/audit/resources/{blob.hex()}")).text
        auditor = await server.signed_in("Auditor")
        for path in (
            f"/console/audit/resources/{blob.hex()}?at=2400-01-01",
            "/console/audit",
            "/console/audit/csv",
        ):
            assert SECRET not in (await auditor.get(path)).text
        assert SECRET in (await (await server.signed_in()).get("/console/audit/csv")).text


async def test_state_at_a_moment_of_one_resource() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in()
        path = f"/console/audit/resources/{AREA.hex()}"
        assert "There was no record" not in (await browser.get(path)).text
        assert "there was no record of it yet" in (await browser.get(f"{path}?at=1999-01-01")).text
        now = (await browser.get(f"{path}?at=2400-01-01T00:00")).text
        assert "&#34;pin&#34;: &#34;other&#34;" in now.partition('id="state"')[2]
        bad = await browser.get(f"{path}?at=soon")
        assert (bad.status, 'aria-describedby="at-fault"' in bad.text) == (400, True)


@pytest.mark.parametrize("number", ["x", "0" * 32, "f" * 32, "f" * 33, "%2e%2e"])
async def test_a_resource_that_never_was_is_not_found(number: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        for path in ("", "/receipt"):
            assert (await browser.get(f"/console/audit/resources/{number}{path}")).status == 404


async def erased(server: Console, *, names: bool) -> None:
    await fill(server)
    target = {"kind": "area", "resource": AREA.hex(), "names": ["cart", "bob"], "subject": ""}
    await Rights(server.engine).erase(actor="user:ann", targets=[target], now=True, names=names)


async def test_erased_parts_are_marked_with_when_why_and_by_which_record() -> None:
    async with console() as server:
        await erased(server, names=True)
        browser = await server.signed_in()
        text = (await browser.get("/console/audit?interface=areas")).text
        assert text.count('class="line gone"') == len(lines(text)) == 3
        for one in lines(text):
            assert "name erased" in one
            assert re.search(r"names and actor erased .* erasure request \(record \d+\)", one)
            assert "actor erased" in one
            assert "maria" not in one
        found = (await browser.get(f"/console/audit/resources/{AREA.hex()}")).text
        assert "name erased" in found
        assert "bob" not in found


async def test_content_alone_that_was_erased_leaves_the_name() -> None:
    async with console() as server:
        await erased(server, names=False)
        shown = lines((await (await server.signed_in()).get("/console/audit?verb=put&interface=areas")).text)
        assert re.search(r"Area created bob/cart .*content erased .* erasure request", shown[0])


async def test_verification_runs_beside_and_shows_what_it_found() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in("Auditor")
        answer = await browser.send("/console/audit/verify", {}, "/console/audit")
        assert answer.location == "/console/audit#verify"
        text = await settled(server, browser)
        assert "All is there and unchanged" in text
        assert "started by otto" in text


async def test_verification_reads_bodies_and_compares_with_an_old_checkpoint() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in("Auditor")
        note = (await browser.get("/console/audit/checkpoint")).text.encode()
        token = (await browser.get("/console/audit")).csrf
        for content, status in ((note, 303), (b"no checkpoint", 400)):
            answer = await browser.ask(
                "POST",
                "/console/audit/verify",
                form={"csrf_token": token, "bodies": "yes"},
                files={"since": FileStorage(io.BytesIO(content), filename="old.checkpoint")},
            )
            assert answer.status == status, answer.text
            text = await settled(server, browser)
        assert "the bytes in them are as they were sent" in text
        assert re.search(r"the history signed by the checkpoint over \d+\srecords? is unchanged", text)


async def test_what_verification_finds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as server:
        finding = Finding(FindingKind.PART, "journal/1.log", 77, 3, f"a part is damaged {EVIL}")
        bad = Report((finding,), 4, 0, 1, 4, b"r" * 32)
        monkeypatch.setattr(
            audit_work, "verification", lambda *_, **__: Verification(bad, ("an event is odd",))
        )
        browser = await server.signed_in()
        await browser.send("/console/audit/verify", {}, "/console/audit")
        text = await settled(server, browser)
        assert "Something is wrong" in text
        assert "a part is damaged &#34;&gt;&lt;script&gt;" in text
        assert "offset 77, record 3" in text
        assert "an event is odd" in text


async def test_the_state_at_a_moment_is_counted_and_listed() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in("Auditor")
        sent = {"at": "2400-01-01T00:00", "resource": "mytenant/*"}
        await browser.send("/console/audit/state", sent, "/console/audit")
        text = (await settled(server, browser)).partition('id="state"')[2]
        assert "<dt>Containers</dt><dd>2</dd>" in text
        assert "mytenant/<wbr>recordings" in text
        assert "<dt>Areas</dt>" not in text
        for wrong in ({"at": "soon"}, {"at": ""}, {"at": "2026-01-01", "resource": "*\\"}):
            assert (await browser.send("/console/audit/state", wrong, "/console/audit")).status == 400


async def test_long_work_is_done_one_at_a_time_and_can_be_stopped() -> None:
    async with console() as server:
        bench = Bench(server.engine)
        begun = trio.Event()

        def endless(progress: Any) -> None:
            trio.from_thread.run_sync(begun.set)
            while True:
                progress(256)

        named: Any = {"by": "ann", "session": "s", "phases": ("Reading",)}
        work = bench.start("verify", endless, **named)
        await begun.wait()
        with pytest.raises(Conflict, match="ann started a task"):
            bench.start("state", endless, **named)
        assert work.words.startswith("Reading: record ")
        bench.stop()
        with trio.fail_after(5):
            while bench.now is not None:
                await trio.lowlevel.checkpoint()
        assert (work.done, work.stopped, work.result) == (True, True, None)

        def failing(_: Any) -> None:
            raise OSError("no disk")

        work = bench.start("verify", failing, **named)
        while bench.now is not None:
            await trio.lowlevel.checkpoint()
        assert "no disk" in work.failure


async def test_an_auditor_stops_only_their_own_work() -> None:
    async with console() as server:
        ann, otto = await server.signed_in(), await server.signed_in("Auditor")
        await ann.send("/console/audit/stop", {}, "/console/audit")
        assert "It had already ended." in (await ann.get("/console/audit")).text
        assert (await otto.get("/console/audit/work")).text == '{"id": null}'


async def test_checkpoint_key_and_receipt_are_files_and_a_receipt_is_checked_here() -> None:
    async with console() as server:
        await erased(server, names=False)
        browser = await server.signed_in("Auditor")
        note = await browser.get("/console/audit/checkpoint")
        assert note.headers["Content-Disposition"].endswith('.checkpoint"')
        key = (await browser.get("/console/audit/key")).text.strip()
        assert note.text.split("\n")[0] == key.split("+")[0]
        path = f"/console/audit/resources/{AREA.hex()}/receipt"
        for query, ending in (("", "html"), ("?format=json", "json")):
            made = await browser.get(path + query)
            assert (
                made.headers["Content-Disposition"] == f'attachment; filename="receipt-{AREA.hex()}.{ending}"'
            )
            answer = await checked(browser, made.text.encode())
            assert "The receipt holds" in answer.text
            assert "All content of these records was erased" in answer.text
        for bad in (
            b"",
            b"\xff",
            b"{}",
            b"[]",
            b"[" * 100_000,
            made.text.replace('"seq": 3', '"seq": 4').encode(),
        ):
            answer = await checked(browser, bad, "<script>alert(1)</script>")
            assert answer.status == 200
            assert "The receipt is not valid" in answer.text
            assert "<script>alert" not in answer.text


async def checked(browser: Browser, data: bytes, name: str = "receipt.html") -> Any:
    token = (await browser.get("/console/audit")).csrf
    return await browser.ask(
        "POST",
        "/console/audit/check-receipt",
        form={"csrf_token": token},
        files={"receipt": FileStorage(io.BytesIO(data), filename=name)},
    )


async def test_other_roles_see_nothing_of_it() -> None:
    async with console() as server:
        await fill(server)
        browser = await server.signed_in("User")
        for path in ("", "/csv", "/work", "/key", "/checkpoint", f"/resources/{AREA.hex()}"):
            answer = await browser.get(f"/console/audit{path}")
            assert answer.status == 403
            assert "maria" not in answer.text
