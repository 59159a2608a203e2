"""Names, metadata, block ids and tags: what passes, and with which error the rest is refused."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.blobs.wire import names, tags
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.xml.read import parse_tag_set


def verdict(function, *arguments):
    """The code with which a value is refused; None for one that passes."""
    try:
        function(*arguments)
    except AzureError as error:
        return error.code
    return None


def code(function, *arguments):
    with pytest.raises(AzureError) as caught:
        function(*arguments)
    assert caught.value.status == 400
    return caught.value.code


@pytest.mark.parametrize("name", ["abc", "a-b-c", "123", "a" * 63, "$root", "$web", "$logs", "gim-export"])
def test_container_names_that_pass(name):
    assert verdict(names.check_container, name) is None
    assert verdict(names.check_container, name + "_") is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ab", "OutOfRangeInput"),
        ("a" * 64, "OutOfRangeInput"),
        ("", "OutOfRangeInput"),
        ("Abc", "InvalidResourceName"),
        ("a_b", "InvalidResourceName"),
        ("a--b", "InvalidResourceName"),
        ("-ab", "InvalidResourceName"),
        ("ab-", "InvalidResourceName"),
        ("äbc", "InvalidResourceName"),
        ("abc\n", "InvalidResourceName"),
        ("$other", "InvalidResourceName"),
    ],
)
def test_container_names_that_do_not(name, expected):
    assert code(names.check_container, name) == expected


@pytest.mark.parametrize(
    "name", ["a", "a/b", "x" * 1024, "Ä ö+%?#&='\"<>", "a//b", "/".join("a" * 254), "🙂"]
)
def test_blob_names_that_pass(name):
    assert verdict(names.check_blob, name) is None
    assert verdict(names.check_blob, name + "\0") is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "OutOfRangeInput"),
        ("x" * 1025, "OutOfRangeInput"),
        ("/".join("a" * 255), "InvalidUri"),
        ("a\0b", "InvalidResourceName"),
        ("a\nb", "InvalidResourceName"),
        ("a\x7fb", "InvalidResourceName"),
        ("a\ufdd0b", "InvalidResourceName"),
        ("a\ufdefb", "InvalidResourceName"),
        ("a\U0001ffffb", "InvalidResourceName"),
    ],
)
def test_blob_names_that_do_not(name, expected):
    assert code(names.check_blob, name) == expected


def test_metadata_keeps_the_case_of_its_names():
    headers = [("X-Ms-Meta-Foo", "1"), ("x-ms-meta-bar_2", ""), ("x-ms-version", "2"), ("Content-Type", "x")]
    metadata = names.parse_metadata(headers)
    assert metadata == {"Foo": "1", "bar_2": ""}
    assert names.metadata_headers(metadata) == [("x-ms-meta-Foo", "1"), ("x-ms-meta-bar_2", "")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-ms-meta-", "1")], "EmptyMetadataKey"),
        ([("x-ms-meta-a-b", "1")], "InvalidMetadata"),
        ([("x-ms-meta-1a", "1")], "InvalidMetadata"),
        ([("x-ms-meta-a", "1"), ("x-ms-meta-A", "2")], "InvalidMetadata"),
        ([("x-ms-meta-a", "\x01")], "InvalidMetadata"),
        ([("x-ms-meta-a", "x" * 8192)], "MetadataTooLarge"),
    ],
)
def test_metadata_that_is_none(headers, expected):
    assert code(names.parse_metadata, headers) == expected


@pytest.mark.parametrize("size", [1, 9, 48, 64])
def test_block_ids_are_base64_of_1_to_64_bytes(size):
    assert names.block_id(b64encode(b"i" * size).decode()) == b"i" * size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "MissingRequiredQueryParameter"),
        ("", "MissingRequiredQueryParameter"),
        ("no base64", "InvalidQueryParameterValue"),
        ("QQ", "InvalidQueryParameterValue"),
        ("é===", "InvalidQueryParameterValue"),
        (b64encode(b"i" * 65).decode(), "OutOfRangeInput"),
    ],
)
def test_block_ids_that_are_none(text, expected):
    assert code(names.block_id, text) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1&B=2", {"a": "1", "B": "2"}),
        ("a+b=c%20d", {"a b": "c d"}),
        ("a%2Bb=%3D", {"a+b": "="}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
    ],
)
def test_the_header_form_of_tags(header, expected):
    assert tags.parse_tags_header(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("a", "InvalidHeaderValue"),
        ("a=1&", "InvalidHeaderValue"),
        ("a=%zz", "InvalidHeaderValue"),
        ("a=%ff", "InvalidHeaderValue"),
        ("=1", "EmptyTagName"),
        ("a=1&a=2", "DuplicateTagNames"),
        ("a=%C3%BC", "InvalidTag"),
        ("a!=1", "InvalidTag"),
        (f"{'k' * 129}=1", "TagsTooLarge"),
        (f"k={'v' * 257}", "TagsTooLarge"),
        ("&".join(f"k{n}=1" for n in range(11)), "TagsTooLarge"),
        ("a=" + "x" * 20000, "TagsTooLarge"),
    ],
)
def test_the_header_form_of_tags_refused(header, expected):
    assert code(tags.parse_tags_header, header) == expected


legal = st.text("abcXYZ019 +-./:=_", max_size=20)


@given(st.dictionaries(legal.filter(bool), legal, max_size=10))
def test_tags_survive_their_xml(given_tags):
    assert parse_tag_set(tags.tags_document(given_tags)) == given_tags


def test_an_empty_tag_set_clears():
    assert parse_tag_set(b"<Tags><TagSet/></Tags>") == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "InvalidXmlDocument"),
        (b"<Tags/>", "InvalidXmlDocument"),
        (b"<Tags><TagSet/><TagSet/></Tags>", "InvalidXmlDocument"),
        (b"<Tags><TagSet><Tag><Key>a</Key></Tag></TagSet></Tags>", "InvalidXmlDocument"),
        (b"<Tags><TagSet><Other/></TagSet></Tags>", "InvalidXmlDocument"),
        (b"<Tags><TagSet><Tag><Key>a</Key><Key>a</Key><Value/></Tag></TagSet></Tags>", "InvalidXmlDocument"),
        (b"<Tags><TagSet><Tag><Key/><Value/></Tag></TagSet></Tags>", "EmptyTagName"),
        (
            b"<Tags><TagSet>" + b"<Tag><Key>a</Key><Value/></Tag>" * 2 + b"</TagSet></Tags>",
            "DuplicateTagNames",
        ),
    ],
)
def test_the_xml_form_of_tags_refused(body, expected):
    assert code(parse_tag_set, body) == expected


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("x" * 1024, None),
        ("x" * 1025, "OutOfRangeInput"),
        ("/".join("x" * 254), None),
        ("/".join("x" * 255), "InvalidUri"),
    ],
)
async def test_a_blobs_name_is_judged_alike_by_every_operation(client, name, code):
    for method, query, headers, body in (
        ("PUT", "", [("x-ms-blob-type", "BlockBlob")], b"x"),
        ("GET", "", [], None),
        ("HEAD", "", [], None),
        ("GET", "?comp=metadata", [], None),
        ("GET", "?comp=tags", [], None),
        ("GET", "?comp=blocklist", [], None),
        ("PUT", "?comp=metadata", [], b""),
        ("PUT", "?comp=properties", [], b""),
        ("PUT", "?comp=tier", [("x-ms-access-tier", "Hot")], b""),
        ("PUT", "?comp=block&blockid=QQ%3D%3D", [], b"x"),
        ("PUT", "?comp=lease", [("x-ms-lease-action", "break")], b""),
        ("DELETE", "", [], None),
    ):
        answer = await client.send(method, f"/recordings/{name}{query}", headers, body)
        if code is None:
            assert answer.code not in ("OutOfRangeInput", "InvalidUri", "BlobNotFound"), (method, query)
        else:
            assert (answer.status, answer.code) == (400, code), (method, query)


@pytest.mark.parametrize(
    ("name", "code"),
    [("ab", "OutOfRangeInput"), ("x" * 64, "OutOfRangeInput"), ("a--b", "InvalidResourceName")],
)
async def test_a_containers_name_is_judged_alike_by_every_operation(client, name, code):
    for method, path in (
        ("PUT", f"/{name}?restype=container"),
        ("GET", f"/{name}?restype=container"),
        ("GET", f"/{name}?restype=container&comp=list"),
        ("GET", f"/{name}?restype=container&comp=acl"),
        ("DELETE", f"/{name}?restype=container"),
        ("GET", f"/{name}/blob"),
    ):
        assert (await client.send(method, path)).code == code, (method, path)


def test_every_character_but_controls_surrogates_and_noncharacters_is_one_of_a_name():
    """U+FFFE and U+FFFF alone are taken of the noncharacters, as at Azure."""
    refused = {*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000), *range(0xFDD0, 0xFDF0)}
    refused |= {plane << 16 | last for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)}
    edges = {plane << 16 | last for plane in range(1, 17) for last in (0, 0xFFFD)}
    found = set()
    for number in sorted({*range(0x10000), *refused, *edges}):
        try:
            names.check_blob(chr(number))
        except AzureError as error:
            found.add(number if error.code == "InvalidResourceName" else -1)
    assert found == refused
