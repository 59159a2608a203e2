"""Any bytes at all get a well-formed answer below 500: 1,500 requests, and with `make fuzz` 30,000."""

from __future__ import annotations

import json
from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from retain.api.areas.encoding import unescape
from retain.api.areas.multipart import PART_END, MultipartDecoder
from retain.api.areas.parts import PartHead
from retain.api.areas.ttl import parse_ttl
from retain.api.http.message import BadRequest, RequestError
from tests.kit.areas import BOUNDARY, STORAGE, Client, FilePart, areas_client, multipart
from tests.kit.crash import SCALE

BATCH = 50
FUZZ = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

NASTY = [
    b"%",
    b"%00",
    b"%2F",
    b"%ff",
    b"..",
    b"custom",
    b"binary",
    b"/",
    b"//",
    b"\\",
    b"\xff",
    b"60",
    b"+",
    b"\x7f",
    b";",
]
segment = st.lists(st.sampled_from(NASTY) | st.binary(max_size=4), max_size=4).map(b"".join)
raw_path = st.lists(segment, max_size=6).map(lambda parts: STORAGE.encode() + b"/" + b"/".join(parts))
method = st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "get", "X"])
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)

delimiter = f"--{BOUNDARY}".encode()
pieces = st.sampled_from(
    [
        delimiter,
        delimiter + b"\r\n",
        delimiter + b"--",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Disposition: form-data; ",
        b'Content-Disposition: form-data; name="k"\r\n\r\n',
        b'Content-Disposition: form-data; name="_charset_"\r\n\r\nutf-8',
        b'name="k"; filename="f"',
        b"filename*=UTF-8''%ff",
        b"Content-Type: text/plain; charset=utf-16",
        b"Content-Type: image/png",
        b"Content-Transfer-Encoding: base64",
        b'"',
        b"\\",
        b"--",
    ]
)
multipart_bytes = st.lists(pieces | st.binary(max_size=12), max_size=14).map(b"".join)
fields = st.lists(
    st.sampled_from([b"=", b"&", b"%", b"+", b"_", b"k", b"%41"]) | st.binary(max_size=5), max_size=12
)
urlencoded_bytes = fields.map(b"".join)
kinds = st.sampled_from(
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-16",
    ]
) | header_text.map(lambda text: "multipart/form-data; " + text)


async def judge(client: Client, *request: object) -> None:
    answer = await client.send(*request)  # type: ignore[arg-type]
    assert 200 <= answer.status < 500, (request, answer)
    assert answer.headers["Cache-Control"] == "no-cache, no-store"
    if answer.status >= 400 and request[0] != "HEAD":
        assert set(json.loads(answer.body)) == {"exception", "message"}


@given(st.lists(st.tuples(method, raw_path, header_text, urlencoded_bytes), min_size=BATCH, max_size=BATCH))
@settings(FUZZ, max_examples=15 * SCALE)
async def test_any_path(requests):
    async with areas_client() as client:
        for verb, path, user, body in requests:
            headers = [("gms_user", user.strip()), ("Content-Type", "application/x-www-form-urlencoded")]
            await judge(client, verb, path.decode("latin-1").replace("?", ""), headers, body)
        assert client.engine.statistics().payload_files == len(client.payload_files())


@given(st.lists(st.tuples(kinds, multipart_bytes | urlencoded_bytes), min_size=BATCH, max_size=BATCH))
@settings(FUZZ, max_examples=15 * SCALE)
async def test_any_form(requests):
    async with areas_client() as client:
        for kind, body in requests:
            await judge(client, "POST", f"{STORAGE}/60", [("Content-Type", kind)], body)
        assert client.engine.statistics().payload_files == len(client.payload_files())


@given(multipart_bytes, st.lists(st.integers(0, 200), max_size=5))
@settings(FUZZ, max_examples=300 * SCALE)
def test_the_decoder_gives_one_result_for_all_cuts(body, cuts):
    def decode(chunks):
        decoder = MultipartDecoder(BOUNDARY, max_parts=20)
        parts = []
        try:
            for chunk in chunks:
                for event in decoder.feed(chunk):
                    if isinstance(event, PartHead):
                        parts.append([event, b""])
                    elif event is not PART_END:
                        parts[-1][1] += event
            decoder.finish()
        except RequestError as error:
            return type(error)
        return parts

    borders = sorted({0, *(cut % (len(body) + 1) for cut in cuts), len(body)})
    chunks = [body[start:stop] for start, stop in pairwise(borders)]
    if body:
        assert decode(chunks) == decode([body])


contents = st.binary(max_size=300) | st.lists(pieces, max_size=5).map(b"".join)
names = st.text(
    st.characters(exclude_characters='\\"\r\n\0', exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10
)


@given(st.lists(st.tuples(names, contents), max_size=5), st.integers(1, 64))
@settings(FUZZ, max_examples=200 * SCALE)
def test_what_is_encoded_is_decoded(form, size):
    form = [(name, content) for name, content in form if BOUNDARY.encode() not in content]
    body = multipart((name, FilePart(content, "f")) for name, content in form)
    decoder = MultipartDecoder(BOUNDARY, max_parts=20)
    parts = []
    for start in range(0, len(body), size):
        for event in decoder.feed(body[start : start + size]):
            if isinstance(event, PartHead):
                parts.append([event.name, b""])
            elif event is not PART_END:
                parts[-1][1] += event
    decoder.finish()
    assert [tuple(part) for part in parts] == form


@given(st.binary(max_size=20))
@settings(FUZZ, max_examples=150 * SCALE)
def test_percent_encoding_is_decoded_once_or_refused(raw):
    try:
        decoded = unescape(raw)
    except BadRequest:
        assert b"%" in raw
    else:
        assert len(decoded) <= len(raw)


@given(st.text(max_size=12) | st.from_regex(r"[+\-]?[0-9]{1,30}"))
@settings(FUZZ, max_examples=150 * SCALE)
def test_any_ttl_is_within_its_bounds(text):
    seconds = parse_ttl(text, default=30, maximum=1000)
    assert 1 <= seconds <= 1000
    if not (text.isascii() and text.removeprefix("+").isdigit() and int(text) > 0):
        assert seconds == 30
