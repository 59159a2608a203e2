"""The pages of containers and blobs without a browser: lists, searches, actions, and what is refused."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import trio

from retain import journal
from retain.api.console.containers import shown
from retain.engine import NotFound, wire
from retain.engine.blobs.commands import PutBlob, StageBlock
from retain.engine.blobs.container_commands import CreateContainer, SetServiceProperties
from retain.engine.blobs.entries import ContentHeaders
from retain.engine.blobs.queries import get_blob
from retain.engine.core.body import Inline
from retain.engine.holds import HoldKind, SetHold
from retain.engine.testing import ManualClock
from tests.kit.console import Answer, Browser, Console, console

CONTAINERS, HOME = "/console/containers", "/console"
AT = "/console/containers/mytenant/recordings"
EVIL = "<script>alert(1)</script>\"'&{{7*7}}"


async def put(
    server: Console, name: str, data: bytes = b"RIFF", tags: dict[str, str] | None = None, **more: Any
) -> None:
    """Put a blob as a client would."""
    body = Inline(data, b"\0" * 16)
    facts = {"headers": ContentHeaders(content_type="audio/wav"), "md5": body.md5, **more}
    await server.engine.submit(
        PutBlob(
            actor="client",
            account="mytenant",
            container="recordings",
            name=name,
            resource=server.engine.entropy(16),
            body=body,
            tags=tuple((tags or {}).items()),
            **facts,
        )
    )


async def tags_of(server: Console, name: str) -> dict[str, str]:
    entry = await server.engine.read(
        lambda state, now: get_blob(state.blobs, "mytenant", "recordings", name, now)
    )
    return dict(entry.tags)


def at(part: str = "", **query: str) -> str:
    return f"{AT}{part}?{urlencode(query, quote_via=quote)}" if query else f"{AT}{part}"


def labels(answer: Answer) -> list[str]:
    """What the list shows, in order."""
    rows = re.findall(r'<tr[^>]*><th scope="row">.*?<a href="[^"]*">(.*?)</a>', answer.text)
    return [re.sub(r"<[^>]+>", "", row) for row in rows]


async def test_a_container_is_shown_by_folders() -> None:
    async with console() as server:
        for name in ("8888/a.wav", "8888/b/c.wav", "top.txt"):
            await put(server, name)
        browser = await server.signed_in()
        assert labels(await browser.get(AT)) == ["8888/", "top.txt"]
        assert labels(await browser.get(at(prefix="8888/"))) == ["a.wav", "b/"]
        assert labels(await browser.get(at(prefix="8888/b"))) == ["b/"]
        assert "No blob begins with this" in (await browser.get(at(prefix="9"))).text


async def test_what_is_kept_for_thirty_days_says_so() -> None:
    clock = ManualClock()
    async with console(clock=clock) as server:
        await put(server, "a.wav")
        clock.advance(12 * 3600 - 60)
        for path in (AT, at("/blob", name="a.wav")):
            assert "ends in 30\u00a0days" in (await (await server.signed_in()).get(path)).text
        clock.advance(120)
        for path in (AT, at("/blob", name="a.wav")):
            assert "ends in 29\u00a0days" in (await (await server.signed_in()).get(path)).text


async def test_the_list_shows_the_type_of_each_blob() -> None:
    async with console() as server:
        await put(server, "call.wav")
        await put(server, "odd.bin", headers=ContentHeaders(content_type="x/<b>\u202e"))
        await put(server, "plain.bin", headers=ContentHeaders())
        text = (await (await server.signed_in()).get(AT)).text
        assert text.count("<bdi>audio/<wbr>wav</bdi>") == 1
        assert "x/<wbr>&lt;b&gt;" in text
        assert "\u202e" not in text


async def test_pages_follow_one_another_without_gap_or_repetition() -> None:
    async with console() as server:
        wanted = [f"{number:03}.wav" for number in range(120)]
        for name in wanted:
            await put(server, name, tags={"Queue": "claims"})
        browser = await server.signed_in()
        for start in (at(), at(where="Queue = 'claims'")):
            found: list[str] = []
            path: str | None = start
            while path is not None:
                answer = await browser.get(path)
                found += labels(answer)
                following = re.search(r'rel="next" href="([^"]*)"', answer.text)
                path = following[1].replace("&amp;", "&") if following else None
                back = re.search(r'rel="prev" href="([^"]*)"', answer.text)
                if back is not None:
                    before = await browser.get(back[1].replace("&amp;", "&"))
                    assert labels(before) == found[-len(labels(answer)) - 50 : -len(labels(answer))]
            assert found == wanted


async def create_many(server: Console, names: list[str]) -> None:
    async with trio.open_nursery() as nursery:
        for name in names:
            command = CreateContainer(
                actor="a", account="mytenant", container=name, resource=server.engine.entropy(16)
            )
            nursery.start_soon(server.engine.submit, command)


async def test_containers_have_pages_there_and_on_the_overview() -> None:
    async with console() as server:
        made = [f"team-{number:03}" for number in range(120)]
        await create_many(server, made)
        wanted = sorted([*made, "gim-export", "recordings"])
        for role, start in (("Administrator", CONTAINERS), ("Administrator", HOME), ("Auditor", HOME)):
            browser = await server.signed_in(role)
            found: list[str] = []
            path: str | None = start
            while path is not None:
                answer = await browser.get(path)
                shown = names_of(answer)
                assert len(shown) <= 50
                back = re.search(r'rel="prev" href="([^"]*)"', answer.text)
                assert (back is None) is (not found)
                if back is not None:
                    assert names_of(await browser.get(back[1].replace("&amp;", "&"))) == found[-50:]
                found += shown
                following = re.search(r'rel="next" href="([^"]*)"', answer.text)
                path = following[1].replace("&amp;", "&") if following else None
            assert found == wanted, (role, start)
            if start == HOME:
                assert "122\u00a0containers" in answer.text


async def test_a_tenant_whose_client_turned_on_soft_delete_is_told_that_it_is_not_done() -> None:
    async with console() as server:
        await server.administration.add_tenant(actor="cli", name="other")
        browser = await server.signed_in()
        for enabled, shown in (("true", 1), ("false", 0)):
            policy = {"DeleteRetentionPolicy": {"Enabled": enabled, "Days": "7"}}
            resource = server.engine.entropy(16)
            await server.engine.submit(
                SetServiceProperties(
                    actor="client", account="mytenant", document={"settings": policy}, resource=resource
                )
            )
            answer = await browser.get(CONTAINERS)
            assert answer.text.count("turned on soft delete") == shown
        assert 'id="other"' in answer.text


async def test_containers_are_found_by_the_beginning_of_their_names() -> None:
    async with console() as server:
        await create_many(server, [f"team-{number:03}" for number in range(120)])
        browser = await server.signed_in()
        assert "50 of 122\u00a0containers" in (await browser.get(CONTAINERS)).text
        assert names_of(await browser.get(f"{CONTAINERS}?prefix=team-11")) == [
            f"team-{number}" for number in range(110, 120)
        ]
        assert "No container begins with this" in (await browser.get(f"{CONTAINERS}?prefix=zzz")).text
        assert "No container comes after this place" in (await browser.get(f"{CONTAINERS}?from=zzz")).text
        crumbs = await browser.get(AT)
        assert "/console/containers?from=mytenant#mytenant" in crumbs.text
        assert 'id="mytenant"' in (await browser.get(f"{CONTAINERS}?from=mytenant")).text


def names_of(answer: Answer) -> list[str]:
    """The containers that a page lists, in order."""
    rows = re.findall(r'<tr><th scope="row" class="name">.*?(?:<a [^>]*>|<bdi>)(.*?)</', answer.text)
    found = [re.sub(r"<[^>]+>", "", row) for row in rows]
    return [name.removeprefix("mytenant/") for name in found]


async def test_a_tenant_is_added_with_its_containers_as_on_the_command_line() -> None:
    async with console() as server:
        browser = await server.signed_in()
        for name, words in (
            ("", "Type a name."),
            ("No good", "3 to 24 lower-case letters and digits"),
            (EVIL, "3 to 24 lower-case letters and digits"),
            ("mytenant", "A tenant of this name already exists"),
        ):
            refused = await browser.send("/console/tenants", {"name": name}, "/console/containers")
            assert (refused.status in (400, 409), words in refused.text) == (True, True), name
            assert "<script>alert" not in refused.text
        done = await browser.send("/console/tenants", {"name": "second"}, "/console/containers")
        assert (done.status, done.location) == (303, "/console/containers?from=second#second")
        text = (await browser.get("/console/containers")).text
        assert "/console/containers/second/recordings" in text
        assert "Container created" in (await browser.get("/console/audit?actor=user:ann")).text


async def test_the_page_before_passes_over_folders_as_wholes() -> None:
    async with console() as server:
        for folder in range(60):
            for number in range(3):
                await put(server, f"{folder:02}/{number}.wav")
        browser = await server.signed_in()
        first = await browser.get(at())
        following = re.search(r'rel="next" href="([^"]*)"', first.text)
        assert following is not None
        second = await browser.get(following[1])
        assert len(labels(second)) == 10
        back = re.search(r'rel="prev" href="([^"]*)"', second.text)
        assert back is not None
        assert labels(await browser.get(back[1])) == labels(first)
        assert 'rel="prev"' not in first.text


async def test_a_search_finds_by_tags_and_by_the_beginning_of_names() -> None:
    async with console() as server:
        await put(server, "a/1.wav", tags={"RecordingType": "CALL", "StoredTime": "2026-11-02T10:00:00Z"})
        await put(server, "b/2.wav", tags={"RecordingType": "CALL", "StoredTime": "2026-11-03T10:00:00Z"})
        await put(server, "b/3.wav", tags={"RecordingType": "SCREEN"})
        browser = await server.signed_in()
        where = "RecordingType = 'CALL'"
        assert labels(await browser.get(at(where=where))) == ["a/1.wav", "b/2.wav"]
        assert labels(await browser.get(at(where=where, prefix="b/"))) == ["b/2.wav"]
        built = await browser.get(at(kind="CALL", stored_from="2026-11-03", stored_to="", prefix=""))
        assert built.status == 303
        assert built.location is not None
        assert labels(await browser.get(built.location)) == ["b/2.wav"]


@pytest.mark.parametrize(
    ("where", "wrong", "words", "repair"),
    [
        (
            "A = 'x' AND StoredTime >= 2026-11-01 AND Q = 'y'",
            "2026-11-01",
            "At character 27: put the value in single quotes.",
            "A = 'x' AND StoredTime >= '2026-11-01' AND Q = 'y'",
        ),
        ("A = CALL", "CALL", "At character 5: put the value in single quotes.", "A = 'CALL'"),
        ("A = 'x' OR B = 'y'", "OR", "At character 9: unexpected &#39;OR&#39;.", None),
        ("A = 'x' AND", "", "The expression as a whole: it is incomplete.", None),
        ("<b>", "&lt;b&gt;", "At character 1: unexpected &#39;&lt;&#39;.", None),
    ],
)
async def test_a_fault_in_an_expression_is_marked_at_its_place(
    where: str, wrong: str, words: str, repair: str | None
) -> None:
    async with console() as server:
        browser = await server.signed_in()
        answer = await browser.get(at(where=where))
        assert answer.status == 400
        assert (f'<mark class="fault">{wrong}</mark>' in answer.text) is bool(wrong)
        assert words in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert (repair is None) is ("Put the quotes there" not in answer.text)
        if repair is not None:
            assert quote(repair, safe="") in answer.text


@pytest.mark.parametrize(
    "path", ["/console/containers/nobody/recordings", "/console/containers/mytenant/no-such"]
)
async def test_what_is_not_there_is_404(path: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        for part in ("", "/blob?name=x", "/blob/content?name=x", "/blob/delete?name=x"):
            assert (await browser.get(f"{path}{part}")).status == 404, part


@pytest.mark.parametrize("name", [EVIL, "../../etc/passwd", "a//b", "/", "..", "ü/ø.wav", "a?b#c%2f", " "])
async def test_any_name_has_its_page_and_its_bytes_and_runs_nothing(name: str) -> None:
    async with console() as server:
        evil = ContentHeaders(content_type="text/html")
        await put(server, name, EVIL.encode(), {"Queue": "a b"}, headers=evil, metadata=(("note", EVIL),))
        browser = await server.signed_in()
        for page in (at(), at(where="Queue = 'a b'"), at("/blob", name=name), at("/blob/delete", name=name)):
            answer = await browser.get(page)
            assert answer.status == 200
            assert "<script>alert" not in answer.text
        answer = await browser.get(at("/blob/content", name=name))
        assert (answer.status, answer.text) == (200, EVIL)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "script" not in answer.headers["Content-Security-Policy"]


async def test_a_picture_that_is_a_document_is_sandboxed_too() -> None:
    async with console() as server:
        svg = ContentHeaders(content_type="image/svg+xml; charset=utf-8")
        await put(server, "x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", headers=svg)
        browser = await server.signed_in()
        answer = await browser.get(at("/blob/content", name="x.svg"))
        assert answer.headers["Content-Type"] == "image/svg+xml"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        saved = await browser.get(at("/blob/content", name="x.svg", download="1"))
        assert saved.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        (None, 200, "0123456789", None),
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("lines=1-2", 200, "0123456789", None),
    ],
)
async def test_bytes_come_by_ranges(
    asked: str | None, status: int, body: str, content_range: str | None
) -> None:
    async with console() as server:
        await put(server, "x.wav", b"0123456789")
        browser = await server.signed_in()
        headers = {} if asked is None else {"Range": asked}
        answer = await browser.ask("GET", at("/blob/content", name="x.wav"), headers)
        assert (answer.status, answer.text) == (status, body)
        assert answer.headers.get("Content-Range") == content_range
        assert answer.headers["Cache-Control"] == "no-store"
        if status != 416:
            assert answer.headers["Content-Length"] == str(len(body))


async def test_tags_are_edited_and_a_change_meanwhile_is_not_lost() -> None:
    async with console() as server:
        await put(server, "x.wav", tags={"Queue": "claims"})
        browser = await server.signed_in()
        page = at("/blob", name="x.wav")
        sent = {"name": "x.wav", "before": "Queue=claims", "tags": "Queue=sales\r\n\r\nAgent = 7\r\n"}
        answer = await browser.send(at("/blob/tags"), sent, page)
        assert (answer.status, await tags_of(server, "x.wav")) == (303, {"Queue": "sales", "Agent": "7"})
        again = await browser.send(at("/blob/tags"), {**sent, "tags": "Queue=mine"}, page)
        assert again.status == 412
        assert "Somebody changed the tags meanwhile" in again.text
        assert "Queue=mine" in again.text
        assert await tags_of(server, "x.wav") == {"Queue": "sales", "Agent": "7"}


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ("Queue", "Line 1 has no equals sign"),
        ("=x", "A tag has no name"),
        ("A=1\nA=2", "A name occurs twice"),
        ("\n".join(f"k{number}=v" for number in range(11)), "at most 10 tags"),
        ("A=<b>", "A tag may hold letters"),
    ],
)
async def test_bad_tags_are_refused_beside_the_field(tags: str, words: str) -> None:
    async with console() as server:
        await put(server, "x.wav", tags={"Queue": "claims"})
        browser = await server.signed_in()
        sent = {"name": "x.wav", "before": "Queue=claims", "tags": tags}
        answer = await browser.send(at("/blob/tags"), sent, at("/blob", name="x.wav"))
        assert (answer.status, words in answer.text) == (400, True)
        assert "<b>" not in answer.text.replace("<b>ann</b>", "")
        assert await tags_of(server, "x.wav") == {"Queue": "claims"}


async def test_a_blob_is_previewed_beside_the_list() -> None:
    async with console() as server:
        for name in ("8888/a.wav", "8888/b.txt", "8888/c.bin"):
            await put(server, name, b"<b>said</b>", {"Queue": EVIL}, headers=ContentHeaders())
        browser = await server.signed_in()
        plain = await browser.get(at(prefix="8888/"))
        assert "<aside" not in plain.text
        links = re.findall(r'class="only-wide" href="([^"]+)"', plain.text)
        assert len(links) == 3
        seen = {}
        for link in links:
            address, _, row = html.unescape(link).partition("#")
            answer = await browser.get(address)
            text = answer.text
            assert labels(answer) == ["a.wav", "b.txt", "c.bin"]
            assert text.count('class="here" aria-current="true"') == 1
            assert f'id="{row}" class="here"' in text
            assert EVIL not in text
            pane = text.partition("<aside")[2].partition("</aside>")[0]
            seen[re.findall(r"<bdi>(.*?)</bdi>", pane)[0]] = pane
        assert 'preload="none" src="/console/containers/mytenant/recordings/blob/content?' in seen["a.wav"]
        assert "&lt;b&gt;said&lt;/b&gt;</pre>" in seen["b.txt"]
        assert "No preview" in seen["c.bin"]


async def test_what_is_no_more_is_not_previewed_and_the_list_stays() -> None:
    async with console() as server:
        await put(server, "a.wav")
        browser = await server.signed_in()
        for selected in (EVIL, "a.wav/", "b" * 1024):
            answer = await browser.get(at(selected=selected))
            assert (answer.status, labels(answer)) == (200, ["a.wav"])
            assert "It is not there any more" in answer.text
            assert EVIL not in answer.text


async def test_what_is_erased_while_it_is_opened_is_not_previewed_and_the_list_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def erased(*_: object) -> None:
        raise NotFound("the content was erased")

    async with console() as server:
        await put(server, "a.txt", headers=ContentHeaders())
        browser = await server.signed_in()
        assert "<pre" in (await browser.get(at(selected="a.txt"))).text
        monkeypatch.setattr(shown, "open_blob", erased)
        answer = await browser.get(at(selected="a.txt"))
        assert (answer.status, labels(answer)) == (200, ["a.txt"])
        assert "It is not there any more" in answer.text


async def test_a_search_keeps_its_results_beside_a_preview() -> None:
    async with console() as server:
        await put(server, "a.wav", tags={"Queue": "claims"})
        await put(server, "b.wav")
        browser = await server.signed_in()
        answer = await browser.get(at(where="Queue = 'claims'"))
        (link,) = re.findall(r'class="only-wide" href="([^"]+)"', answer.text)
        chosen = await browser.get(html.unescape(link).partition("#")[0])
        assert labels(chosen) == ["a.wav"]
        assert "<aside" in chosen.text


async def test_the_list_shows_why_a_blob_is_held() -> None:
    async with console() as server:
        for name in ("a.wav", "b.wav", "f/c.wav"):
            await put(server, name)
        held = ("mytenant", "recordings", "b.wav")
        for number, reason in enumerate(("case <b>7</b>", "case 8")):
            await server.engine.submit(
                SetHold(
                    actor="a", hold_id=bytes([number]) * 16, kind=HoldKind.BLOB, names=held, reason=reason
                )
            )
        text = (await (await server.signed_in()).get(AT)).text
        assert text.count("held</span>") == 1
        assert "1 under a hold." in text
        row = text.partition("b.wav")[2].partition("</tr>")[0]
        assert "“<bdi>case &lt;b&gt;7&lt;/<wbr>b&gt;</bdi>” and 1\u00a0more hold<" in row


async def test_a_hold_needs_a_reason_keeps_the_blob_and_is_lifted() -> None:
    async with console() as server:
        await put(server, "x.wav")
        browser = await server.signed_in()
        page = at("/blob", name="x.wav")
        empty = await browser.send(at("/blob/hold"), {"name": "x.wav", "reason": " "}, page)
        assert (empty.status, "Give the reason" in empty.text) == (400, True)
        await browser.send(at("/blob/hold"), {"name": "x.wav", "reason": EVIL}, page)
        shown = await browser.get(page)
        assert "held since" in shown.text
        assert "<script>alert" not in shown.text
        assert "disabled" in shown.text[shown.text.index('id="why-not"') :]
        holds = await server.administration.actions()["hold list"](actor="cli")
        assert [(hold["reason"], hold["actor"]) for hold in holds] == [(EVIL, "user:ann")]
        entry = re.search(
            r'name="etag" value="([^"]+)"', (await browser.get(at("/blob/delete", name="x.wav"))).text
        )
        assert entry is not None
        refused = await browser.send(at("/blob/delete"), {"name": "x.wav", "etag": entry[1]}, page)
        assert (refused.status, "Nothing was changed" in refused.text) == (409, True)
        hold = holds[0]["hold"]
        assert (await browser.send(at("/blob/lift"), {"name": "x.wav", "hold": "00"}, page)).status == 404
        assert (await browser.send(at("/blob/lift"), {"name": "x.wav", "hold": hold}, page)).status == 303
        assert await server.administration.actions()["hold list"](actor="cli") == []


def etag_in(answer: Answer) -> str:
    """What the delete page sends along."""
    found = re.search(r'name="etag" value="([^"]+)"', answer.text)
    assert found is not None
    return found[1]


async def test_only_the_version_that_the_page_showed_is_deleted() -> None:
    async with console() as server:
        await put(server, "a/x.wav")
        browser = await server.signed_in()
        asked = at("/blob/delete", name="a/x.wav")
        etag = etag_in(await browser.get(asked))
        await put(server, "a/x.wav", b"new")
        stale = await browser.send(at("/blob/delete"), {"name": "a/x.wav", "etag": etag}, asked)
        assert (stale.status, "was overwritten" in stale.text) == (412, True)
        garbage = await browser.send(at("/blob/delete"), {"name": "a/x.wav", "etag": "?"}, asked)
        assert garbage.status == 412
        etag = etag_in(await browser.get(asked))
        done = await browser.send(at("/blob/delete"), {"name": "a/x.wav", "etag": etag}, asked)
        assert (done.status, done.location) == (303, at(prefix="a/"))
        assert (await browser.get(at("/blob", name="a/x.wav"))).status == 404


async def headers_of(browser: Browser) -> dict[str, str]:
    token = re.search(r'<meta name="csrf" content="([^"]+)"', (await browser.get(AT)).text)
    assert token is not None
    return {"X-CSRF-Token": token[1]}


async def test_a_small_file_is_kept_whole_and_replaces_only_on_request() -> None:
    async with console() as server:
        browser = await server.signed_in()
        headers = await headers_of(browser)
        path = at("/upload", name="a/note.txt", type="text/plain")
        assert (await browser.ask("PUT", path, headers, data=b"hello")).status == 200
        again = await browser.ask("PUT", path, headers, data=b"other")
        assert (again.status, '"blob-exists"' in again.text) == (409, True)
        replaced = await browser.ask("PUT", f"{path}&replace=1", headers, data=b"other")
        assert replaced.status == 200
        assert (await browser.get(at("/blob/content", name="a/note.txt"))).text == "other"
        assert (await browser.ask("PUT", path, data=b"hello")).status == 400, "without the token"


async def test_a_large_file_goes_in_blocks_and_goes_on_where_it_was() -> None:
    async with console() as server:
        browser = await server.signed_in()
        headers = await headers_of(browser)
        size = (1 << 20) + 5
        query = {"name": "big.bin", "size": str(size), "modified": "17"}
        first = b"a" * (1 << 20)
        stage = at("/blocks", block="0", **query)
        assert (await browser.ask("PUT", stage, headers, data=first)).status == 200
        too_soon = await browser.ask("POST", at("/blocks", **query), headers)
        assert (too_soon.status, '"block-list"' in too_soon.text) == (400, True)
        assert '"blocks": [0]' in (await browser.get(at("/blocks", **query))).text
        other = await browser.get(at("/blocks", **{**query, "modified": "18"}))
        assert '"blocks": []' in other.text, "of another file"
        assert (
            await browser.ask("PUT", at("/blocks", block="1", **query), headers, data=b"bbbbb")
        ).status == 200
        assert (await browser.ask("POST", at("/blocks", **query), headers)).status == 200
        assert (await browser.get(at("/blob/content", name="big.bin"))).text == "a" * (1 << 20) + "bbbbb"


async def test_blocks_of_other_clients_are_none_of_ours() -> None:
    async with console() as server:
        browser = await server.signed_in()
        start = f"console-{5:015}-{6:015}-"
        await server.engine.submit(
            StageBlock(
                actor="client",
                account="mytenant",
                container="recordings",
                name="x",
                resource=server.engine.entropy(16),
                block_id=f"{start}{'z' * 15}".encode(),
                body=Inline(b"x", b"\0" * 16),
            )
        )
        answer = await browser.get(at("/blocks", name="x", size="5", modified="6"))
        assert (answer.status, '"blocks": []' in answer.text) == (200, True)


@pytest.mark.parametrize(
    "query",
    [
        {"name": "", "size": "5", "modified": "1"},
        {"name": "x\x01", "size": "5", "modified": "1"},
        {"name": "x", "size": "-5", "modified": "1"},
        {"name": "x", "size": "5", "modified": "9" * 16},
        {"name": "x", "size": "9" * 15, "modified": "1"},
        {"name": "x", "size": "0", "modified": "1"},
    ],
)
async def test_uploads_that_cannot_be_are_refused_in_json(query: dict[str, str]) -> None:
    async with console() as server:
        browser = await server.signed_in()
        headers = await headers_of(browser)
        answer = await browser.ask("POST", at("/blocks", **query), headers)
        assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
        assert '"error": "' in answer.text


async def test_a_block_larger_than_the_server_takes_is_refused() -> None:
    async with console() as server:
        browser = await server.signed_in()
        headers = await headers_of(browser)
        path = at("/blocks", name="x", size="5", modified="1", block="0")
        assert (await browser.ask("PUT", path, headers, data=b"x" * ((1 << 20) + 1))).status == 413


async def test_containers_are_listed_and_created() -> None:
    async with console() as server:
        browser = await server.signed_in()
        page = "/console/containers"
        assert "recordings" in (await browser.get(page)).text
        done = await browser.send(page, {"tenant": "mytenant", "container": "voicemail"})
        assert (done.status, done.location) == (303, "/console/containers/mytenant/voicemail")
        assert "Created the container voicemail" in (await browser.get(done.location or "")).text
        taken = await browser.send(page, {"tenant": "mytenant", "container": "voicemail"})
        assert (taken.status, "has a container of this name already" in taken.text) == (409, True)
        for name in ("", "A", "a--b", EVIL, "x" * 64):
            answer = await browser.send(page, {"tenant": "mytenant", "container": name})
            assert (answer.status, "<script>alert" in answer.text) == (400, False), name
        assert (await browser.send(page, {"tenant": "nobody", "container": "abc"})).status == 404


async def test_actions_stand_in_the_audit_log_as_the_user() -> None:
    async with console() as server:
        browser = await server.signed_in()
        await browser.send("/console/containers", {"tenant": "mytenant", "container": "voicemail"})
        headers = await headers_of(browser)
        await browser.ask("PUT", at("/upload", name="x"), headers, data=b"x")
        actors = {
            type(event).__name__: event.actor
            for record in journal.scan(server.engine.disk)
            if (event := wire.readable(record)) is not None and event.actor.startswith("user:")
        }
        assert actors["BlobPut" if "BlobPut" in actors else "BlobWritten"] == "user:ann"
        assert actors["ContainerCreated"] == "user:ann"
