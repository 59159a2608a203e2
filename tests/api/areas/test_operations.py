"""The seven operations, custom ids with their customer, ttl and updates (docs/wire/areas.md, sections 1, 3,
5, 6, 7, 8)."""

from __future__ import annotations

import re

import pytest

from tests.kit.areas import STORAGE, Client, FilePart, areas_client

ANN = ("gms_user", "ann")
BOB = ("gms_user", "bob")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_the_session_of_the_documentation(client: Client):
    png = FilePart(b"\x89PNG\r\n\x1a\n" + bytes(12_000), "MyPic.png", "image/png")
    created = await client.post(
        "/3600", {"Key1": "Value1", "Key2": "Value2", "Key3": "Value3", "FileKey": png}
    )
    assert created.status == 200
    assert list(created.json()) == ["id"]
    name = created.json()["id"]
    assert UUID4.fullmatch(name)

    pdf = FilePart(b"%PDF-1.4 " + bytes(171_000), "0016_001.pdf", "application/pdf")
    updated = await client.post(
        f"/{name}/3600", {"Key1": "Value6", "Key2": "Value7", "Key3": "Value8", "FileKey": pdf}
    )
    assert (updated.status, updated.body) == (200, b"{}")

    listing = await client.get(f"/{name}", [("Host", "localhost:8080")])
    assert listing.json() == {
        "Key2": "Value7",
        "Key1": "Value6",
        "Key3": "Value8",
        "FileKey": f"http://localhost:8080/genesys/1/storage/binary/{name}/FileKey",
    }
    assert (await client.get(f"/{name}/Key1")).body == b"Value6"
    binary = await client.get(f"/binary/{name}/FileKey")
    assert binary.body == pdf.data
    assert binary.headers["Content-Type"] == "application/pdf"

    deleted = await client.send("DELETE", f"{STORAGE}//{name}")
    assert (deleted.status, deleted.body) == (200, b"{}")
    assert (await client.get(f"/{name}")).status == 404


async def test_every_answer_forbids_caching(client: Client):
    name = await client.create({"k": "v", "f": FilePart(b"x")})
    for answer in (
        await client.get(f"/{name}"),
        await client.get(f"/{name}/k"),
        await client.get(f"/binary/{name}/f"),
        await client.get("/unknown"),
        await client.send("PUT", f"{STORAGE}/{name}"),
        await client.send("OPTIONS", f"{STORAGE}/{name}"),
        await client.send("GET", "/genesys/1/admin/node/status"),
        await client.send("GET", "/genesys/resources/storagetest.html"),
        await client.delete(f"/{name}"),
    ):
        assert answer.headers["Cache-Control"] == "no-cache, no-store"
        assert answer.headers["Pragma"] == "no-cache"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_types_of_the_answers(client: Client):
    name = await client.create({"k": "ü"})
    assert (await client.get(f"/{name}")).headers["Content-Type"] == "application/json;charset=utf-8"
    one = await client.get(f"/{name}/k")
    assert one.headers["Content-Type"] == "text/plain;charset=utf-8"
    assert one.body == "ü".encode()


async def test_ids_are_never_given_twice(client: Client):
    names = {await client.create() for _ in range(50)}
    assert len(names) == 50


async def test_values_stay_strings_and_empty_ones_are_kept(client: Client):
    name = await client.create({"number": "17", "flag": "true", "nothing": "null", "empty": ""})
    assert (await client.get(f"/{name}")).json() == {
        "number": "17",
        "flag": "true",
        "nothing": "null",
        "empty": "",
    }
    answer = await client.get(f"/{name}/empty")
    assert (answer.status, answer.body) == (200, b"")


async def test_the_other_routes_of_each_kind_of_value(client: Client):
    name = await client.create({"text": "v", "file": FilePart(b"bytes")})
    link = (await client.get(f"/{name}")).json()["file"]
    assert (await client.get(f"/{name}/file")).text == link
    answer = await client.get(f"/binary/{name}/text")
    assert (answer.body, answer.headers["Content-Type"]) == (b"v", "text/plain;charset=utf-8")


async def test_head_answers_as_get_without_a_body(client: Client):
    name = await client.create({"k": "value", "f": FilePart(b"bytes", "a.png", "image/png")})
    for path in (f"/{name}", f"/{name}/k", f"/binary/{name}/f"):
        got, head = await client.get(path), await client.send("HEAD", STORAGE + path)
        assert (head.status, head.headers) == (200, got.headers)
    assert (await client.send("HEAD", f"{STORAGE}/unknown")).status == 404


# --- custom ids -----------------------------------------------------------------------------------------


async def test_a_custom_area_answers_its_custom_id_and_is_read_by_it(client: Client):
    created = await client.post("/custom/My%20Id/3600", {"k": "v"}, [ANN])
    assert created.json() == {"id": "My Id"}
    for path in ("/My%20Id", "/custom/My%20Id"):
        assert (await client.get(path, [ANN])).json() == {"k": "v"}
    for path in ("/My%20Id/k", "/custom/My%20Id/k", "/binary/My%20Id/k", "/binary/custom/My%20Id/k"):
        assert (await client.get(path, [ANN])).body == b"v"


