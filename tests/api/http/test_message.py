"""One request and one response: paths decoded once, bodies bounded, heads that cannot be broken out of."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from retain.api.http.message import (
    MAX_QUERY_FIELDS,
    BadRequest,
    Body,
    BodyTooLarge,
    BodyTooSlow,
    ClientGone,
    Request,
    Response,
    decode_segment,
)
from tests.kit.requests import make_request


@pytest.mark.parametrize(
    ("target", "segments"),
    [
        ("/", [""]),
        ("/a/b", ["a", "b"]),
        ("/a%2Fb//c%20d/", ["a/b", "", "c d", ""]),
        ("/%252F/%25", ["%2F", "%"]),
        ("/+/a+b", ["+", "a+b"]),
        ("/../%2e%2e/.", ["..", "..", "."]),
        ("/%C3%A4/%0D%0A", ["ä", "\r\n"]),
        ("http://other.example/x?y", ["x"]),
        ("https://other.example", [""]),
    ],
)
def test_segments_are_split_raw_and_decoded_once(target: str, segments: list[str]) -> None:
    assert make_request(target=target).segments() == segments


@pytest.mark.parametrize(
    "bad", ["%", "%2", "%zz", "%00", "%ff", "%fe", "%c0%af", "%ed%a0%80", "%f5%80%80%80"]
)
def test_bad_escapes_bad_utf8_and_nul_are_refused(bad: str) -> None:
    with pytest.raises(BadRequest):
        make_request(target=f"/a/{bad}").segments()
    with pytest.raises(BadRequest):
        make_request(target=f"/?a={bad}").query_pairs()


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    try:
        text = decode_segment(raw)
    except BadRequest:
        return
    assert "\0" not in text
    assert text.encode("utf-8") is not None


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=40))
def test_percent_encoded_text_round_trips(text: str) -> None:
    assert decode_segment("".join(f"%{byte:02X}" for byte in text.encode()).encode()) == text


def test_the_query_is_decoded_once_and_keeps_plus_and_order() -> None:
    request = make_request(target="/?b=1%2B+&a&=x&&b=%2526")
    assert request.query_pairs() == [("b", "1++"), ("a", ""), ("", "x"), ("b", "%26")]


def test_a_query_of_thousands_of_fields_is_refused() -> None:
    assert len(make_request(target="/?" + "&".join("a" * MAX_QUERY_FIELDS)).query_pairs()) == MAX_QUERY_FIELDS
    with pytest.raises(BadRequest):
        make_request(target="/?" + "a&" * (MAX_QUERY_FIELDS + 1)).query_pairs()


def test_an_absolute_target_gives_path_and_authority() -> None:
    request = make_request(target="HTTP://Other.example:81/a%20b")
    assert (request.authority, request.raw_path) == (b"Other.example:81", b"/a%20b")


def test_headers_are_found_in_any_case_and_underscores_are_no_hyphens() -> None:
    request = make_request(headers=[("gms_user", "a "), ("GMS-User", "b"), ("X", "1"), ("x", "2")])
    assert request.header("GMS_USER") == "a"
    assert request.header("gms-user") == "b"
    assert request.header_values("X") == ["1", "2"]
    assert request.header("absent") is None


@pytest.mark.parametrize("length", ["-1", "+5", "1.0", "0x5", "", "1 2", "9" * 40])
def test_a_content_length_that_is_no_number_is_refused(length: str) -> None:
    with pytest.raises(BadRequest):
        make_request("POST", headers=[("Content-Length", length)])


def test_contradicting_content_lengths_are_refused() -> None:
    with pytest.raises(BadRequest):
        make_request("POST", headers=[("Content-Length", "5"), ("Content-Length", "6")])


def feed(*messages: dict[str, Any], pause: float = 0.0) -> Callable[[], Any]:
    """A receive that gives these messages, `pause` seconds apart, then waits for ever."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await trio.sleep_forever()
        await trio.sleep(pause)
        return left.pop(0)

    return receive


