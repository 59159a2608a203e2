"""Files: types, names and safety of what comes back, ranges, links, file control (docs/wire/areas.md,
sections 7 and 11)."""

from __future__ import annotations

import json

import pytest

from retain.api.areas.mime import contradicts
from tests.kit.areas import Client, FilePart, areas_client
from tests.kit.requests import make_request

DATA = bytes(range(256)) * 4
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def stored(client: Client, file: FilePart) -> str:
    return f"/binary/{await client.create({'f': file})}/f"


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("image/png", "image/png"),
        ("Image/PNG; charset=x", "Image/PNG; charset=x"),
        ("not a type", "not a type"),
        (None, "application/octet-stream"),
    ],
)
async def test_the_type_is_kept_as_sent(client: Client, sent: str | None, got: str):
    answer = await client.get(await stored(client, FilePart(DATA, media_type=sent)))
    assert (answer.headers["Content-Type"], answer.body) == (got, DATA)


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        *(
            (shown, "inline")
            for shown in ("image/png", "image/jpeg", "image/gif", "image/webp", "IMAGE/PNG; x=y")
        ),
        *(
            (shown, "inline")
            for shown in ("application/pdf", "audio/mpeg", "video/mp4", "text/plain;charset=x")
        ),
        *(
            (kept, "attachment")
            for kept in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml")
        ),
        *((kept, "attachment") for kept in ("application/octet-stream", "text/plainx", "image/png+xml", "x")),
    ],
)
async def test_only_harmless_types_are_shown_in_place(client: Client, media_type: str, kind: str):
    answer = await client.get(await stored(client, FilePart(DATA, "a.bin", media_type)))
    assert answer.headers["Content-Disposition"] == f'{kind}; filename="a.bin"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("filename", "disposition"),
    [
        ("My Pic.png", 'inline; filename="My Pic.png"'),
        ("é€.png", "inline; filename=\"__.png\"; filename*=UTF-8''%C3%A9%E2%82%AC.png"),
        ("a%22b.png", "inline; filename=\"a_b.png\"; filename*=UTF-8''a%22b.png"),
        ("50%.png", "inline; filename=\"50_.png\"; filename*=UTF-8''50%25.png"),
        ("a;b.png", 'inline; filename="a;b.png"'),
        ("", "inline"),
    ],
)
async def test_file_names_come_back_escaped(client: Client, filename: str, disposition: str):
    answer = await client.get(await stored(client, FilePart(PNG, filename, "image/png")))
    assert answer.headers["Content-Disposition"] == disposition


async def test_no_file_chosen_is_no_key(client: Client):
    name = await client.create({"k": "v", "f": FilePart(b"", "", "application/octet-stream")})
    assert (await client.get(f"/{name}")).json() == {"k": "v"}


