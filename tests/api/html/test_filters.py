"""Names of clients on the pages: whole, in lists shortened, and nothing in them unseen."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from retain.api.html.filters import BRIEF_MAX, breakable, brief, share, visible


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("evil\u202egpj.wav", "U+202E"),
        ("a\u200bb", "U+200B"),
        ("line\nfeed", "U+000A"),
        ("\u2066isolated", "U+2066"),
    ],
)
def test_a_character_that_is_not_seen_is_shown(name: str, seen: str) -> None:
    for shown in (visible(name), breakable(name), brief(name)):
        assert f">{seen}</span>" in shown
        assert not any(one in shown for one in "\u202e\u200b\n\u2066")


def test_joined_emoji_and_other_scripts_stay_as_they_are() -> None:
    for name in ("👩‍👩‍👧‍👦", "תיקייה", "نمی‌خواهم", "a\u0300"):
        assert visible(name) == f"<bdi>{name}</bdi>"


def test_markup_in_a_name_is_text() -> None:
    assert visible("<b>&") == "<bdi>&lt;b&gt;&amp;</bdi>"
    assert breakable("<b>/</b>") == "<bdi>&lt;b&gt;/<wbr>&lt;/<wbr>b&gt;</bdi>"
    assert "<b>" not in brief("<b>" * 100)
    assert '"><' not in brief('"><i>' * 100).replace('"><bdi>', "")


def test_a_list_shows_how_a_long_name_begins_and_ends() -> None:
    shown = brief(f"recordings/{'x' * 1000}/4711.wav")
    assert "recordings/" in shown
    assert "4711.wav</bdi>" in shown
    assert brief("y" * BRIEF_MAX) == f"<bdi>{'y' * BRIEF_MAX}</bdi>"


@given(st.lists(st.sampled_from(["👩‍👩‍👧", "e\u0301", "x", "👍🏽"]), min_size=70, max_size=400))
def test_it_is_cut_between_what_a_reader_takes_for_characters(parts: list[str]) -> None:
    shown = brief("".join(parts)).split('<span class="cut">…</span>')
    if len(shown) == 2:
        assert not shown[0].removesuffix("</bdi>").endswith("\u200d")
        assert not shown[1].removeprefix("<bdi>").startswith(("\u200d", "\u0301", "🏽"))


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 10, "0\u00a0%"),
        (1, 1000, "under 1\u00a0%"),
        (999, 1000, "99\u00a0%"),
        (7, 7, "100\u00a0%"),
        (0, 0, "–"),
    ],
)
def test_a_share_is_rounded_down(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown
