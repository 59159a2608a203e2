"""Conditions on tags: the grammar of x-ms-if-tags and its verdicts (docs/wire/blobs.md, section 6)."""

from __future__ import annotations

import pytest

from retain.api.blobs.tagquery.if_tags import parse_if_tags
from retain.api.blobs.wire.errors import AzureError
from retain.engine.blobs.tag_condition import AllOf, AnyOf, Comparison, matches

TAGS = {"status": "done", "rank": "010", "n-1": "x"}


def holds(text):
    return matches(parse_if_tags(text, "x-ms-if-tags"), TAGS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("status = 'done'", True),
        ("status <> 'done'", False),
        ("status <> 'open'", True),
        ("missing <> 'open'", False),
        ("missing = ''", False),
        ("rank < '100'", True),
        ("rank <= '010'", True),
        ("rank > '010'", False),
        ("rank >= '010'", True),
        ("\"n-1\" = 'x'", True),
        ("status = 'open' OR rank = '010'", True),
        ("status = 'done' OR rank = '1' AND rank = '2'", True),
        ("(status = 'done' OR rank = '1') AND rank = '2'", False),
        ("status = 'done' and rank = '010' or missing = '1'", True),
        ("((status = 'done'))", True),
        ("rank > '001' AND rank > '002'", True),
    ],
)
def test_a_condition_holds_or_does_not(text, expected):
    assert holds(text) is expected


def test_and_binds_tighter_than_or():
    a, b, c = (Comparison(key, "=", "1") for key in "abc")
    assert parse_if_tags("a='1' OR b='1' AND c='1'", "h") == AnyOf((a, AllOf((b, c))))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("status", 7),
        ("status = done", 10),
        ("status b 'x'", 8),
        ("status AND 'x'", 8),
        ("status 'b' 'x'", 8),
        ("status = =", 10),
        ("@container = 'a'", 1),
        ("a = '1' AND", 12),
        ("a = '1' b = '2'", 9),
        ("(a = '1'", 9),
        ("a = '1')", 8),
        ("()", 2),
        ("OR a = '1'", 1),
        ("a = 'ü'", 5),
    ],
)
def test_what_is_no_condition_names_the_header_and_the_position(text, position):
    with pytest.raises(AzureError) as caught:
        parse_if_tags(text, "x-ms-source-if-tags")
    error = caught.value
    assert (error.code, error.status) == ("InvalidHeaderValue", 400)
    assert error.message == "The value for one of the HTTP headers is not in the correct format."
    assert error.extras[:2] == (("HeaderName", "x-ms-source-if-tags"), ("HeaderValue", text))
    ((name, reason),) = error.extras[2:]
    assert name == "Reason"
    assert f"position {position}:" in reason


def test_parentheses_nest_to_a_bounded_depth():
    assert holds("(" * 32 + "status = 'done'" + ")" * 32)
    for text in ("(" * 33 + "status = 'done'" + ")" * 33, "(" * 10000):
        with pytest.raises(AzureError) as caught:
            holds(text)
        assert "nested too deeply" in dict(caught.value.extras)["Reason"]
