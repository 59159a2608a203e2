"""Tag queries: every rule of docs/wire/blobs.md, section 6, and that nothing else gets through."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.blobs.tagquery.where import Interval, parse_where
from retain.api.blobs.wire.errors import AzureError

LEGAL = string.ascii_letters + string.digits + " +-./:=_"
keys = st.text(LEGAL, min_size=1, max_size=20)
values = st.text(LEGAL, max_size=20)


def refused(text, **more):
    with pytest.raises(AzureError) as caught:
        parse_where(text, **more)
    error = caught.value
    assert (error.code, error.status) == ("InvalidQueryParameterValue", 400)
    assert ("QueryParameterName", "where") in error.extras
    assert ("QueryParameterValue", text or "") in error.extras
    assert error.message.startswith("Error parsing query at or near character position ")
    return error.message.removeprefix("Error parsing query at or near character position ")


def test_the_query_of_the_genesys_page():
    where = parse_where(
        "@container='recordings' AND RecordingType = 'CALL' "
        "AND StoredTime >= '2022-01-09T00:00:00Z' AND StoredTime < '2022-01-11T00:00:00Z'"
    )
    assert where.container == "recordings"
    assert where.intervals == {
        "RecordingType": Interval("CALL", True, "CALL", True),
        "StoredTime": Interval("2022-01-09T00:00:00Z", True, "2022-01-11T00:00:00Z", False),
    }
    found = {"RecordingType": "CALL", "StoredTime": "2022-01-10T06:01:34Z", "Agent": "7"}
    assert where.matches(found)
    assert where.named(found) == {"RecordingType": "CALL", "StoredTime": "2022-01-10T06:01:34Z"}
    assert not where.matches({**found, "StoredTime": "2022-01-11T00:00:00Z"})
    assert not where.matches({"RecordingType": "CALL"})


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("k = 'b'", "b", True),
        ("k = 'b'", "B", False),
        ("k > 'b'", "b", False),
        ("k > 'b'", "ba", True),
        ("k >= 'b'", "b", True),
        ("k < 'b'", "b", False),
        ("k < 'b'", "a", True),
        ("k <= 'b'", "b", True),
        ("k >= 'a' and k <= 'c'", "b", True),
        ("k >= 'a' aNd k < 'b'", "b", False),
        ("k < '9'", "10", True),
        ("k > 'Z'", "a", True),
        ("k = ''", "", True),
    ],
)
def test_values_are_strings_and_compare_by_code_point(text, value, found):
    assert parse_where(text).matches({"k": value}) is found


@pytest.mark.parametrize(
    "text",
    ["a='1'AND b='2'", "  a\t=\n'1'  AND  \"b\"  =  '2'  ", "a='1' and \"b\"='2'", "\"a\"='1' AND b='2'"],
)
def test_whitespace_is_free_and_and_has_no_case(text):
    assert dict(parse_where(text).intervals) == {
        "a": Interval("1", True, "1", True),
        "b": Interval("2", True, "2", True),
    }


def test_quoted_keys_may_hold_any_legal_character():
    assert list(parse_where("\"n-1\" = '1' AND \"a b:c=d/e.f+g_h\" = '2'").intervals) == [
        "n-1",
        "a b:c=d/e.f+g_h",
    ]
    assert list(parse_where("\"Year\" = '2020'").intervals) == ["Year"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "1: unexpected end of query"),
        ("", "1: unexpected end of query"),
        ("   ", "1: unexpected end of query"),
        ("a", "2: unexpected end of query"),
        ("a =", "4: unexpected end of query"),
        ("= '1'", "1: unexpected '='"),
        ("Year = '2020'", "1: unexpected 'Year'"),
        ("a = '1' AND month = '2'", "13: unexpected 'month'"),
        ("@container = recordings", "14: unexpected 'recordings'"),
        ('a = "1"', "5: unexpected '\"1\"'"),
        ("a == '1'", "4: unexpected '='"),
        ("a = '1' AND", "12: unexpected end of query"),
        ("a = '1' OR b = '2'", "9: unexpected 'OR'"),
        ("NOT a = '1'", "1: unexpected 'NOT'"),
        ("a <> '1'", "3: unexpected '<>'"),
        ("(a = '1')", "1: unexpected '('"),
        ("a LIKE 'x'", "3: unexpected 'LIKE'"),
        ("a b 'x'", "3: unexpected 'b'"),
        ("a \"b\" 'x'", "3: unexpected '\"b\"'"),
        ("a AND 'x'", "3: unexpected 'AND'"),
        ("a 'b' 'x'", "3: unexpected ''b''"),
        ("a ( 'x'", "3: unexpected '('"),
        ("@container b 'x'", "12: unexpected 'b'"),
        ("a = b", "5: unexpected 'b'"),
        ("a = =", "5: unexpected '='"),
        ("'a' = 'b'", "1: unexpected ''a''"),
        ("a = '1' b = '2'", "9: unexpected 'b'"),
        ("a = 'it's'", "10: unexpected '''"),
        ("a = 'it''s'", "5: ''' not permitted in tag name or value"),
        ("a = 'open", "5: unexpected '''"),
        ("n-1 = '1'", "2: unexpected '-'"),
        ("1a = '1'", "1: unexpected '1'"),
        ("a = '1';", "8: unexpected ';'"),
        ("a = 'ü'", "5: 'ü' not permitted in tag name or value"),
        ("\"ü\" = '1'", "1: 'ü' not permitted in tag name or value"),
        ("\"\" = '1'", "1: tag must be between 1 and 128 characters in length"),
        (f"\"{'k' * 129}\" = '1'", "1: tag must be between 1 and 128 characters in length"),
        (f"a = '{'v' * 257}'", "5: tag value must be between 0 and 256 characters in length"),
        ("@container > 'a'", "12: unexpected '>'"),
        ("@Container = 'a'", "1: unsupported parameter '@Container'"),
        ("@containers = 'a'", "1: unsupported parameter '@containers'"),
        ("@ = 'a'", "1: unsupported parameter '@'"),
    ],
)
def test_what_is_no_query_is_refused_with_its_position(text, message):
    assert refused(text) == message


def test_a_query_names_at_most_ten_tags():
    parse_where(" AND ".join([*(f"k{n} = '1'" for n in range(10)), "@container = 'a'"]))
    with pytest.raises(AzureError) as caught:
        parse_where(" AND ".join(f"k{n} = '1'" for n in range(11)))
    assert caught.value.message == "Error parsing query: there can be at most 10 unique tags in a query"


MULTIPLE = "can't have multiple conditions for a single tag unless they define a range"


@pytest.mark.parametrize(
    "text",
    [
        "a > '1' AND a > '2'",
        "a >= '1' AND a > '2'",
        "a < '1' AND a <= '2'",
        "a = '1' AND a = '1'",
        "a = '1' AND a > '0'",
        "a > '0' AND a = '1'",
        "a > '0' AND a < '5' AND a < '4'",
        "@container = 'aaa' AND @container = 'bbb'",
    ],
)
def test_one_key_has_one_value_or_one_range(text):
    assert refused(text).endswith(MULTIPLE)


def test_a_query_on_a_container_cannot_name_a_container():
    assert refused("@container = 'a'", in_container=True) == "1: unexpected '@container'"
    assert parse_where("a = '1'", in_container=True).container is None


def test_a_very_long_query_is_refused():
    assert "too long" in refused("a" * 20000)


@given(st.dictionaries(keys, values, min_size=1, max_size=10), st.booleans())
def test_a_query_made_of_a_blobs_own_tags_finds_it(tags, as_range):
    if as_range:
        text = " AND ".join(
            f"\"{key}\" >= '{value}' AND \"{key}\" <= '{value}'" for key, value in tags.items()
        )
    else:
        text = " AND ".join(f"\"{key}\" = '{value}'" for key, value in tags.items())
    where = parse_where(text)
    assert where.matches(tags)
    assert where.named(tags) == tags
    for key in tags:
        assert where.intervals[key] == Interval(tags[key], True, tags[key], True)
        assert not where.matches({other: value for other, value in tags.items() if other != key})


@given(
    st.sampled_from(["=", ">", ">=", "<", "<="]),
    st.text("'=<>\"@containerANDOR() \n\\ü0a", max_size=40),
)
def test_any_text_is_parsed_or_refused_with_a_position(operator, noise):
    for text in (noise, f"a {operator} '{noise}'", f"{noise} {operator} '1'"):
        try:
            parse_where(text)
        except AzureError as error:
            position = int(error.message.split("position ")[1].split(":")[0])
            assert 1 <= position <= len(text) + 1


@given(values, values, values)
def test_an_interval_holds_exactly_what_its_bounds_say(low, high, value):
    for low_closed in (True, False):
        for high_closed in (True, False):
            above = value >= low if low_closed else value > low
            below = value <= high if high_closed else value < high
            assert Interval(low, low_closed, high, high_closed).holds(value) is (above and below)
            assert Interval(low, low_closed).holds(value) is above
            assert Interval(None, True, high, high_closed).holds(value) is below


SQL = """
    ALL AND ANY AS ASC BETWEEN BY CASE CAST DESC DISTINCT ELSE END ESCAPE EXISTS FALSE FROM GROUP HAVING IN
    IS JOIN LIKE NOT NULL ON OR ORDER SELECT THEN TRUE UNION WHEN WHERE
    DAY HOUR INTERVAL MINUTE MONTH SECOND TIMESTAMP YEAR
"""


@pytest.mark.parametrize("word", SQL.split())
def test_a_key_that_is_a_word_of_sql_is_quoted(word):
    for text in (word, word.lower(), word.capitalize()):
        assert refused(f"{text} = '1'").startswith(f"1: unexpected '{text}'")
        assert parse_where(f"\"{text}\" = '1'").intervals.keys() == {text}
        assert parse_where(f"{text}_ = '1'").intervals.keys() == {f"{text}_"}