async def test_an_empty_file_with_a_name_is_a_file(client: Client):
    answer = await client.get(await stored(client, FilePart(b"", "empty.txt", "text/plain")))
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("size", [1000, 200_000, 2_500_000])
@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=500-", 500, None), ("bytes=-7", -7, None)],
)
async def test_a_range(client: Client, size: int, asked: str, start: int, stop: int | None):
    data = (DATA * (size // len(DATA) + 1))[:size]
    answer = await client.get(await stored(client, FilePart(data)), [("Range", asked)])
    first = start % size
    last = size - 1 if stop is None else stop - 1
    assert (answer.status, answer.body) == (206, data[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"


async def test_ranges_beyond_the_end_and_across_chunks(client: Client):
    data = bytes(1 << 20) + b"border" + bytes(1 << 20)
    path = await stored(client, FilePart(data))
    answer = await client.get(path, [("Range", f"bytes={(1 << 20) - 5}-{(1 << 20) + 10}")])
    assert answer.body == data[(1 << 20) - 5 : (1 << 20) + 11]
    answer = await client.get(path, [("Range", "bytes=2000000-99999999999")])
    assert answer.body == data[2_000_000:]
    answer = await client.get(path, [("Range", "bytes=99999999-")])
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert set(answer.json()) == {"exception", "message"}


@pytest.mark.parametrize(
    "asked", ["bytes=5-1", "bytes=0-1,5-6", "lines=0-1", "bytes=x", "bytes", "", "bytes=-"]
)
async def test_other_ranges_are_ignored(client: Client, asked: str):
    path = await stored(client, FilePart(DATA))
    answer = await client.get(path, [("Range", asked)])
    assert (answer.status, answer.body) == (200, DATA)
    assert answer.headers["Accept-Ranges"] == "bytes"
    answer = await client.get(path, [("Range", "bytes=0-1"), ("If-Range", '"x"')])
    assert (answer.status, answer.body) == (200, DATA)
    assert (await client.send("HEAD", "/genesys/1/storage" + path, [("Range", "bytes=0-1")])).status == 200


@pytest.mark.parametrize(
    ("size", "asked", "status", "content_range"),
    [
        (10, "bytes=-500", 206, "bytes 0-9/10"),
        (10, "bytes=-10", 206, "bytes 0-9/10"),
        (10, "bytes=-9", 206, "bytes 1-9/10"),
        (10, "bytes=-0", 416, "bytes */10"),
        (10, "bytes=9-", 206, "bytes 9-9/10"),
        (10, "bytes=10-", 416, "bytes */10"),
        (10, "bytes=10-10", 416, "bytes */10"),
        (10, "bytes=0-9999999999999999999", 206, "bytes 0-9/10"),
        (10, "bytes=9999999999999999999-", 416, "bytes */10"),
        (10, "bytes=-99999999999999999999", 206, "bytes 0-9/10"),
        (10, "Bytes=0-0", 206, "bytes 0-0/10"),
        (10, "bytes=0-" + "9" * 5000, 200, None),
        (0, "bytes=0-", 416, "bytes */0"),
        (0, "bytes=0-0", 416, "bytes */0"),
        (0, "bytes=-1", 200, None),
        (0, "bytes=-0", 416, "bytes */0"),
        (1, "bytes=0-0", 206, "bytes 0-0/1"),
        (1, "bytes=1-", 416, "bytes */1"),
    ],
)
async def test_a_range_at_the_borders(
    client: Client, size: int, asked: str, status: int, content_range: str | None
):
    answer = await client.get(await stored(client, FilePart(DATA[:size])), [("Range", asked)])
    assert (answer.status, answer.headers.get("Content-Range")) == (status, content_range)
    if status == 200:
        assert answer.body == DATA[:size]


async def test_an_answer_that_is_not_read_gives_its_file_back(client: Client):
    path = await stored(client, FilePart(bytes(3 << 20)))
    for pieces in (0, 1):
        response = await client.interface.handle(make_request("GET", "/genesys/1/storage" + path))
        assert not isinstance(response.body, bytes)
        for _ in range(pieces):
            assert len(await anext(response.body)) == 1 << 20
        await response.body.aclose()


async def test_a_long_text_that_goes_while_a_listing_is_sent_is_left_out(client: Client):
    name = await client.create({"a": "1", "long": "x" * 200_000, "z": "2"})
    response = await client.interface.handle(make_request("GET", f"/genesys/1/storage/{name}"))
    await client.delete(f"/{name}")
    await client.engine.sweep()
    assert client.payload_files() == []
    assert not isinstance(response.body, bytes)
    assert json.loads(b"".join([chunk async for chunk in response.body])) == {"a": "1", "z": "2"}


# --- links ----------------------------------------------------------------------------------------------


async def link(client: Client, headers: list[tuple[str, str]], **more: str) -> str:
    name = await client.create({"f/ü": FilePart(DATA)})
    url: str = (await client.get(f"/{name}", headers, **more)).json()["f/ü"]
    path = f"/genesys/1/storage/binary/{name}/f%2F%C3%BC"
    assert url.endswith(path)
    assert (await client.send("GET", path)).body == DATA
    return url.removesuffix(path)


async def test_links_follow_the_host_or_the_address(client: Client):
    assert await link(client, [("Host", "localhost:8080")]) == "http://localhost:8080"
    assert await link(client, []) == "http://127.0.0.1:8080"
    assert await link(client, [("Host", 'evil"/><script>')]) == "http://127.0.0.1:8080"
    forged = [("Host", "real"), ("X-Forwarded-Host", "evil"), ("Forwarded", "host=evil")]
    assert await link(client, forged) == "http://real"


async def test_the_configured_base_comes_first():
    async with areas_client(server={"external_url": "https://gms.example.org:8443/"}) as client:
        assert await link(client, [("Host", "other")]) == "https://gms.example.org:8443"


async def test_links_can_be_paths():
    async with areas_client(relative_url=True) as client:
        assert await link(client, [("Host", "other")]) == ""


async def test_trusted_proxies_are_believed():
    async with areas_client(server={"trusted_proxies": ("192.0.2.1",)}) as client:
        said = [("Host", "inner"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "outer.example.org")]
        assert await link(client, said) == "https://outer.example.org"
        assert await link(client, [("Forwarded", "for=x;proto=https;host=outer")]) == "https://outer"
        assert await link(client, said, peer="192.0.2.9") == "http://inner"


async def test_the_link_of_a_custom_area(client: Client):
    user = [("gms_user", "u"), ("Host", "h")]
    await client.post("/custom/x%2Fy/60", {"f": FilePart(DATA)}, user)
    for path in ("/x%2Fy", "/custom/x%2Fy"):
        url = (await client.get(path, user)).json()["f"]
        assert url == "http://h/genesys/1/storage/binary/x%2Fy/f"


# --- file control ---------------------------------------------------------------------------------------


async def post(client: Client, data: bytes, media_type: str | None) -> int:
    return (await client.post("/60", {"k": "v", "f": FilePart(data, "a", media_type)})).status


async def test_without_control_the_list_says_nothing():
    async with areas_client(allowed_mime_types=("image/png",)) as client:
        assert await post(client, b"MZ", "application/x-msdownload") == 200


async def test_control_with_an_empty_list_takes_no_file():
    async with areas_client(allow_file_control=True) as client:
        assert await post(client, PNG, "image/png") == 415
        assert (await client.post("/60", {"k": "v"})).status == 200
        assert (await client.post("/60", {"k": "v", "f": FilePart(b"", "", "image/png")})).status == 200


async def test_control_judges_the_declared_type_and_the_bytes():
    async with areas_client(allow_file_control=True, allowed_mime_types=("image/png", "text/*")) as client:
        assert await post(client, PNG, "image/png") == 200
        assert await post(client, PNG, "IMAGE/PNG; x=y") == 200
        assert await post(client, PNG * 10_000, "image/png") == 200
        assert await post(client, b"plain", "text/plain") == 200
        assert await post(client, b"", "image/png") == 200
        assert await post(client, PNG, "image/jpeg") == 415
        assert await post(client, PNG, None) == 415
        assert await post(client, b"<html>", "image/png") == 415
        assert await post(client, b"<html>" * 100_000, "image/png") == 415
        assert await post(client, b"MZ\x90\x00", "text/plain") == 415
        assert await post(client, b"<script>x</script>", "text/plain") == 415
        assert await post(client, PNG, "text/plain") == 415
        name = await client.create({"k": "v"})
        assert (await client.post(f"/{name}/60", {"k": "w", "f": FilePart(b"x", "a", "a/b")})).status == 415
        assert (await client.get(f"/{name}/k")).body == b"v"
        nameless = FilePart(PNG, "", "image/jpeg")
        assert (await client.post("/60", {"f": nameless})).status == 415
        assert client.engine.statistics().payload_files == 1
        assert len(client.payload_files()) == 1


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/png", PNG),
        ("image/jpeg", b"\xff\xd8\xff\xe0"),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBP"),
        ("audio/wav", b"RIFF\x00\x00\x00\x00WAVE"),
        ("application/pdf", b"%PDF-1.7"),
        ("application/zip", b"PK\x03\x04"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
        ("application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("video/mp4", b"\x00\x00\x00\x18ftypmp42"),
        ("text/html", b"<!DOCTYPE html>"),
        ("image/svg+xml", b"<?xml version='1.0'?><svg/>"),
        ("application/x-tar", bytes(257) + b"ustar"),
        ("text/plain", b"any text"),
        ("text/csv", b"BM;MZ"),
        ("text/plain", b"\xff\xfet\x00"),
        ("application/octet-stream", b"\x01\x02"),
    ],
)
def test_bytes_that_agree_with_their_type(declared: str, head: bytes):
    assert not contradicts(declared, head)


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/png", b"GIF89a"),
        ("image/png", b"anything else"),
        ("image/jpeg", PNG),
        ("text/plain", PNG),
        ("text/plain", b"\x7fELF"),
        ("text/plain", b"  <!doctype html>"),
        ("text/plain", b"\xef\xbb\xbf<SCRIPT>"),
        ("application/pdf", b"PK\x03\x04"),
        ("application/zip", b"not a zip"),
        ("application/msword", b"PK\x03\x04"),
        ("application/zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("image/heic", b"\x00\x00\x00\x18nope"),
        ("image/gif", b"\x00\x00\x00\x18ftypheic"),
        ("application/x-tar", bytes(300)),
    ],
)
def test_bytes_that_contradict_their_type(declared: str, head: bytes):
    assert contradicts(declared, head)
