"""Texts of a write are divided among events: in order, each as full as it may be, and none fuller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.engine.areas import decide

LIMIT = 12


def size(piece: dict[str, str]) -> int:
    return sum(len(text.encode()) for pair in piece.items() for text in pair)


@given(
    st.dictionaries(st.text("aä", min_size=1, max_size=LIMIT), st.text("aä", max_size=LIMIT + 4), max_size=12)
)
def test_pieces_hold_all_texts_in_order_and_are_as_full_as_they_may_be(texts: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide, "EVENT_TEXT_BYTES", LIMIT)
        pieces = list(decide.text_chunks(texts))
    assert [pair for piece in pieces for pair in piece.items()] == list(texts.items())
    for number, piece in enumerate(pieces):
        assert size(piece) <= LIMIT or len(piece) == 1, "one that is too long alone has its own event"
        if number:
            first = dict([next(iter(piece.items()))])
            assert size(pieces[number - 1]) + size(first) > LIMIT


def test_pieces_are_filled_to_the_byte() -> None:
    assert decide.EVENT_TEXT_BYTES == 256 * 1024
    half = decide.EVENT_TEXT_BYTES // 2
    texts = {"a": "x" * (half - 1), "b": "x" * (half - 1), "c": ""}
    assert [list(piece) for piece in decide.text_chunks(texts)] == [["a", "b"], ["c"]]
    assert [list(piece) for piece in decide.text_chunks({**texts, "b": "x" * half})] == [["a"], ["b", "c"]]
    assert list(decide.text_chunks({})) == []
