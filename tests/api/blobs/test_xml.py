"""Listings to the letter, and readers that take nothing but what they must (docs/wire/blobs.md, sections 2.3,
5 and 6)."""

from __future__ import annotations

import tracemalloc
from base64 import b64decode, b64encode
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.escape import escape, name_element
from retain.api.blobs.wire.times import parse_sas_time
from retain.api.blobs.xml import policies as acl
from retain.api.blobs.xml import write as xml_lists
from retain.api.blobs.xml.read import MAX_BLOCKS, parse_block_list, parse_document
from retain.engine.blobs.entries import (
    BlobEntry,
    Block,
    ContainerEntry,
    ContentHeaders,
    CopyInfo,
    StagedBlocks,
    StoredPolicy,
)
from retain.engine.core.body import Inline

WRITTEN = (0x8D91C20AE6F18A7 - 621_355_968_000_000_000) * 100
AVAILABLE = ("unlocked", "available", None)
PLAIN = xml_lists.Include()
ALL = xml_lists.Include(metadata=True, tags=True, copy=True)


def entry(**changes):
    blank = BlobEntry(
        resource=bytes(16),
        created=WRITTEN,
        modified=WRITTEN,
        seq=1,
        body=Inline(b"x" * 252, b""),
        md5=b64decode("k0DUvvcVv1f+wZXECIy9dw=="),
        headers=ContentHeaders("application/octet-stream"),
        metadata=(),
        tags=(),
        tier=None,
        tier_changed=None,
        copy=None,
        lease=None,
        metadata_seq=0,
    )
    return blank._replace(**changes)


def test_a_blob_of_the_genesys_page():
    assert xml_lists.blob_element("mytenant/x.mp3.bin", entry(), AVAILABLE, PLAIN) == (
        "<Blob><Name>mytenant/x.mp3.bin</Name><Properties>"
        "<Creation-Time>Fri, 21 May 2021 06:21:34 GMT</Creation-Time>"
        "<Last-Modified>Fri, 21 May 2021 06:21:34 GMT</Last-Modified><Etag>0x8D91C20AE6F18A7</Etag>"
        "<Content-Length>252</Content-Length><Content-Type>application/octet-stream</Content-Type>"
        "<Content-Encoding /><Content-Language /><Content-CRC64 />"
        "<Content-MD5>k0DUvvcVv1f+wZXECIy9dw==</Content-MD5><Cache-Control /><Content-Disposition />"
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>"
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
        "<ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
    )


def test_every_property_has_its_place():
    full = entry(
        created=WRITTEN - 10**9,
        headers=ContentHeaders("audio/mpeg", "gzip", "de", "attachment; x=<1>", "no-store"),
        metadata=(("Foo", "a & b"), ("bad", "\x01")),
        tags=(("k", "v"),),
        tier="Cool",
        tier_changed=WRITTEN,
        copy=CopyInfo("guid", "http://h/a/b/c", WRITTEN, 252),
        md5=None,
    )
    blob = fromstring(xml_lists.blob_element("n", full, ("locked", "leased", "infinite"), ALL))
    assert [child.tag for child in blob] == ["Name", "Properties", "Metadata", "Tags"]
    properties = [(child.tag, child.text) for child in blob.find("Properties")]
    assert properties == [
        ("Creation-Time", "Fri, 21 May 2021 06:21:33 GMT"),
        ("Last-Modified", "Fri, 21 May 2021 06:21:34 GMT"),
        ("Etag", "0x8D91C20AE6F18A7"),
        ("Content-Length", "252"),
        ("Content-Type", "audio/mpeg"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "de"),
        ("Content-CRC64", None),
        ("Content-MD5", None),
        ("Cache-Control", "no-store"),
        ("Content-Disposition", "attachment; x=<1>"),
        ("BlobType", "BlockBlob"),
        ("AccessTier", "Cool"),
        ("AccessTierChangeTime", "Fri, 21 May 2021 06:21:34 GMT"),
        ("LeaseStatus", "locked"),
        ("LeaseState", "leased"),
        ("LeaseDuration", "infinite"),
        ("CopyId", "guid"),
        ("CopyStatus", "success"),
        ("CopySource", "http://h/a/b/c"),
        ("CopyProgress", "252/252"),
        ("CopyCompletionTime", "Fri, 21 May 2021 06:21:34 GMT"),
        ("ServerEncrypted", "true"),
        ("TagCount", "1"),
    ]
    assert [(child.tag, child.text) for child in blob.find("Metadata")] == [
        ("Foo", "a & b"),
        ("x-ms-invalid-name", "bad"),
    ]
    assert blob.findtext("Tags/TagSet/Tag/Value") == "v"


