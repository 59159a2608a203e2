"""The decoder: exact to the byte for every way of cutting a body into pieces, and in agreement with a
foreign one."""

from __future__ import annotations

import pytest
from werkzeug.sansio.multipart import Data, Epilogue, Field, File
from werkzeug.sansio.multipart import MultipartDecoder as ForeignDecoder

from retain.api.areas.multipart import PART_END, MultipartDecoder, TooManyParts
from retain.api.areas.parts import PartHead, parse_head
from retain.api.http.message import BadRequest
from tests.kit.areas import BOUNDARY, FilePart, multipart

Part = tuple[str, str | None, bytes]


def decode(chunks: list[bytes], boundary: str = BOUNDARY) -> list[Part]:
    decoder = MultipartDecoder(boundary, max_parts=100)
    parts: list[Part] = []
    head: PartHead | None = None
    content = b""
    for chunk in chunks:
        for event in decoder.feed(chunk):
            if isinstance(event, PartHead):
                head, content = event, b""
            elif event is PART_END:
                assert head is not None
                parts.append((head.name, head.filename, content))
                head = None
            else:
                assert isinstance(event, bytes)
                assert event
                content += event
    decoder.finish()
    assert head is None
    return parts


def foreign(body: bytes, boundary: str = BOUNDARY) -> list[Part]:
    decoder = ForeignDecoder(boundary.encode())
    decoder.receive_data(body)
    decoder.receive_data(None)
    parts: list[Part] = []
    while not isinstance(event := decoder.next_event(), Epilogue):
        if isinstance(event, Field | File):
            parts.append((event.name, getattr(event, "filename", None), b""))
        elif isinstance(event, Data):
            name, filename, content = parts[-1]
            parts[-1] = (name, filename, content + event.data)
    return parts


NASTY = multipart(
    [
        ("empty", ""),
        ("text", "Value1"),
        ("crlf", "\r\n\r\n"),
        ("dashes", f"\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY}x--"),
        ("f", FilePart(b"\r\n--\r\r\n\n--" + BOUNDARY.encode(), "a.bin", "application/octet-stream")),
        ("last", "\r"),
    ]
)


def test_every_cut_in_two_gives_the_same_parts():
    whole = decode([NASTY])
    assert [part[0] for part in whole] == ["empty", "text", "crlf", "dashes", "f", "last"]
    assert whole[5] == ("last", None, b"\r")
    for position in range(len(NASTY) + 1):
        assert decode([NASTY[:position], NASTY[position:]]) == whole


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_every_size_of_piece_gives_the_same_parts(size: int):
    chunks = [NASTY[start : start + size] for start in range(0, len(NASTY), size)]
    assert decode(chunks) == decode([NASTY])


@pytest.mark.parametrize("padding", [b"", b" ", b"\t \t"])
def test_blanks_after_a_delimiter_are_cut_anywhere(padding: bytes):
    body = multipart([("a", "abc"), ("b", "xyz")])
    body = body.replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + padding + b"\r\n")
    for position in range(len(body)):
        assert decode([body[:position], body[position:]]) == [("a", None, b"abc"), ("b", None, b"xyz")]


def test_a_part_without_a_blank_line_before_its_delimiter_is_empty_at_every_cut():
    body = multipart([("k", "v"), ("l", "w")]).replace(b"\r\n\r\nv", b"\r\n")
    for position in range(len(body)):
        assert decode([body[:position], body[position:]]) == [("k", None, b""), ("l", None, b"w")]


def test_a_foreign_decoder_agrees():
    for fields in (
        [("a", "1"), ("b", ""), ("a", "3")],
        [("f", FilePart(bytes(range(256)) * 300, "x.bin", "a/b")), ("t", "é")],
        [],
    ):
        body = multipart(fields)
        assert decode([body]) == foreign(body)


def test_every_truncation_is_refused():
    end = NASTY.rindex(b"--") + 2
    for position in range(1, end):
        with pytest.raises(BadRequest):
            decode([NASTY[:position]])
    assert decode([NASTY[:end]]) == decode([NASTY])


def test_memory_stays_at_one_piece():
    decoder = MultipartDecoder(BOUNDARY, max_parts=10)
    decoder.feed(multipart([("f", FilePart(b""))])[: -len(BOUNDARY) - 8])
    for _ in range(200):
        events = decoder.feed(b"\r\n--" * 16_384)
        assert sum(len(event) for event in events if isinstance(event, bytes)) > 60_000
        assert len(decoder._buffer) < 200
    decoder = MultipartDecoder(BOUNDARY, max_parts=10)
    for _ in range(100):
        decoder.feed(b"preamble" * 8192)
        assert len(decoder._buffer) < 200


def test_endless_headers_are_refused():
    decoder = MultipartDecoder(BOUNDARY, max_parts=10)
    decoder.feed(f"--{BOUNDARY}\r\n".encode())
    for _ in range(16):
        decoder.feed(b"X: " + b"y" * 1000 + b"\r\n")
    with pytest.raises(BadRequest):
        decoder.feed(b"X: " + b"y" * 1000 + b"\r\n")


def test_the_number_of_parts_is_bounded():
    with pytest.raises(TooManyParts):
        decode([multipart((f"k{number}", "v") for number in range(101))])


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('"a.png"', "a.png"),
        ("a.png", "a.png"),
        ('"C:\\\\Users\\\\ann\\\\a.png"', "a.png"),
        ('"C:\\Users\\ann\\a.png"', "a.png"),
        ('"/home/ann/a.png"', "a.png"),
        ('"C:\\"', ""),
        ('"a%22b.png"', 'a"b.png'),
        ('"a\\"b.png"', 'a"b.png'),
        ('"é.png"', "é.png"),
        ('""', ""),
        ("\"x\"; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("\"x\"; filename*=iso-8859-1'en'%A3.txt", "£.txt"),
        ("\"x\"; filename*=UTF-8''..%2F..%2Fpasswd", "passwd"),
        ("\"x\"; filename*=UTF-8''a%0D%0Ab", "a  b"),
        ('"a;b.png"', "a;b.png"),
    ],
)
def test_file_names(sent: str, kept: str):
    head = parse_head(f'Content-Disposition: form-data; name="f"; filename={sent}'.encode())
    assert (head.name, head.filename) == ("f", kept)


def test_a_media_type_is_kept_as_sent():
    head = parse_head(
        b'Content-Disposition: form-data; name="f"; filename="a"\r\nContent-Type:  Image/PNG; x="\xe9" '
    )
    assert head.media_type == 'Image/PNG; x="é"'


def test_a_semicolon_at_the_end_means_nothing():
    head = parse_head(b'Content-Disposition: form-data; name="f"; filename="a.png"; ')
    assert (head.name, head.filename) == ("f", "a.png")