async def test_a_custom_creation_needs_its_user(client: Client):
    for headers in ([], [("gms_user", "")], [("gms_user", "  ")], [("gms-user", "ann")]):
        assert (await client.post("/custom/x/60", {"k": "v"}, headers)).status == 400
    assert (await client.post("/custom/x/60", {"k": "v"}, [ANN, BOB])).status == 400


async def test_a_foreign_area_looks_like_none(client: Client):
    await client.post("/custom/x/60", {"k": "v"}, [ANN])
    unknown = await client.get("/y", [BOB])
    for headers in ([], [BOB], [("gms-user", "ann")], [("gms_user", "Ann")]):
        for path in ("/x", "/x/k", "/binary/x/k", "/custom/x", "/custom/x/k"):
            answer = await client.get(path, headers)
            assert (answer.status, answer.body) == (404, unknown.body)
        assert (await client.delete("/x", headers)).status == 404
    assert (await client.post("/x/60", {"k": "w"})).status == 404
    assert (await client.get("/x", [("gms_user", " ann\t")])).json() == {"k": "v"}


async def test_two_customers_may_use_one_id(client: Client):
    await client.post("/custom/x/60", {"k": "a"}, [ANN])
    await client.post("/custom/x/60", {"k": "b"}, [BOB])
    assert (await client.delete("/x", [BOB])).status == 200
    assert (await client.get("/x", [ANN])).json() == {"k": "a"}


async def test_users_in_utf_8_and_latin_1(client: Client):
    utf8 = ("gms_user", "é".encode().decode("latin-1"))
    assert (await client.post("/custom/x/60", {"k": "v"}, [utf8])).status == 200
    assert (await client.get("/x", [utf8])).status == 200
    assert (await client.post("/custom/y/60", {"k": "v"}, [("gms_user", "\xff")])).status == 200
    assert (await client.get("/y", [("gms_user", "\xff")])).status == 200
    assert (await client.get("/y", [("gms_user", "\xfe")])).status == 404


async def test_creating_a_custom_id_again_updates_it(client: Client):
    await client.post("/custom/x/60", {"a": "1", "b": "1"}, [ANN])
    assert (await client.post("/custom/x/60", {"b": "2"}, [ANN])).json() == {"id": "x"}
    assert (await client.get("/x", [ANN])).json() == {"a": "1", "b": "2"}


async def test_update_by_a_known_user_creates(client: Client):
    answer = await client.post("/session17/60", {"sessions": ""}, [ANN])
    assert (answer.status, answer.body) == (200, b"{}")
    assert (await client.get("/session17", [ANN])).json() == {"sessions": ""}
    assert (await client.post("/session18/60", {"k": "v"})).status == 404


async def test_update_never_creates_when_that_is_off():
    async with areas_client(upsert_with_user=False) as client:
        assert (await client.post("/session17/60", {"k": "v"}, [ANN])).status == 404


async def test_a_plain_area_ignores_the_user(client: Client):
    answer = await client.post("/60", {"k": "v"}, [ANN])
    name = answer.json()["id"]
    assert (await client.get(f"/{name}")).status == 200
    assert (await client.get(f"/{name}", [BOB])).status == 200


async def test_a_numeric_custom_id(client: Client):
    await client.post("/custom/60/3600", {"k": "v"}, [ANN])
    assert (await client.get("/60", [ANN])).json() == {"k": "v"}
    assert UUID4.fullmatch((await client.post("/60", {"k": "v"}, [ANN])).json()["id"])


@pytest.mark.parametrize("word", ["custom", "binary"])
async def test_reserved_words(client: Client, word: str):
    assert (await client.post(f"/custom/{word}/60", {"k": "v"}, [ANN])).status == 400
    name = await client.create({word: "v", "3600": "w"})
    assert (await client.get(f"/{name}/{word}")).body == b"v"
    assert (await client.get(f"/binary/{name}/{word}")).body == b"v"
    assert (await client.get(f"/{name}/3600")).body == b"w"


# --- time to live ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60),
        ("+60", 60),
        ("%2B60", 60),
        ("0060", 60),
        ("1", 1),
        ("630720000", 630_720_000),
        ("630720001", 630_720_000),
        ("9" * 5000, 630_720_000),
        *((text, 30) for text in ("0", "000", "-5", "abc", "1.5", "1_000", "%2060", "60%20", "6e1", "0x10")),
        *((text, 30) for text in ("%D9%A1%D9%A2", "%C2%B2", "++1", "%EF%BC%91", "60s", "NaN", "60%0A")),
    ],
)
async def test_a_wrong_ttl_means_thirty_seconds(client: Client, text: str, seconds: int):
    name = await client.create({"k": "v"}, text)
    client.clock.advance(seconds - 0.000000001)
    if seconds < 10**6:
        assert (await client.get(f"/{name}/k")).status == 200
    client.clock.advance(0.000000001)
    client.clock.advance(1 if seconds > 10**6 else 0)
    assert (await client.get(f"/{name}/k")).status == 404
    assert (await client.get(f"/{name}")).status == 404
    assert (await client.get(f"/binary/{name}/k")).status == 404
    assert (await client.post(f"/{name}/60", {"k": "v"})).status == 404
    assert (await client.delete(f"/{name}")).status == 404


