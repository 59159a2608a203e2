"""What a form may hold: underscore keys, limits, what a refused form leaves (docs/wire/areas.md, sections 4
and 11)."""

from __future__ import annotations

from tests.kit.areas import (
    FORM,
    MULTIPART,
    STORAGE,
    Client,
    FilePart,
    areas_client,
    multipart,
    multipart_type,
    post,
    stored,
)

# --- underscore keys ------------------------------------------------------------------------------------


async def test_underscore_keys_are_refused_with_the_whole_request(client: Client):
    for answer in (
        await post(client, b"_subject=a&_customer_number=b", FORM),
        await post(client, b"good=1&_bad=2", FORM),
        await client.post_multipart("/60", [("good", "1"), ("_bad", "2")]),
        await client.post_multipart("/60", [("good", "1"), ("_file", FilePart(b"x" * 100_000))]),
        await client.post_multipart("/60", [("_charset_", FilePart(b"utf-8"))]),
    ):
        assert answer.status in (200, 400)
    assert (await post(client, b"good=1&_bad=2", FORM)).status == 400
    assert client.payload_files() == []


async def test_only_the_first_character_counts(client: Client):
    assert await stored(client, await post(client, b"a_b=1&K_=2", FORM)) == {"a_b": "1", "K_": "2"}


async def test_underscore_keys_can_be_left_out_instead():
    async with areas_client(underscore_keys="ignore") as client:
        assert await stored(client, await post(client, b"_subject=a&_customer_number=b", FORM)) == {}
        fields = [("_t", "1"), ("_f", FilePart(b"x" * 100_000)), ("k", "v")]
        name = (await client.post_multipart("/60", fields)).json()["id"]
        assert (await client.get(f"/{name}")).json() == {"k": "v"}
        assert (await client.get(f"/{name}/_t")).status == 404
        assert client.payload_files() == []


# --- limits ---------------------------------------------------------------------------------------------


async def test_limits_are_answered_413_and_leave_nothing():
    settings = {
        "max_request_bytes": 300_000,
        "max_value_bytes": 150_000,
        "max_text_bytes": 1000,
        "max_keys": 5,
    }
    async with areas_client(**settings, max_key_bytes=20) as client:
        big = FilePart(b"x" * 100_000)
        for fields in (
            [("a", big), ("b", big), ("c", big), ("d", "v")],
            [("a", FilePart(b"x" * 150_001))],
            [("a", big), ("b", "v" * 1001)],
            [("a", big), *((f"k{number}", "v") for number in range(5))],
            [("a", big), ("k" * 21, "v")],
        ):
            answer = await client.post_multipart("/60", fields)
            assert answer.status == 413, fields
            assert set(answer.json()) == {"exception", "message"}
            assert client.payload_files() == []
        for body in (
            b"k=" + b"v" * 1001,
            b"&".join(b"k%d=v" % number for number in range(6)),
            b"k" * 21 + b"=v",
        ):
            assert (await post(client, body, FORM)).status == 413
        fits = [("a", FilePart(b"x" * 150_000)), ("b", "v" * 1000), ("c", "v"), ("d", "v"), ("e", "v")]
        answer = await client.post_multipart("/60", fits)
        assert answer.status == 200, answer.text


async def test_a_declared_length_over_the_limit_is_refused_before_the_body(client: Client):
    for kind in (FORM, MULTIPART):
        answer = await post(client, b"", kind, ("Content-Length", str(20 << 40)))
        assert answer.status == 413


async def test_five_thousand_parts_are_too_many(client: Client):
    body = multipart((f"k{number}", "v") for number in range(5000))
    assert (await post(client, body, MULTIPART)).status == 413


async def test_all_texts_together_are_bounded(client: Client):
    fields = [(f"k{number}", "v" * 500_000) for number in range(7)]
    assert (await client.post_multipart("/60", fields)).status == 413
    assert (
        await post(client, b"&".join(b"k%d=%s" % (n, b"v" * 900_000) for n in range(4)), FORM)
    ).status == 413


async def test_many_keys_in_one_request(client: Client):
    fields = {f"key{number}": "value" * 300 for number in range(1000)}
    name = await client.create(fields)
    assert (await client.get(f"/{name}")).json() == fields
    assert (await client.post(f"/{name}/60", {"one more": "v"})).status == 413
    assert (await client.post(f"/{name}/60", {"key0": "v"})).status == 200


async def test_several_files_in_one_request(client: Client):
    files = {f"f{size}": FilePart(bytes([size % 251]) * size) for size in (0, 1, 65_536, 65_537, 300_000)}
    name = await client.create({"text": "v", **files})
    for key, file in files.items():
        assert (await client.get(f"/binary/{name}/{key}")).body == file.data
    assert client.engine.statistics().payload_files == 2


async def test_small_files_beyond_one_frame_of_the_journal_become_payload_files(client: Client):
    files: dict[str, str | FilePart] = {
        f"f{number}": FilePart(bytes([number]) * 65_536) for number in range(60)
    }
    name = (await client.post("/60", files)).json()["id"]
    assert len(client.payload_files()) == 60 - 48
    for number in (0, 47, 48, 59):
        body = (await client.get(f"/binary/{name}/f{number}")).body
        assert body == bytes([number]) * 65_536


async def test_a_file_sent_twice_under_one_key_leaves_one(client: Client):
    fields = [("f", FilePart(b"a" * 100_000)), ("f", FilePart(b"b" * 100_000))]
    name = (await client.post_multipart("/60", fields)).json()["id"]
    assert (await client.get(f"/binary/{name}/f")).body == b"b" * 100_000
    assert len(client.payload_files()) == 1


async def test_a_body_that_stops_half_way_leaves_nothing(client: Client):
    body = multipart([("f", FilePart(b"a" * 3_000_000)), ("k", "v")])
    for cut in (100, 200_000, 2_500_000, len(body) - 5):
        assert (await post(client, body[:cut], MULTIPART)).status == 400
        assert client.payload_files() == []
    assert (await client.send("POST", f"{STORAGE}/60", [multipart_type()], body)).status == 200
