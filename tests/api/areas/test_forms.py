"""Bodies: multipart and urlencoded, charsets (docs/wire/areas.md, section 4)."""

from __future__ import annotations

import codecs
from contextlib import nullcontext
from urllib.parse import parse_qsl

import pytest
import trio

from retain.api.areas.charsets import KNOWN
from retain.api.areas.encoding import UrlencodedDecoder
from retain.api.areas.errors import OverLimit
from retain.api.http.message import BadRequest
from tests.kit.areas import (
    BOUNDARY,
    FORM,
    MULTIPART,
    STORAGE,
    URLENCODED,
    Client,
    FilePart,
    areas_client,
    multipart,
    part,
    post,
    stored,
)
from tests.kit.requests import make_request

# --- urlencoded -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"", {}),
        (b"a=1&b=2", {"a": "1", "b": "2"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a", {"a": ""}),
        (b"a=", {"a": ""}),
        (b"a=b=c", {"a": "b=c"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"&&a=1&", {"a": "1"}),
        (b"a+b=c+d%2B", {"a b": "c d+"}),
        (b"%6b=%c3%a9", {"k": "é"}),
        ("k=é".encode(), {"k": "é"}),
        (b"k=%00", {"k": "\0"}),
        (b"k=%250", {"k": "%0"}),
    ],
)
async def test_urlencoded(client: Client, body: bytes, values: dict[str, str]):
    assert await stored(client, await post(client, body, FORM)) == values


@pytest.mark.parametrize(
    "body", [b"a=%", b"a=%4", b"a=%zz", b"%=1", b"a=%FF", b"%ff=1", b"=v", b"a%00=v", b"=", b"a=\xff"]
)
async def test_undecodable_urlencoded(client: Client, body: bytes):
    assert (await post(client, body, FORM)).status == 400


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        (f"{FORM}; charset=ISO-8859-1", b"k=%e9", "é"),
        (f'{FORM};charset="windows-1252"', b"k=%80", "€"),
        (f"{FORM}; charset=UTF-8", b"k=%c3%a9", "é"),
        (f"{FORM}; charset=utf-16-be", b"k=%20%ac", None),
        (FORM, b"_charset_=iso-8859-1&k=%e9", "é"),
        ("APPLICATION/X-WWW-FORM-URLENCODED", b"k=v", "v"),
    ],
)
async def test_declared_charsets_of_urlencoded_forms(
    client: Client, kind: str, body: bytes, text: str | None
):
    answer = await post(client, body, kind)
    if text is None:
        assert answer.status == 400
    else:
        assert await stored(client, answer) == {"k": text}


@pytest.mark.parametrize(
    "label", ["hex", "zlib", "rot13", "unicode_escape", "idna", "utf-7", "nonsense", "\x00"]
)
async def test_only_charsets_of_the_web_are_known(client: Client, label: str):
    if label.isprintable():
        assert (await post(client, b"k=v", f"{FORM}; charset={label}")).status == 400
    assert (await client.post_multipart("/60", [("_charset_", label), ("k", "v")])).status == 400


# --- multipart ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "key"),
    [
        ('Content-Disposition: form-data; name="k"', "k"),
        ("Content-Disposition: form-data; name=k", "k"),
        ("content-disposition:form-data;name=k", "k"),
        ('Content-Disposition: form-data;\r\n name="k"', "k"),
        ('Content-Disposition: form-data; name="a\\"b"', 'a"b'),
        ('Content-Disposition: form-data; name="a;b"', "a;b"),
        ('X-Other: 1\r\nContent-Disposition: form-data; name="k"\r\nContent-Length: 1', "k"),
        ('Content-Disposition: form-data; name="k"\r\nContent-Transfer-Encoding: 8BIT', "k"),
        ('Content-Disposition: form-data; name="\xc3\xa9"', "é"),
        ('Content-Disposition: form-data; name="\xe9"', "é"),
        ('Content-Disposition: form-data; name="a%22b"', 'a"b'),
        ('Content-Disposition: form-data; name="a%0D%0Ab"', "a\r\nb"),
        ('Content-Disposition: form-data; name="a%2Fb%22"; filename*=nonsense', 'a%2Fb"'),
        ("Content-Disposition: form-data; name=\"k\"; filename*=utf-7''x", "k"),
        ("Content-Disposition: form-data; name=\"k\"; filename*=utf-8''%ff", "k"),
        ("Content-Disposition: form-data; name=\"k\"; name*=utf-7''x", "k"),
    ],
)
async def test_text_parts(client: Client, head: str, key: str):
    assert await stored(client, await post(client, part(head), MULTIPART)) == {key: "v"}


