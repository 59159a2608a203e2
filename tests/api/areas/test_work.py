"""What hostile forms cost: each of their bytes as much as any other, whatever they are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from retain.api.areas.encoding import UrlencodedDecoder
from retain.api.areas.multipart import MultipartDecoder
from retain.api.areas.parts import MAX_HEADER_LINES, parse_head
from retain.api.http.message import BadRequest
from tests.kit.work import assert_linear, assert_linear_in_c, steps

PIECE = 65_536
HEAD = b'--X\r\nContent-Disposition: form-data; name="k"\r\n'

CONTENTS = {
    "delimiters that go on": b"\r\n--Xx",
    "delimiters cut short": b"\r\n--",
    "line ends": b"\r\n",
    "carriage returns": b"\r",
    "padded delimiters that go on": b"\r\n--X" + b" " * 64 + b"x",
    "dashes": b"-",
}


def decoding(stretch: bytes) -> Callable[[int], Callable[[], None]]:
    """A part whose content repeats `stretch`."""

    def prepare(size: int) -> Callable[[], None]:
        body = HEAD + b"\r\n" + stretch * (size // len(stretch)) + b"\r\n--X--"

        def run() -> None:
            decoder = MultipartDecoder("X", 10)
            for start in range(0, len(body), PIECE):
                decoder.feed(body[start : start + PIECE])
            decoder.finish()

        return run

    return prepare


@pytest.mark.parametrize("stretch", CONTENTS.values(), ids=CONTENTS.keys())
def test_content_that_looks_like_delimiters(stretch: bytes) -> None:
    assert_linear(decoding(stretch), 1 << 19)
    assert_linear_in_c(decoding(stretch), 1 << 16)


@pytest.mark.parametrize("stretch", CONTENTS.values(), ids=CONTENTS.keys())
def test_a_megabyte_of_it_costs_a_few_steps_of_the_interpreter(stretch: bytes) -> None:
    """One search in C for a piece, instead of three calls for each false delimiter."""
    assert steps(lambda: decoding(stretch)(1 << 20)) < 10_000


@pytest.mark.parametrize("line", [b"X: y", b" y", b"\ty", b" ", b"X: " + b";a=" * 20])
def test_headers_are_bounded_before_they_are_read(line: bytes) -> None:
    few = b'Content-Disposition: form-data; name="k"' + (b"\r\n" + line) * (MAX_HEADER_LINES - 1)
    if line.startswith(b"X"):
        assert parse_head(few).name == "k"
    with pytest.raises(BadRequest, match="too many headers"):
        parse_head(few + b"\r\n" + line)


def fields(stretch: bytes) -> Callable[[int], Callable[[], None]]:
    def prepare(size: int) -> Callable[[], None]:
        body = b"k=" + stretch * (size // len(stretch))

        def run() -> None:
            decoder = UrlencodedDecoder(2 * size, size, size)
            for start in range(0, len(body), PIECE):
                decoder.feed(body[start : start + PIECE])
            decoder.finish()

        return run

    return prepare


@pytest.mark.parametrize("stretch", [b"%41", b"%41a", b"+", b"&", b"&a", b"a=&", b"="], ids=repr)
def test_urlencoded(stretch: bytes) -> None:
    assert_linear(fields(stretch), 1 << 11)
    assert_linear_in_c(fields(stretch), 1 << 14)


def test_a_form_byte_by_byte() -> None:
    def prepare(size: int) -> Callable[[], None]:
        body = HEAD + b"\r\n" + b"\r\n--" * (size // 4) + b"\r\n--X--"

        def run() -> None:
            decoder = MultipartDecoder("X", 10)
            for start in range(len(body)):
                decoder.feed(body[start : start + 1])
            decoder.finish()

        return run

    assert_linear(prepare, 1_000)
    assert_linear_in_c(prepare, 4_000)
