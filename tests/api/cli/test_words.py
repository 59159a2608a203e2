"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from retain.api.cli.words import counted


@pytest.mark.parametrize(
    ("count", "noun", "plural", "text"),
    [
        (0, "file", "", "0 files"),
        (1, "file", "", "1 file"),
        (2, "entry", "entries", "2 entries"),
        (1, "entry", "entries", "1 entry"),
        (1234, "byte", "", "1,234 bytes"),
    ],
)
def test_counted(count: int, noun: str, plural: str, text: str) -> None:
    assert counted(count, noun, plural) == text