@pytest.mark.parametrize(
    "head",
    [
        "X-Other: 1",
        "Content-Disposition: form-data",
        'Content-Disposition: attachment; name="k"',
        'Content-Disposition: form-data; name=""',
        'Content-Disposition: form-data; name="k"; name="l"',
        'Content-Disposition: form-data; name="k"\r\nContent-Disposition: form-data; name="k"',
        'Content-Disposition: form-data; name="k"\r\nContent-Transfer-Encoding: base64',
        'Content-Disposition: form-data; name="k"\r\nContent-Transfer-Encoding: quoted-printable',
        'Content-Disposition: form-data; name="k"\r\nContent-Type: text/plain; charset=nonsense',
        'Content-Disposition: form-data; name="k"\r\nno colon',
        'Content-Disposition: form-data; name="k"\r\nBad Name: x',
        'Content-Disposition: form-data; name="k"\nX: y',
        'Content-Disposition: form-data; name="a\x00b"',
        'Content-Disposition: form-data; name="k" trailing',
        "Content-Disposition: form-data; name=\"k\r\n\r\n",
        "X: y\r\n" * 32 + 'Content-Disposition: form-data; name="k"',
        'Content-Disposition: form-data; name="k"' + ";\r\n " * 32,
        "X: " + "y" * 20_000 + '\r\nContent-Disposition: form-data; name="k"',
        "\r\nContent-Disposition: form-data; name=\"k\"",
    ],
)  # fmt: skip
async def test_malformed_parts(client: Client, head: str):
    assert (await post(client, part(head), MULTIPART)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        multipart([("k", "v")])[:-4],
        multipart([("k", "v")]).replace(b"\r\n", b"\n"),
        multipart([("k", "v")]).replace(b"\r\n", b"\r"),
        f"--{BOUNDARY}\r\n".encode(),
        f"--{BOUNDARY}".encode(),
        multipart([("k", "v")]).replace(b"--" + BOUNDARY.encode(), b"-" + BOUNDARY.encode()),
        b"-----WebKitFormBoundaryy16\r\nContent-Disposition: form-data; name=\"Key1\"\r\nValue1\r\n",
        multipart([("k", "v")]).replace(BOUNDARY.encode() + b"\r", BOUNDARY.encode() + b" " * 100 + b"\r"),
    ],
)  # fmt: skip
async def test_broken_multipart(client: Client, body: bytes):
    assert (await post(client, body, MULTIPART)).status == 400


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"", {}),
        (f"--{BOUNDARY}--".encode(), {}),
        (f"--{BOUNDARY}--\r\nepilogue".encode(), {}),
        (b"preamble\r\n" + multipart([("k", "v")]) + b"epilogue", {"k": "v"}),
        (multipart([("k", "v")])[:-2], {"k": "v"}),
        (
            multipart([("k", "v")]).replace(BOUNDARY.encode() + b"\r\n", BOUNDARY.encode() + b" \t\r\n"),
            {"k": "v"},
        ),
        (multipart([("k", ""), ("l", "\r\n"), ("m", "\r\n--")]), {"k": "", "l": "\r\n", "m": "\r\n--"}),
        (multipart([("k", f"\r\n--{BOUNDARY}X")]), {"k": f"\r\n--{BOUNDARY}X"}),
        (multipart([("k", f"--{BOUNDARY}X")]), {"k": f"--{BOUNDARY}X"}),
        (multipart([("k", "1"), ("k", "2")]), {"k": "2"}),
        (multipart([("k", "v")]).replace(b"\r\n\r\nv", b"\r\n"), {"k": ""}),
    ],
)
async def test_unusual_but_valid_multipart(client: Client, body: bytes, values: dict[str, str]):
    assert await stored(client, await post(client, body, MULTIPART)) == values


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (f'multipart/form-data; boundary="{BOUNDARY}"', 200),
        (f"Multipart/Form-Data;BOUNDARY={BOUNDARY}", 200),
        (f"multipart/form-data; charset=utf-8; boundary={BOUNDARY}", 200),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ('multipart/form-data; boundary=""', 400),
        (f"multipart/form-data; boundary={'x' * 71}", 400),
        (f"multipart/form-data; boundary={BOUNDARY}; boundary={BOUNDARY}", 400),
        ('multipart/form-data; boundary="a{b"', 400),
        (f"multipart/mixed; boundary={BOUNDARY}", 415),
        ("application/json", 415),
        ("text/plain", 415),
        ("", 415),
        ("nonsense", 415),
    ],
)
async def test_types_of_bodies(client: Client, kind: str, status: int):
    assert (await post(client, multipart([("k", "v")]), kind)).status == status