def test_metadata_tags_and_copies_are_listed_only_when_asked_for():
    full = entry(metadata=(("a", "1"),), tags=(("k", "v"),), copy=CopyInfo("guid", "s", WRITTEN, 1))
    text = xml_lists.blob_element("n", full, AVAILABLE, PLAIN)
    assert "<Metadata" not in text
    assert "<Tags" not in text
    assert "<Copy" not in text
    assert "<TagCount>1</TagCount>" in text
    assert "<Metadata />" in xml_lists.blob_element("n", entry(), AVAILABLE, ALL)
    assert "<Tags" not in xml_lists.blob_element("n", entry(), AVAILABLE, ALL)


def test_a_page_repeats_what_was_asked_in_order():
    asked = xml_lists.ListingParameters(prefix="a&", marker="m", max_results=2, delimiter="/")
    items = [
        xml_lists.prefix_element("a&/"),
        xml_lists.pending_element("b", StagedBlocks(bytes(16), WRITTEN, 1, 4)),
    ]
    page = xml_lists.blobs_page("http://h/tenant/", "recordings", asked, [xml_lists.joined(items)], "next")
    root = fromstring(page)
    assert page.startswith(
        b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://h/tenant/" '
        b'ContainerName="recordings"><Prefix>a&amp;</Prefix><Marker>m</Marker><MaxResults>2</MaxResults>'
        b"<Delimiter>/</Delimiter><Blobs><BlobPrefix><Name>a&amp;/</Name></BlobPrefix><Blob><Name>b</Name>"
    )
    assert root.findtext("NextMarker") == "next"
    assert root.findtext("Blobs/Blob/Properties/Content-Length") == "0"


def test_an_empty_page():
    page = xml_lists.blobs_page("http://h/tenant/", "recordings", xml_lists.ListingParameters(), [], None)
    assert page.endswith(b'ContainerName="recordings"><Blobs /><NextMarker /></EnumerationResults>')


def test_a_container_has_a_quoted_etag():
    container = ContainerEntry(bytes(16), WRITTEN, WRITTEN, (("Foo", "1"),), "blob", (), None, None)
    text = xml_lists.container_element("recordings", container, AVAILABLE, metadata=True, held=False)
    page = xml_lists.containers_page(
        "http://h/tenant/", xml_lists.ListingParameters(prefix="r"), [text.encode()], None
    )
    root = fromstring(page)
    assert "ContainerName" not in root.attrib
    properties = {child.tag: child.text for child in root.find("Containers/Container/Properties")}
    assert properties["Etag"] == '"0x8D91C20AE6F18A7"'
    assert properties["PublicAccess"] == "blob"
    assert root.findtext("Containers/Container/Metadata/Foo") == "1"
    assert properties["HasLegalHold"] == "false"
    held = xml_lists.container_element("a", container, AVAILABLE, metadata=False, held=True)
    assert "<Metadata" not in held
    assert "<HasLegalHold>true</HasLegalHold>" in held