def part(data: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


async def collect(body: Body) -> list[bytes]:
    return [chunk async for chunk in body]


async def test_a_body_comes_in_chunks() -> None:
    body = Body(feed(part(b"ab"), part(b""), part(b"c"), part(b"", more=False)), None)
    assert [chunk async for chunk in body] == [b"ab", b"c"]
    assert body.finished
    assert body.received == 3


async def test_a_request_without_a_body_waits_for_nothing() -> None:
    scope = {"method": "GET", "scheme": "http", "raw_path": b"/", "headers": [], "http_version": "1.1"}
    assert await Request(scope, feed()).read_body(10) == b""


async def test_a_declared_length_over_the_limit_is_refused_before_the_first_byte() -> None:
    body = Body(feed(), 11)
    body.limit = 10
    with pytest.raises(BodyTooLarge):
        await anext(body)


async def test_an_undeclared_length_over_the_limit_is_refused_as_it_comes() -> None:
    body = Body(feed(part(b"x" * 6), part(b"x" * 6)), None)
    body.limit = 10
    assert await anext(body) == b"x" * 6
    with pytest.raises(BodyTooLarge):
        await anext(body)


async def test_a_piece_at_hand_is_read_without_waiting_and_counts_as_any_other() -> None:
    body = Body(feed(part(b"x" * 6)), None)
    at_hand = [part(b"x" * 6)]
    body.limit, body.at_hand = 10, lambda: at_hand.pop() if at_hand else None
    reading = anext(body)
    with pytest.raises(StopIteration) as read:
        reading.__await__().send(None)  # ends at once: no task switch
    assert read.value.value == b"x" * 6
    with pytest.raises(BodyTooLarge):
        await anext(body)


async def test_a_client_that_goes_away_is_told_apart_from_the_end() -> None:
    body = Body(feed(part(b"x"), {"type": "http.disconnect"}), 10)
    assert await anext(body) == b"x"
    with pytest.raises(ClientGone):
        await anext(body)


async def test_a_trickled_body_is_cut_after_the_window(autojump_clock: trio.testing.MockClock) -> None:
    body = Body(feed(*[part(b"x")] * 100, pause=3.0), 100)
    with pytest.raises(BodyTooSlow):
        await collect(body)
    assert trio.current_time() <= 10.0


async def test_a_silent_body_is_cut_after_the_window(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(BodyTooSlow):
        await anext(Body(feed(), 100))
    assert trio.current_time() <= 10.0


async def test_a_slow_reader_here_is_not_a_slow_client(autojump_clock: trio.testing.MockClock) -> None:
    body = Body(feed(*[part(b"x")] * 5, part(b"", more=False)), None)
    async for _ in body:
        await trio.sleep(60)
    assert body.finished


async def test_a_body_at_the_minimum_rate_may_take_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    body = Body(feed(*[part(b"x" * 1100)] * 60, part(b"", more=False), pause=0.9), None)
    assert sum([len(chunk) async for chunk in body]) == 66000


async def test_a_rate_of_zero_waits_for_ever(autojump_clock: trio.testing.MockClock) -> None:
    body = Body(feed(part(b"x", more=False), pause=1000.0), None)
    body.min_rate = 0
    assert [chunk async for chunk in body] == [b"x"]


async def test_a_waiting_client_is_told_to_send_at_the_first_read() -> None:
    calls: list[str] = []

    async def proceed() -> None:
        calls.append("100")

    body = Body(feed(part(b"x", more=False)), 1)
    body.on_first_read(proceed)
    await body.discard(1000)
    assert calls == []
    assert [chunk async for chunk in body] == [b"x"]
    assert calls == ["100"]


def test_a_response_head_counts_bytes_and_keeps_case_and_order() -> None:
    head = Response(200, [("B", "1"), ("a-Case", "ä")], b"abc").head_message()
    assert head["headers"] == [(b"B", b"1"), (b"a-Case", b"\xe4"), (b"Content-Length", b"3")]


@pytest.mark.parametrize(
    ("response", "length"),
    [
        (Response(204), None),
        (Response(304), None),
        (Response(304, length=7), b"7"),
        (Response(200, length=7), b"7"),
        (Response(200), b"0"),
    ],
)
def test_a_response_head_has_a_length_only_where_it_may(response: Response, length: bytes | None) -> None:
    assert dict(response.head_message()["headers"]).get(b"Content-Length") == length


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b", "a\x7fb"])
def test_a_header_cannot_break_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        Response(200, [("X", value)]).head_message()


def test_json_answers_hold_no_nan() -> None:
    assert json.loads(bytes(Response.json(200, {"ä": [1]}).body)) == {"ä": [1]}  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="JSON"):
        Response.json(200, float("nan"))
