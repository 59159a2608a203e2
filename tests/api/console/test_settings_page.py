"""The settings page: who sees what, the merged view, saving, conflicts, history and restoring."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.console.settings.merged import LINES_MAX, Layer, lines
from retain.api.html.filters import NBSP
from retain.engine.settings import Level, Place
from retain.engine.settings.merge import resolve
from tests.kit.console import Browser, Console, console
from tests.kit.holds import steps_counted

PAGE = "/console/settings"
EVIL = "<script>alert(1)</script>"


async def make(
    server: Console, value: dict[str, Any], level: Level, user: str = "", device: str = ""
) -> None:
    """State a document as an import does."""
    place = Place("desk", level, device, user)
    entry = {"level": ("global", "user", "device")[level], "value": value}
    if user:
        entry["user"] = user
    if device:
        entry["device"] = device
    await server.administration.actions()["settings import"](
        actor="cli", application=place.application, documents=[entry], ended=[]
    )


async def value_of(server: Console, level: Level, user: str = "", device: str = "") -> Any:
    place = Place("desk", level, device, user)
    document = await server.engine.read(lambda state, _: state.settings.documents.get(place))
    return None if document is None else document.value


async def tag_on(browser: Browser, path: str) -> str:
    found = re.search(r'name="tag" value="([^"]+)"', (await browser.get(path)).text)
    assert found is not None
    return found[1]


def form(level: str, text: str, tag: str, **more: str) -> dict[str, str]:
    return {"application": "desk", "level": level, "text": text, "tag": tag, **more}


async def test_levels_are_merged_and_each_value_says_where_it_comes_from() -> None:
    async with console() as server:
        await make(server, {"ui": {"theme": "light", "size": 10}}, Level.GLOBAL)
        await make(server, {"ui": {"theme": "dark"}}, Level.USER, "maria")
        await make(server, {"ui": {"size": 16}}, Level.DEVICE, "maria", "wall-7")
        browser = await server.signed_in()
        text = (await browser.get(f"{PAGE}?application=desk&user=maria&device=wall-7")).text
        assert "What maria sees on wall-7" in re.sub(r"<[^>]+>", "", text)
        merged = re.sub(r"<[^>]+>", "", text[text.index('class="merged"') : text.index("</ol>")])
        assert "User&#34;theme&#34;: &#34;dark&#34;,over &#34;light&#34; of the application" in merged
        assert "Device&#34;size&#34;: 16over 10 of the application" in merged


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(st.lists(DOCUMENTS, min_size=1, max_size=3))
def test_the_lines_are_what_the_interface_answers(documents: list[dict[str, Any]]) -> None:
    layers: list[Layer] = list(zip(("app", "user", "device"), documents, strict=False))
    text = "\n".join(line.code for line in lines(layers))
    assert json.loads(text) == resolve(documents, ())


async def test_a_level_is_made_saved_and_stands_in_the_history_as_the_user() -> None:
    async with console() as server:
        browser = await server.signed_in()
        page = f"{PAGE}?application=desk"
        for number in (1, 2):
            tag = await tag_on(browser, f"{page}&edit=application")
            text = json.dumps({"ui": {"size": number}})
            done = await browser.send(f"{PAGE}/save", form("application", text, tag), page)
            assert done.status == 303
            assert await value_of(server, Level.GLOBAL) == {"ui": {"size": number}}
        history = (await browser.get(page)).text
        assert "<b>Revision 2</b>" in history
        assert "+ " in history
        assert "Restore this version" in history
        restored = {"application": "desk", "level": "application", "revision": "1"}
        tag = await tag_on(browser, page)
        done = await browser.send(f"{PAGE}/restore", {**restored, "tag": tag}, page)
        assert done.status == 303
        assert await value_of(server, Level.GLOBAL) == {"ui": {"size": 1}}
        stale = await browser.send(f"{PAGE}/restore", {**restored, "tag": tag}, page)
        assert stale.status == 412
        for revision in ("99", "", "x", "-1", "9" * 30):
            missing = await browser.send(f"{PAGE}/restore", {**restored, "revision": revision}, page)
            assert missing.status == 404, revision


async def test_a_history_that_is_not_shown_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as server:
        browser = await server.signed_in()
        await make(server, {"c": {"a": 1}}, Level.GLOBAL)
        page = f"{PAGE}?application=desk"
        assert "The history is not shown" not in (await browser.get(page)).text
        tag = await tag_on(browser, f"{page}&edit=application")
        await make(server, {"c": {"a": 2}}, Level.GLOBAL)
        monkeypatch.setattr("retain.api.settings.history.HISTORY_WAITING_MAX", 0)
        text = (await browser.get(page)).text
        assert "Too many requests are reading history. Wait" in text
        assert 'history=application#history">Show the history</a>' in text
        sent = form("application", '{"c": {"a": 3}}', tag)
        refused = await browser.send(f"{PAGE}/save", sent, f"{page}&edit=application")
        assert refused.status == 412
        assert "somebody changed this level meanwhile" in refused.text
        again = await browser.send(f"{PAGE}/restore", form("application", "", tag, revision="1"), page)
        assert again.status == 429
        assert "Nothing was changed. Wait a few seconds" in again.text


async def test_text_from_right_to_left_stays_between_its_quotes() -> None:
    async with console() as server:
        browser = await server.signed_in()
        await make(server, {"العربية": "مرحبا\u202e <b>", "plain": "é"}, Level.GLOBAL)
        await make(server, {"العربية": "سلام"}, Level.USER, "maria")
        text = (await browser.get(f"{PAGE}?application=desk&user=maria&history=application")).text
        assert "\u202e" not in text
        shown = re.search(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)
        assert shown is not None
        assert "&#34;<bdi>العربية</bdi>&#34;: &#34;<bdi>مرحبا\\u202e &lt;b&gt;</bdi>&#34;" in shown[1]
        assert "&#34;plain&#34;: &#34;é&#34;" in shown[1]
        copied = json.loads(html.unescape(re.sub(r"</?bdi>", "", shown[1])))
        assert copied == {"العربية": "مرحبا\u202e <b>", "plain": "é"}
        assert '<code class="i1">&#34;<bdi>العربية</bdi>&#34;: &#34;<bdi>سلام</bdi>&#34;' in text
        assert "over &#34;<bdi>مرحبا" in text
        assert "<ins>+   &#34;<bdi>العربية</bdi>&#34;" in text


async def test_applications_have_pages() -> None:
    async with console() as server:
        browser = await server.signed_in()
        wanted = [f"app {number:03}" for number in range(120)]
        for name in wanted:
            await server.administration.actions()["settings import"](
                actor="cli", application=name, documents=[{"level": "global", "value": {}}], ended=[]
            )
        found: list[str] = []
        path: str | None = PAGE
        while path is not None:
            text = (await browser.get(path)).text
            shown = re.findall(r'class="name"><a [^>]*><bdi>(.*?)</bdi>', text)
            assert len(shown) <= 50
            found += shown
            following = re.search(r'rel="next" href="([^"]*)"', text)
            path = following[1] if following else None
        assert found == wanted
        assert "No application comes after this place" in (await browser.get(f"{PAGE}?from=z")).text
        overview = (await browser.get("/console")).text
        assert "120\u00a0applications with settings, the first 50 shown" in overview
        assert overview.count("settings/<wbr>app") == 50


async def test_a_long_history_has_pages() -> None:
    async with console() as server:
        for number in range(45):
            await make(server, {"ui": {"size": number}}, Level.GLOBAL)
        browser = await server.signed_in()
        path, seen, pages = f"{PAGE}?application=desk", [], 0
        while path:
            text = (await browser.get(path)).text
            assert "of 45&nbsp;revisions" in text.replace(NBSP, "&nbsp;")
            assert text.count("in force") == (not pages), "only the newest is"
            seen += re.findall(r"<b>Revision (\d+)</b>", text)
            older = re.search(r'href="([^"]*)#history">Older', text)
            path, pages = html.unescape(older[1]) if older else "", pages + 1
        assert [int(one) for one in seen] == list(range(1, 46))[::-1]
        assert pages == 3
        for bad in ("x", "-1", "0", "9" * 30):
            text = (await browser.get(f"{PAGE}?application=desk&before={bad}")).text
            assert "<b>Revision 45</b>" in text


async def test_a_save_over_somebody_elses_shows_what_came_between_and_loses_nothing() -> None:
    async with console() as server:
        await make(server, {"ui": {"size": 12}}, Level.GLOBAL)
        browser = await server.signed_in()
        page = f"{PAGE}?application=desk"
        tag = await tag_on(browser, f"{page}&edit=application")
        await make(server, {"ui": {"size": 16}}, Level.GLOBAL)
        mine = '{"ui": {"size": 14}}'
        answer = await browser.send(f"{PAGE}/save", form("application", mine, tag), page)
        assert answer.status == 412
        assert "cli saved revision 2" in answer.text
        assert "<del>−     &#34;size&#34;: 12</del>" in answer.text
        assert "<ins>+     &#34;size&#34;: 16</ins>" in answer.text
        assert mine.replace('"', "&#34;") in answer.text
        assert await value_of(server, Level.GLOBAL) == {"ui": {"size": 16}}
        found = re.search(r'name="tag" value="([^"]+)"', answer.text)
        assert found is not None
        over = await browser.send(f"{PAGE}/save", form("application", mine, found[1]), page)
        assert (over.status, await value_of(server, Level.GLOBAL)) == (303, {"ui": {"size": 14}})


async def test_two_who_make_the_same_level_do_not_overwrite_one_another() -> None:
    async with console() as server:
        browser = await server.signed_in()
        page = f"{PAGE}?application=desk"
        tag = await tag_on(browser, f"{page}&edit=application")
        await make(server, {"theirs": {}}, Level.GLOBAL)
        answer = await browser.send(f"{PAGE}/save", form("application", '{"mine": {}}', tag), page)
        assert (answer.status, await value_of(server, Level.GLOBAL)) == (412, {"theirs": {}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  "a": {"b": 1\n    "c": 2}\n}', "Line 3, column 5: a comma is missing before this."),
        ("", "Line 1, column 1: a value is missing here."),
        ("[1]", "Nothing was saved."),
        ('{"a": {"b": 1, "b": 2}}', "A name occurs twice in one object. Nothing was saved."),
        ('{"a": {"b": NaN}}', "NaN is not JSON"),
        ("[" * 300 + "]" * 300, "Nested deeper than"),
        (EVIL, "Line 1, column 1"),
    ],
)
async def test_what_is_no_settings_is_refused_under_the_text(text: str, words: str) -> None:
    async with console() as server:
        browser = await server.signed_in()
        page = f"{PAGE}?application=desk"
        answer = await browser.send(f"{PAGE}/save", form("application", text, "0"), page)
        assert (answer.status, words in answer.text) == (400, True), answer.text
        assert EVIL not in answer.text
        assert await value_of(server, Level.GLOBAL) is None


async def test_users_see_and_change_only_their_own() -> None:
    async with console() as server:
        secret = {"open": {"x": 1}, "closed": {"y": 2, "__metadata": {"readRoles": ["Other"]}}}
        await make(server, secret, Level.GLOBAL)
        await make(server, {"private": {"pin": 1234}}, Level.USER, "ann")
        await make(server, {"mine": {"z": 3}}, Level.USER, "uwe")
        browser = await server.signed_in("User")
        text = (await browser.get(f"{PAGE}?application=desk")).text
        assert "&#34;z&#34;: 3" in text
        assert "1234" not in text
        for path in ("&user=ann", "&user=ann&device=d", "&user=ann&edit=user"):
            assert (await browser.get(f"{PAGE}?application=desk{path}")).status == 403
        page = f"{PAGE}?application=desk&edit=user"
        tag = await tag_on(browser, page)
        done = await browser.send(f"{PAGE}/save", form("user", '{"mine": {"z": 4}}', tag), page)
        assert (done.status, await value_of(server, Level.USER, "uwe")) == (303, {"mine": {"z": 4}})
        other = await browser.send(f"{PAGE}/save", form("user", "{}", tag, user="ann"), page)
        assert (other.status, await value_of(server, Level.USER, "ann")) == (403, {"private": {"pin": 1234}})
        assert "edit=application" not in text
        assert "Applications" not in (await browser.get(PAGE)).text, "no list of what others have"


async def test_role_lists_hide_what_they_hide_in_the_interface() -> None:
    async with console() as server:
        await make(server, {"closed": {"y": "hush", "__metadata": {"readRoles": ["Other"]}}}, Level.GLOBAL)
        browser = await server.signed_in("User")
        shown = (await browser.get(f"{PAGE}?application=desk")).text
        allowed = "hush" in (await (await server.signed_in()).get(f"{PAGE}?application=desk")).text
        assert (allowed, "hush" in shown) == (True, False)


async def test_auditors_see_no_value() -> None:
    async with console() as server:
        await make(server, {"a": {"b": "hush"}}, Level.GLOBAL)
        browser = await server.signed_in("Auditor")
        answer = await browser.get(f"{PAGE}?application=desk")
        assert (answer.status, "hush" in answer.text) == (403, False)


async def test_names_and_values_run_nothing() -> None:
    async with console() as server:
        await make(server, {EVIL: {EVIL: EVIL}}, Level.GLOBAL)
        await make(server, {EVIL: {EVIL: "</textarea>" + EVIL}}, Level.USER, EVIL)
        browser = await server.signed_in()
        for path in ("", "&edit=user", "&history=user", "&edit=application"):
            whose = "application=desk&user=%3Cscript%3Ealert(1)%3C/script%3E"
            answer = await browser.get(f"{PAGE}?{whose}{path}")
            assert (answer.status, EVIL in answer.text) == (200, False)
            assert "</textarea>&lt;" not in answer.text


async def test_a_level_is_deleted_unless_somebody_changed_it() -> None:
    async with console() as server:
        await make(server, {"theme": "light"}, Level.GLOBAL)
        await make(server, {"theme": "dark"}, Level.USER, "maria")
        browser = await server.signed_in()
        page = f"{PAGE}?application=desk&user=maria"
        assert "delete=user" in (await browser.get(page)).text
        asked = await browser.get(f"{page}&delete=user")
        assert "Delete this level for good" in asked.text
        sent = {"application": "desk", "user": "maria", "level": "user"}
        old = await tag_on(browser, f"{page}&delete=user")
        await make(server, {"theme": "blue"}, Level.USER, "maria")
        late = await browser.send(f"{PAGE}/delete", {**sent, "tag": old}, f"{page}&delete=user")
        assert (late.status, "Nothing was deleted" in late.text) == (412, True)
        assert "blue" in late.text
        tag = await tag_on(browser, f"{page}&delete=user")
        done = await browser.send(f"{PAGE}/delete", {**sent, "tag": tag}, f"{page}&delete=user")
        assert done.status == 303
        assert await value_of(server, Level.USER, "maria") is None
        assert await value_of(server, Level.GLOBAL) == {"theme": "light"}
        assert "Deleted the settings of the user." in (await browser.get(page)).text
        assert (await browser.get(f"{page}&delete=user")).status == 303, "nothing is left to delete"
        assert (await browser.get(f"{page}&delete=nothing")).status == 404
        assert "Document deleted" in (await browser.get("/console/audit?actor=user:ann")).text


async def test_users_delete_only_their_own_levels() -> None:
    async with console() as server:
        await make(server, {"theme": "light"}, Level.GLOBAL)
        await make(server, {"theme": "dark"}, Level.USER, "maria")
        browser = await server.signed_in("User")
        for query, status in (("&user=maria&delete=user", 403), ("&delete=application", 403)):
            assert (await browser.get(f"{PAGE}?application=desk{query}")).status == status
        for fields in ({"level": "application"}, {"level": "user", "user": "maria"}):
            sent = {"application": "desk", "tag": "*", **fields}
            assert (await browser.send(f"{PAGE}/delete", sent, PAGE)).status in (403, 412)
        assert await value_of(server, Level.GLOBAL) == {"theme": "light"}
        assert await value_of(server, Level.USER, "maria") == {"theme": "dark"}


async def test_a_long_document_is_shown_in_part_and_without_holding_others_up() -> None:
    async with console() as server:
        await make(server, {f"k{number}": {"v": number} for number in range(20_000)}, Level.GLOBAL)
        browser = await server.signed_in()
        await browser.get(f"{PAGE}?application=other")  # templates are compiled once
        with steps_counted() as steps:
            page = await browser.get(f"{PAGE}?application=desk")
        assert page.status == 200
        assert f"only the first {LINES_MAX:,} lines are shown" in page.text
        assert "&#34;k19999&#34;" in page.text, "the text to be edited is whole"
        # The template's lines are left; writing the document takes millions.
        assert steps.longest < 400_000