def test_a_search_lists_the_named_tags():
    item = xml_lists.found_element("n", "recordings", {"k": "v"}, "2020-04-08")
    page = xml_lists.found_page(
        "http://h/tenant/", "k = 'v'", xml_lists.ListingParameters(max_results=1), [item.encode()], "2!m"
    )
    assert page.endswith(
        b"<Where>k = &apos;v&apos;</Where><MaxResults>1</MaxResults><Blobs><Blob><Name>n</Name>"
        b"<ContainerName>recordings</ContainerName><Tags><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet>"
        b"</Tags></Blob></Blobs><NextMarker>2!m</NextMarker></EnumerationResults>"
    )


def test_the_first_version_with_tags_knew_one_value_only():
    assert "<TagValue>v</TagValue></Blob>" in xml_lists.found_element("n", "c", {"k": "v"}, "2019-12-12")


def test_a_block_list():
    blocks = [Block(b"ABC", Inline(b"xy", b""), 1)]
    assert xml_lists.block_list(blocks, []).endswith(
        b"<BlockList><CommittedBlocks><Block><Name>QUJD</Name><Size>2</Size></Block></CommittedBlocks>"
        b"<UncommittedBlocks /></BlockList>"
    )
    assert b"Uncommitted" not in xml_lists.block_list([], None)


def test_a_name_that_xml_cannot_hold_is_encoded_and_marked():
    assert name_element("a<b>&'c") == "<Name>a&lt;b&gt;&amp;'c</Name>"
    assert name_element(" a ") == "<Name> a </Name>"
    assert name_element("dir/a\uffffü") == '<Name Encoded="true">dir/a%EF%BF%BF%C3%BC</Name>'


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc"))).filter(
        lambda text: "\uffff" not in text and "\ufffe" not in text
    )
)
def test_escaped_text_reads_back(text):
    assert (fromstring(f"<a>{escape(text)}</a>").text or "") == text


def refused(function, *arguments):
    with pytest.raises(AzureError) as caught:
        function(*arguments)
    return caught.value.code


def test_a_block_list_is_read_in_order():
    body = (
        b"<?xml version='1.0'?><BlockList><Latest>QQ==</Latest><Committed>Qg==</Committed>\n"
        b"<Uncommitted> Qw== </Uncommitted><Latest>QQ==</Latest></BlockList>"
    )
    assert parse_block_list(body) == [
        ("latest", b"A"),
        ("committed", b"B"),
        ("uncommitted", b"C"),
        ("latest", b"A"),
    ]
    assert parse_block_list(b"\xef\xbb\xbf<BlockList/>") == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "InvalidXmlDocument"),
        (b"<BlockList>", "InvalidXmlDocument"),
        (b"<Blocks/>", "InvalidXmlDocument"),
        (b"<BlockList><Old>QQ==</Old></BlockList>", "InvalidXmlDocument"),
        (b"<BlockList><Latest><a/></Latest></BlockList>", "InvalidXmlDocument"),
        (b"<BlockList><Latest>Q</Latest></BlockList>", "InvalidBlockList"),
        (b"<BlockList><Latest/></BlockList>", "InvalidBlockList"),
        (
            b"<!DOCTYPE a [<!ENTITY e 'QQ=='>]><BlockList><Latest>&e;</Latest></BlockList>",
            "InvalidXmlDocument",
        ),
        (b"<!DOCTYPE BlockList><BlockList/>", "InvalidXmlDocument"),
        (b"<a>" * 9 + b"</a>" * 9, "InvalidXmlDocument"),
        (b"<?xml version='1.0' encoding='nonsense'?><BlockList/>", "InvalidXmlDocument"),
        (b"\xff\xfe\x00", "InvalidXmlDocument"),
    ],
)
def test_what_is_no_block_list(body, expected):
    assert refused(parse_block_list, body) == expected


def test_a_block_list_has_at_most_50_000_blocks():
    one = b"<Latest>QQ==</Latest>"
    assert len(parse_block_list(b"<BlockList>" + one * MAX_BLOCKS + b"</BlockList>")) == MAX_BLOCKS
    assert (
        refused(parse_block_list, b"<BlockList>" + one * (MAX_BLOCKS + 1) + b"</BlockList>")
        == "BlockListTooLong"
    )