async def test_a_body_needs_a_type_and_no_body_needs_none(client: Client):
    assert (await post(client, b"k=v", None)).status == 415
    assert await stored(client, await post(client, b"", None)) == {}
    two = [URLENCODED, URLENCODED]
    assert (await client.send("POST", f"{STORAGE}/60", two, b"k=v")).status == 400


@pytest.mark.parametrize(
    ("encoding", "status"), [("gzip", 415), ("br", 415), ("identity", 200), ("Identity", 200)]
)
async def test_compressed_bodies_are_refused(client: Client, encoding: str, status: int):
    assert (await post(client, b"k=v", FORM, ("Content-Encoding", encoding))).status == status


async def test_text_parts_without_a_charset_are_utf_8_or_else_latin_1(client: Client):
    body = multipart([("utf8", "é€".encode()), ("latin1", b"\xe9")])
    assert await stored(client, await post(client, body, MULTIPART)) == {"utf8": "é€", "latin1": "é"}


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "é".encode(), "é"),
        ('"iso-8859-15"', b"\xa4", "€"),
        ("UTF-16", "é".encode("utf-16"), "é"),
        ("shift_jis", "名".encode("shift_jis"), "名"),
        ("utf-8", b"\xe9", None),
        ("us-ascii", b"\xe9", None),
        ("utf-16-le", b"\x00\xd8", None),
    ],
)
async def test_a_text_part_may_declare_its_charset(
    client: Client, charset: str, data: bytes, text: str | None
):
    head = f'Content-Disposition: form-data; name="k"\r\nContent-Type: text/plain; charset={charset}'
    answer = await post(client, part(head, data), MULTIPART)
    if text is None:
        assert answer.status == 400
    else:
        assert await stored(client, answer) == {"k": text}


@pytest.mark.parametrize("position", [0, 1])
async def test_the_charset_field_holds_for_the_whole_form_and_is_not_stored(client: Client, position: int):
    fields: list[tuple[str, str | bytes | FilePart]] = [("k", b"\xa4")]
    fields.insert(position, ("_charset_", "iso-8859-15"))
    assert await stored(client, await client.post_multipart("/60", fields)) == {"k": "€"}


async def test_an_empty_charset_field_says_nothing(client: Client):
    assert await stored(client, await client.post_multipart("/60", [("_charset_", ""), ("k", "é")])) == {
        "k": "é"
    }


def test_the_charsets_are_named_as_pythons_codecs_are() -> None:
    assert {codecs.lookup(name).name for name in KNOWN} == KNOWN


