"""The sample page: every operation by its forms alone, nothing by another site's."""

from __future__ import annotations

import re

import pytest

from tests.kit.areas import Answer, Client, FilePart, areas_client, multipart, multipart_type

PAGE = "/genesys/resources/storagetest.html"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def submit(
    client: Client, fields: dict[str, str | FilePart], headers: list[tuple[str, str]] | None = None
) -> Answer:
    return await client.send("POST", PAGE, [multipart_type(), *(headers or [])], multipart(fields.items()))


async def test_the_page_is_html_under_a_strict_policy(client: Client):
    page = await client.send("GET", PAGE)
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html;charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert "<script" not in page.text
    assert 'enctype="multipart/form-data"' in page.text
    assert set(re.findall(r'formaction="\.\./1/storage/(\d+)"', page.text)) == {"60", "3600", "86400"}
    assert (await client.send("HEAD", PAGE)).status == 200
    assert (await client.send("OPTIONS", PAGE)).status == 200
    assert (await client.send("PUT", PAGE)).status == 405


async def test_every_input_has_a_label_and_no_id_is_there_twice(client: Client):
    text = (await client.send("GET", PAGE)).text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    inputs = re.findall(r'<input id="([^"]+)"', text)
    assert len(inputs) == text.count("<input")
    assert set(re.findall(r'<label for="([^"]+)"', text)) == set(inputs)
    assert set(re.findall(r'aria-(?:describedby|labelledby)="([^"]+)"', text)) <= set(ids)
    assert '<html lang="en">' in text


async def test_all_operations_without_script(client: Client):
    file = FilePart(PNG, "MyPic.png", "image/png")
    created = await submit(
        client,
        {
            "_ttl": "60",
            "_id": "",
            "_user": "",
            "Key1": "Value1",
            "Key2": "",
            "FileKey": file,
            "_operation": "create",
        },
    )
    assert created.status == 200
    name = re.search(r"[0-9a-f-]{36}", created.text)[0]
    assert f'value="{name}"' in created.text
    listed = await submit(client, {"_id": name, "_user": "", "_key": "", "_operation": "list"})
    assert "Value1" in listed.text
    assert "Key2" not in re.search(r"<pre>(.*?)</pre>", listed.text, re.DOTALL)[1]
    one = await submit(client, {"_id": name, "_key": "Key1", "_operation": "value"})
    assert "<pre>Value1</pre>" in one.text
    binary = await submit(client, {"_id": name, "_key": "FileKey", "_operation": "binary"})
    assert (binary.headers["Content-Type"], binary.body) == ("image/png", PNG)
    text = await submit(client, {"_id": name, "_key": "Key1", "_operation": "binary"})
    assert (text.headers["Content-Type"], text.body) == ("text/plain;charset=utf-8", b"Value1")
    assert (
        await submit(client, {"_id": name, "_ttl": "60", "Key1": "Value2", "_operation": "update"})
    ).status == 200
    assert (await client.get(f"/{name}/Key1")).body == b"Value2"
    assert (await submit(client, {"_id": name, "_operation": "delete"})).status == 200
    assert (await client.get(f"/{name}")).status == 404


async def test_a_custom_id_and_its_customer(client: Client):
    fields = {"_ttl": "60", "_id": "x", "_user": "ann", "Key1": "v", "_operation": "create"}
    assert (await submit(client, fields)).status == 200
    assert (await client.get("/x", [("gms_user", "ann")])).json() == {"Key1": "v"}
    assert (await submit(client, {"_id": "x", "_user": "bob", "_operation": "list"})).status == 404
    assert (await submit(client, {**fields, "_user": ""})).status == 400


async def test_long_values_and_files_are_streamed(client: Client):
    name = await client.create({"long": "x" * 100_000, "f": FilePart(bytes(200_000))})
    one = await submit(client, {"_id": name, "_key": "long", "_operation": "value"})
    assert one.body == b"x" * 100_000
    binary = await submit(client, {"_id": name, "_key": "f", "_operation": "binary"})
    assert binary.body == bytes(200_000)


@pytest.mark.parametrize(
    "fields",
    [
        {"_operation": "nonsense", "_id": "x"},
        {"_id": "x"},
        {"_operation": "list", "_id": ""},
        {"_operation": "value", "_id": "x", "_key": ""},
        {"_operation": "update"},
    ],
)
async def test_incomplete_forms_are_told_so_on_the_page(client: Client, fields: dict[str, str | FilePart]):
    answer = await submit(client, fields)
    assert answer.status == 400
    assert "HTTP 400" in answer.text
    assert "StorageExceptionBadRequest" in answer.text


async def test_what_was_typed_comes_back_escaped(client: Client):
    answer = await submit(
        client, {"_operation": "list", "_id": '"><script>alert(1)</script>', "_user": "<b>"}
    )
    assert answer.status == 404
    assert "<script" not in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Sec-Fetch-Site", "same-origin")], 200),
        ([("Sec-Fetch-Site", "none")], 200),
        ([("Sec-Fetch-Site", "cross-site")], 403),
        ([("Sec-Fetch-Site", "same-site")], 403),
        ([("Host", "h:8080"), ("Origin", "http://h:8080")], 200),
        ([("Host", "h:8080"), ("Origin", "http://evil")], 403),
        ([("Host", "h:8080"), ("Origin", "null")], 403),
        ([], 200),
    ],
)
async def test_only_its_own_forms_are_taken(client: Client, headers: list[tuple[str, str]], status: int):
    fields: dict[str, str | FilePart] = {"_operation": "create", "_ttl": "60", "Key1": "v"}
    assert (await submit(client, fields, headers)).status == status


async def test_its_own_fields_are_never_stored_even_if_underscores_are_ignored():
    async with areas_client(underscore_keys="ignore") as client:
        answer = await submit(client, {"_operation": "create", "_ttl": "60", "_other": "x", "Key1": "v"})
        name = re.search(r"[0-9a-f-]{36}", answer.text)[0]
        assert (await client.get(f"/{name}")).json() == {"Key1": "v"}
