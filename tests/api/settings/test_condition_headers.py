"""`If-Match` and `If-None-Match` as they may be written (RFC 9110, sections 8.8.3 and 13.1)."""

from __future__ import annotations

import pytest

from retain.api.http.message import BadRequest
from retain.api.settings.conditions import is_unchanged, quoted, read_conditions
from retain.engine.core.errors import PreconditionFailed
from retain.engine.settings import UNCONDITIONAL, Preconditions
from tests.kit.requests import make_request


def read(*headers: tuple[str, str]) -> Preconditions:
    return read_conditions(make_request("GET", "/x", headers))


@pytest.mark.parametrize(
    ("text", "strong", "weak"),
    [
        ('"a"', {"a"}, {"a"}),
        ('"a","b"', {"a", "b"}, {"a", "b"}),
        ('"a" , ,\t"b"', {"a", "b"}, {"a", "b"}),
        ('"a",', {"a"}, {"a"}),
        ('W/"a", "b"', {"b"}, {"a", "b"}),
        ('W/"a"', set(), {"a"}),
        ('""', {""}, {""}),
        ('"a,b"', {"a,b"}, {"a,b"}),
        ('"!#~"', {"!#~"}, {"!#~"}),
        ('"\x80\xff"', {"\x80\xff"}, {"\x80\xff"}),
    ],
)
def test_a_list_of_tags(text: str, strong: set[str], weak: set[str]) -> None:
    """A weak tag is never the same as what a write would replace, but may be what a client has."""
    assert read(("If-Match", text)) == Preconditions(frozenset(strong), False, None, False)
    assert read(("If-None-Match", text)) == Preconditions(None, False, frozenset(weak), False)


def test_headers_given_twice_are_one_list() -> None:
    found = read(("If-Match", '"a"'), ("If-Match", '"b"'), ("If-None-Match", "*"))
    assert found == Preconditions(frozenset({"a", "b"}), False, None, True)
    assert read(("If-Match", "*")) == Preconditions(None, True, None, False)
    assert read() is UNCONDITIONAL


@pytest.mark.parametrize(
    "text", ["", "a", '"a', 'a"', '"a" "b"', '"a";"b"', '"a b"', '"a"b', '*, "a"', '"a", *', 'w/"a"', ',"a"']
)
@pytest.mark.parametrize("name", ["If-Match", "If-None-Match"])
def test_what_is_no_list_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadRequest, match=f"the header {name} is malformed"):
        read((name, text))


def test_a_read_is_unchanged_if_its_tag_is_excluded() -> None:
    assert not is_unchanged(UNCONDITIONAL, "a")
    assert is_unchanged(read(("If-None-Match", "*")), "a")
    for tag, unchanged in (("a", True), ("b", True), ("c", False)):
        assert is_unchanged(read(("If-None-Match", '"a", W/"b"')), tag) == unchanged
    assert not is_unchanged(read(("If-Match", '"a"')), "a")
    for text in ('"b"', 'W/"a"'):
        with pytest.raises(PreconditionFailed):
            is_unchanged(read(("If-Match", text)), "a")
    assert quoted("a") == '"a"'