def test_a_body_over_its_limit_is_not_read():
    assert refused(parse_document, b"<a/>" + b" " * 100, "a", 50) == "RequestBodyTooLarge"


@given(st.binary(max_size=60) | st.text("<>/&;!ab'\"= []", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body):
    for wrapped in (body, b"<BlockList>" + body + b"</BlockList>"):
        try:
            parse_block_list(wrapped)
        except AzureError as error:
            assert error.status < 500  # noqa: PT017 - both outcomes are right


def test_policies_read_and_write():
    body = (
        b"<SignedIdentifiers><SignedIdentifier><Id>p1</Id><AccessPolicy><Start>2020-01-01</Start>"
        b"<Expiry>2030-01-01T00:00:00.1234567Z</Expiry><Permission>lr</Permission></AccessPolicy></SignedIdentifier>"
        b"<SignedIdentifier><Id>p2</Id><AccessPolicy /></SignedIdentifier>"
        b"<SignedIdentifier><Id>p3</Id></SignedIdentifier></SignedIdentifiers>"
    )
    policies = acl.parse_policies(body)
    expiry = parse_sas_time("2030-01-01T00:00:00.1234567Z")
    assert policies == (
        StoredPolicy("p1", parse_sas_time("2020-01-01"), expiry, "lr"),
        StoredPolicy("p2"),
        StoredPolicy("p3"),
    )
    document = acl.policies_document(policies)
    assert (
        b"<Start>2020-01-01T00:00:00.0000000Z</Start><Expiry>2030-01-01T00:00:00.1234567Z</Expiry>"
        in document
    )
    assert acl.parse_policies(document) == policies
    assert acl.policies_document(()).endswith(b"<SignedIdentifiers />")


@pytest.mark.parametrize("body", [b"", b"<SignedIdentifiers/>"])
def test_no_identifiers_remove_every_policy(body):
    assert acl.parse_policies(body) == ()


def identifier(name="p", policy=""):
    return f"<SignedIdentifier><Id>{name}</Id><AccessPolicy>{policy}</AccessPolicy></SignedIdentifier>"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (identifier("a") + identifier("a"), "InvalidXmlDocument"),
        (identifier(""), "InvalidXmlNodeValue"),
        (identifier("x" * 65), "InvalidXmlNodeValue"),
        (identifier("p", "<Expiry>soon</Expiry>"), "InvalidXmlNodeValue"),
        (identifier("p", "<Permission>rz</Permission>"), "InvalidXmlNodeValue"),
        (identifier("p", "<Permission>rr</Permission>"), "InvalidXmlNodeValue"),
        (identifier("p", "<Other/>"), "InvalidXmlDocument"),
        ("<Other/>", "InvalidXmlDocument"),
        ("<SignedIdentifier><Other/></SignedIdentifier>", "InvalidXmlDocument"),
    ],
)
def test_policies_that_are_none(inner, expected):
    assert refused(acl.parse_policies, f"<SignedIdentifiers>{inner}</SignedIdentifiers>".encode()) == expected


def test_five_policies_are_allowed():
    body = "".join(identifier(b64encode(bytes([number])).decode()) for number in range(5))
    assert len(acl.parse_policies(f"<SignedIdentifiers>{body}</SignedIdentifiers>".encode())) == 5


def test_a_page_is_joined_by_one_copy():
    """Of 15 MB, each further copy holds the event loop for milliseconds."""
    items = [b"x" * 250_000] * 20
    asked = xml_lists.ListingParameters()
    tracemalloc.start()
    try:
        page = xml_lists.blobs_page("http://h/tenant/", "recordings", asked, items, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(page) > 5_000_000
    assert peak < 1.2 * len(page)