async def test_default_and_cap_are_settings():
    async with areas_client(default_ttl=5, max_ttl=10) as client:
        for text, seconds in (("abc", 5), ("3600", 10)):
            name = await client.create({"k": "v"}, text)
            client.clock.advance(seconds - 1)
            assert (await client.get(f"/{name}")).status == 200
            client.clock.advance(1)
            assert (await client.get(f"/{name}")).status == 404


async def test_each_key_has_the_ttl_of_the_request_that_wrote_it(client: Client):
    name = await client.create({"old": "1", "both": "1"}, 10)
    await client.post(f"/{name}/100", {"both": "2"})
    await client.post(f"/{name}/wrong", {"thirty": "3"})
    client.clock.advance(10)
    assert (await client.get(f"/{name}")).json() == {"both": "2", "thirty": "3"}
    client.clock.advance(20)
    assert (await client.get(f"/{name}")).json() == {"both": "2"}


async def test_the_scope_of_the_area():
    async with areas_client(ttl_scope="area") as client:
        name = await client.create({"old": "1"}, 10)
        await client.post(f"/{name}/100", {"new": "2"})
        client.clock.advance(50)
        assert (await client.get(f"/{name}")).json() == {"old": "1", "new": "2"}


async def test_an_area_without_keys(client: Client):
    name = await client.create()
    assert (await client.get(f"/{name}")).json() == {}
    assert (await client.send("POST", f"{STORAGE}/60")).status == 200
    client.clock.advance(3600)
    assert (await client.get(f"/{name}")).status == 404


# --- updates --------------------------------------------------------------------------------------------


async def test_an_update_replaces_adds_and_keeps(client: Client):
    name = await client.create({"a": "1", "b": "1", "f": FilePart(b"file")})
    await client.post(f"/{name}/60", {"b": "2", "c": "3"})
    listing = (await client.get(f"/{name}")).json()
    assert [listing[key] for key in "abc"] == ["1", "2", "3"]
    assert (await client.get(f"/binary/{name}/f")).body == b"file"


async def test_a_key_changes_its_kind(client: Client):
    name = await client.create({"k": "text"})
    await client.post(f"/{name}/60", {"k": FilePart(b"file")})
    assert (await client.get(f"/binary/{name}/k")).body == b"file"
    await client.post(f"/{name}/60", {"k": "text again"})
    assert (await client.get(f"/{name}/k")).body == b"text again"


async def test_a_refused_update_changes_nothing(client: Client):
    name = await client.create({"k": "1", "f": FilePart(b"old")})
    answer = await client.post_multipart(
        f"/{name}/60", [("k", "2"), ("f", FilePart(b"n" * 200_000)), ("_bad", "x")]
    )
    assert answer.status == 400
    assert (await client.get(f"/{name}/k")).body == b"1"
    assert (await client.get(f"/binary/{name}/f")).body == b"old"
    assert client.payload_files() == []


async def test_large_files_live_in_payload_files_until_replaced(client: Client):
    first, second = bytes(range(256)) * 1000, b"z" * 300_000
    name = await client.create({"f": FilePart(first), "g": FilePart(second)})
    assert client.engine.statistics().payload_files == 2
    assert (await client.get(f"/binary/{name}/f")).body == first
    await client.post(f"/{name}/60", {"f": FilePart(second)})
    assert (await client.get(f"/binary/{name}/f")).body == second
    assert client.engine.statistics().payload_files == 2
    await client.delete(f"/{name}")
    assert client.engine.statistics().payload_files == 0


async def test_long_texts_are_texts(client: Client):
    long = "Grüße " * 30_000
    name = await client.create({"a": "short", "long": long, "z": "last", "f": FilePart(b"x")})
    listing = await client.get(f"/{name}")
    assert listing.headers["Content-Type"] == "application/json;charset=utf-8"
    assert listing.json()["long"] == long
    assert listing.json()["z"] == "last"
    assert (await client.get(f"/{name}/long")).text == long
    binary = await client.get(f"/binary/{name}/long")
    assert binary.headers["Content-Type"] == "text/plain;charset=utf-8"
    only = await client.create({"long": long})
    assert (await client.get(f"/{only}")).json() == {"long": long}


async def test_quotas_are_answered_507():
    async with areas_client(quota_bytes=100, quota_areas_per_user=1) as client:
        assert (await client.post("/60", {"k": "v" * 200})).status == 507
        assert (await client.post("/custom/a/60", {"k": "v"}, [ANN])).status == 200
        assert (await client.post("/custom/b/60", {"k": "v"}, [ANN])).status == 507
        assert (await client.post("/custom/b/60", {"k": "v"}, [BOB])).status == 200
