"""Patterns of names: what fits, and that none takes long."""

from __future__ import annotations

import re
from random import Random

import pytest

from retain.engine.core.pattern import Pattern, called


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("", [""], ["a"]),
        ("*", ["", "a", "a\nb"], []),
        ("?", ["a", "*", "\n"], ["", "ab"]),
        ("a*b", ["ab", "axb", "a*b", "abb"], ["a", "abc", "xab"]),
        ("a*b*c", ["abc", "axbxc", "abbcc"], ["acb", "ab"]),
        ("*a*a*", ["aa", "baab"], ["a", "ba"]),
        ("*aa", ["aaa", "aa"], ["a", "aab"]),
        (r"\*\?\\", ["*?\\"], ["a?\\", "*b\\"]),
        (r"\a", ["a"], [r"\a"]),
        ("[a-c]", ["[a-c]"], ["a"]),
        ("(.+)", ["(.+)"], ["x"]),
    ],
)
def test_what_fits(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    assert all(Pattern(pattern).matches(name) for name in fits)
    assert not any(Pattern(pattern).matches(name) for name in fits_not)


def test_against_the_plain_expression() -> None:
    random = Random(7)
    for _ in range(3000):
        pattern = "".join(random.choices("ab*?", k=random.randrange(8)))
        name = "".join(random.choices("ab", k=random.randrange(9)))
        plain = re.fullmatch(pattern.replace("*", ".*").replace("?", "."), name)
        assert Pattern(pattern).matches(name) is (plain is not None), (pattern, name)


def test_many_stars_take_no_exponential_time() -> None:
    assert not Pattern("*a" * 40 + "b").matches("a" * 1000)


def test_a_text_is_that_name() -> None:
    assert called("a*", "a*")
    assert not called("ab", "a*")
    assert called("ab", Pattern("a*"))