BYTES = bytes(range(256))


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("application/octet-stream", BYTES),
        ("Application/Octet-Stream; charset=utf-8", BYTES),
        ("application/octet-stream", b"text"),
        ("application/octet-stream", b""),
        ("image/png", b"\x89PNG\r\n\x1a\n\xff"),
        ("audio/wav", b"RIFF\xff"),
        ("application/pdf", b"%PDF-1.7\xff"),
        ("application/zip", b"PK\xff"),
    ],
)
async def test_a_binary_part_without_a_file_name_is_kept_as_it_came(
    client: Client, media_type: str, data: bytes
):
    head = f'Content-Disposition: form-data; name="k"\r\nContent-Type: {media_type}'
    answer = await post(client, part(head, data), MULTIPART)
    kept = await client.get(f"/binary/{answer.json()['id']}/k")
    assert (kept.status, kept.body, kept.headers["Content-Type"]) == (200, data, media_type)
    assert "filename" not in kept.headers["Content-Disposition"]


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "text/csv", "application/json", "application/hal+json", "application/xml", "image/svg+xml",
     "application/x-www-form-urlencoded", "nonsense", ""],
)  # fmt: skip
async def test_a_part_of_a_text_s_type_without_a_file_name_is_a_text(client: Client, media_type: str):
    head = f'Content-Disposition: form-data; name="k"\r\nContent-Type: {media_type}'
    assert await stored(client, await post(client, part(head, "é".encode()), MULTIPART)) == {"k": "é"}


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "body", [b"a+b=c%2Bd%C3%A9&&k=v=w&%6b%3D=&last", b"&=&", b"%3d=%26", b"a=%4", b"%", b"%%4="]
)
def test_a_form_in_pieces_is_the_same_form(body: bytes, size: int):
    def decoded(cut: int) -> list[tuple[bytes, bytes]] | str:
        decoder = UrlencodedDecoder(10, 100, 100)
        fields = []
        try:
            for start in range(0, len(body), cut):
                fields += decoder.feed(body[start : start + cut])
            return fields + decoder.finish()
        except BadRequest as error:
            return error.message

    whole = decoded(len(body))
    assert decoded(size) == whole
    if b"%%" not in body and not body.endswith((b"%", b"%4")):
        assert [tuple(map(bytes.decode, field)) for field in whole] == parse_qsl(
            body.decode(), keep_blank_values=True
        ) or body == b"&=&"
    else:
        assert isinstance(whole, str)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (b"k=" + b"%41" * 100, True),
        (b"k=" + b"%41" * 101, False),
        (b"n" * 50 + b"=v", True),
        (b"n" * 51 + b"=v", False),
        (b"%6e" * 51, False),
        (b"&".join([b"k=v"] * 7), True),
        (b"&".join([b"k=v"] * 8), False),
        (b"&" * 6, True),
        (b"&" * 7, False),
    ],
)
def test_a_form_is_refused_at_the_byte_that_is_too_much(body: bytes, taken: bool):
    for size in (1, 2, 7, len(body)):
        decoder = UrlencodedDecoder(7, 50, 100)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        with nullcontext() if taken else pytest.raises(OverLimit):
            for piece in pieces:
                decoder.feed(piece)


async def test_what_is_too_long_is_refused_before_it_has_all_arrived():
    """8 MB of escapes come to 2.8 MB of text: refused after the first that makes a MiB."""
    async with areas_client() as client:
        body = b"k=" + b"%41" * (2_800_000)
        arrived = 0

        async def receive() -> dict[str, object]:
            nonlocal arrived
            arrived += 65_536
            chunk = body[arrived - 65_536 : arrived]
            return {"type": "http.request", "body": chunk, "more_body": arrived < len(body)}

        request = make_request("POST", f"{STORAGE}/60", [URLENCODED, ("Transfer-Encoding", "chunked")])
        request.body._receive = receive
        request.body.finished = False
        response = await client.interface.handle(request)
        assert response.status == 413
        assert arrived < 3 * (1 << 20) + 2 * 65_536


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_others_have_their_turn_while_a_form_is_decoded(kind: str):
    """A chunk of the network may be half a megabyte: it is decoded in steps of 64 KiB."""
    async with areas_client() as client:
        # Both are refused at their end, so that nothing but decoding takes turns.
        if kind == "urlencoded":
            headers, body = [URLENCODED], b"k=" + b"%41" * 175_000 + b"%"
        else:
            headers, body = [("Content-Type", MULTIPART)], multipart([("k", b"\r\n--" * 130_000)])[:-4]
        turns = 0

        async def innocent() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(innocent)
            assert (await client.send("POST", f"{STORAGE}/60", headers, body)).status == 400
            nursery.cancel_scope.cancel()
        assert turns >= len(body) // 65_536
