"""Conditional headers: the table of docs/wire/blobs.md, section 7, for reads, and what a write may
combine."""

from __future__ import annotations

import pytest

from retain.api.blobs.request.conditions import check_read, parse_conditions
from retain.api.blobs.request.parameters import takes_header
from retain.api.blobs.sas.permissions import Operation as Op
from retain.api.blobs.wire import etag
from retain.api.blobs.wire.errors import AzureError
from retain.api.blobs.wire.times import http_date, parse_sas_time
from retain.engine.blobs.conditions import UNCONDITIONAL
from retain.engine.blobs.tag_condition import matches
from tests.api.blobs.test_parameters import REQUESTS

WRITTEN = parse_sas_time("2021-05-21T06:21:34.5Z")
TICK = 0x8D91C20AE6F18A7
OURS, OTHER = '"0x8D91C20AE6F18A7"', '"0x8D91C20AE6F18A8"'
SECOND = 10**9
BEFORE, SAME, AFTER = (http_date(WRITTEN + shift * SECOND) for shift in (-1, 0, 1))


def parse(headers, **more):
    return parse_conditions(headers.get, **more)


def read(headers):
    try:
        check_read(parse(headers), TICK, WRITTEN, {"status": "done"})
    except AzureError as error:
        return error.status, error.code
    return 200


NOT_MET, NOT_MODIFIED = (412, "ConditionNotMet"), (304, "ConditionNotMet")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"if-match": ""}, 200),
        ({"if-match": OURS}, 200),
        ({"if-match": OURS.strip('"')}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": f"{OTHER}, {OURS}"}, 200),
        ({"if-match": OTHER}, NOT_MET),
        ({"if-match": f"W/{OURS}"}, NOT_MET),
        ({"if-match": '"foreign"'}, NOT_MET),
        ({"if-unmodified-since": SAME}, 200),
        ({"if-unmodified-since": BEFORE}, NOT_MET),
        ({"if-match": OURS, "if-unmodified-since": BEFORE}, NOT_MET),
        ({"if-none-match": OTHER}, 200),
        ({"if-none-match": OURS}, NOT_MODIFIED),
        ({"if-none-match": f"{OTHER},{OURS}"}, NOT_MODIFIED),
        ({"if-none-match": "*"}, (400, "UnsatisfiableCondition")),
        ({"if-modified-since": BEFORE}, 200),
        ({"if-modified-since": SAME}, NOT_MODIFIED),
        ({"if-modified-since": AFTER}, NOT_MODIFIED),
        ({"if-none-match": OURS, "if-modified-since": BEFORE}, 200),
        ({"if-none-match": OTHER, "if-modified-since": AFTER}, 200),
        ({"if-none-match": OURS, "if-modified-since": SAME}, NOT_MODIFIED),
        ({"if-match": OTHER, "if-none-match": OURS}, NOT_MET),
        ({"x-ms-if-tags": "status = 'done'"}, 200),
        ({"x-ms-if-tags": "status <> 'done'"}, NOT_MET),
        ({"x-ms-if-tags": "other = 'done'", "if-none-match": OTHER}, NOT_MET),
        ({"x-ms-if-tags": "status ="}, (400, "InvalidHeaderValue")),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-unmodified-since": "yesterday"}, 200),
        ({"if-modified-since": f"{AFTER}, {AFTER}"}, 200),
        ({"if-modified-since": "Friday, 21-May-21 06:21:34 GMT"}, NOT_MODIFIED),
        ({"if-modified-since": "Fri May 21 06:21:34 2021"}, NOT_MODIFIED),
        ({"if-modified-since": "Friday, 21-May-21 06:21:33 GMT"}, 200),
        ({"if-unmodified-since": "Fri May 21 06:21:33 2021"}, NOT_MET),
        ({"if-match": f"{OURS},"}, (400, "InvalidHeaderValue")),
    ],
)
def test_a_read_is_held_against_its_conditions(headers, expected):
    assert read(headers) == expected


def test_a_304_names_the_validators():
    with pytest.raises(AzureError) as caught:
        check_read(parse({"if-none-match": OURS}), TICK, WRITTEN, {})
    assert caught.value.headers == (("ETag", OURS), ("Last-Modified", SAME))


PAIRS = [
    ({"if-match", "if-unmodified-since"}, True),
    ({"if-none-match", "if-modified-since"}, True),
    ({"if-match", "if-none-match"}, False),
    ({"if-match", "if-modified-since"}, False),
    ({"if-unmodified-since", "if-none-match"}, False),
    ({"if-unmodified-since", "if-modified-since"}, False),
    ({"if-match", "if-unmodified-since", "if-none-match", "if-modified-since"}, False),
]
VALUES = {"if-match": OURS, "if-none-match": OURS, "if-modified-since": SAME, "if-unmodified-since": SAME}


@pytest.mark.parametrize(("names", "allowed"), PAIRS)
@pytest.mark.parametrize("prefix", ["", "x-ms-source-", "x-ms-blob-"])
def test_a_write_takes_one_pair_of_conditions(names, allowed, prefix):
    headers = {f"{prefix}{name}": VALUES[name] for name in names}
    if allowed:
        assert parse(headers, prefix=prefix, write=True) is not UNCONDITIONAL
        return
    with pytest.raises(AzureError) as caught:
        parse(headers, prefix=prefix, write=True)
    assert (caught.value.code, caught.value.status) == ("MultipleConditionHeadersNotSupported", 400)


def test_a_write_takes_one_etag():
    for name in ("if-match", "if-none-match"):
        with pytest.raises(AzureError) as caught:
            parse({name: f"{OURS},{OTHER}"}, write=True)
        assert ("HeaderName", name) in caught.value.extras


def test_conditions_reach_the_engine_in_its_terms():
    lease = "01234567-89ab-cdef-0123-456789abcdef"
    conditions = parse({"if-none-match": "*", "x-ms-lease-id": lease, "x-ms-if-tags": "a = '1'"}, write=True)
    assert conditions.if_none_match.any
    assert conditions.lease == lease
    assert matches(conditions.tags, {"a": "1"})
    assert not matches(conditions.tags, {})
    conditions = parse({"if-match": OURS, "if-unmodified-since": SAME}, write=True)
    assert conditions.if_match.values == {TICK}
    assert conditions.unmodified_since == WRITTEN // SECOND * SECOND


def test_each_prefix_reads_its_own_headers_only():
    headers = {"if-match": OURS, "x-ms-lease-id": "guid", "x-ms-if-tags": "a = '1'"}
    assert parse(headers, prefix="x-ms-source-") is UNCONDITIONAL
    source = parse({"x-ms-source-if-match": OTHER, "x-ms-source-if-tags": "b = '1'"}, prefix="x-ms-source-")
    assert source.if_match.values == {TICK + 1}
    assert matches(source.tags, {"b": "1"})


def test_an_etag_is_the_tick_count_of_its_instant():
    modified = parse_sas_time("2021-05-21T06:21:34Z")
    assert etag.bare(TICK) == "0x8D91C20AE6F18A7"
    assert modified // SECOND == (TICK - 621_355_968_000_000_000) * 100 // SECOND
    assert etag.parse(etag.quoted(TICK)) == etag.parse(etag.bare(TICK)) == TICK
    for text in ("", '"', "0x", "0x8d91c20ae6f18a7", '"0x8D91C20AE6F18A7', "*", "8D91C20AE6F18A7"):
        assert etag.parse(text) is None
    assert etag.filetime_hex(0) == "019DB1DED53E8000"


READS = {
    Op.GET_BLOB,
    Op.GET_BLOB_PROPERTIES,
    Op.GET_BLOB_METADATA,
    Op.GET_BLOB_TAGS,
    Op.GET_BLOCK_LIST,
}
PREFIXES = [
    *((op, "") for op in Op if takes_header(op, "if-match")),
    *((op, "x-ms-blob-") for op in Op if takes_header(op, "x-ms-blob-if-match") and op is not Op.PUT_BLOB),
    *((op, "x-ms-source-") for op in (Op.PUT_BLOB_FROM_URL, Op.COPY_BLOB, Op.PUT_BLOCK_FROM_URL)),
]


@pytest.mark.parametrize(
    ("operation", "prefix"), PREFIXES, ids=[f"{op.value} {prefix}" for op, prefix in PREFIXES]
)
async def test_every_write_reads_its_conditions_as_a_write_does(client, operation, prefix):
    """Whatever it cannot honour to the letter it refuses; a read takes several ETags, and any date."""
    assert len(PREFIXES) == 24
    await client.put("a", b"1")
    method, path, headers, body = REQUESTS[operation]
    for name, value in (
        ("if-match", f"{OURS},{OTHER}"),
        ("if-none-match", f"{OURS},{OTHER}"),
        ("if-modified-since", "tomorrow"),
        ("if-unmodified-since", "tomorrow"),
    ):
        sent = f"{prefix}{name}"
        answer = await client.send(method, path, [*headers, (sent, value)], body)
        if operation in READS:
            assert answer.code != "InvalidHeaderValue", sent
            continue
        assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), sent
        assert answer.xml.findtext("HeaderName") == sent
    both = [(f"{prefix}if-match", OURS), (f"{prefix}if-none-match", OTHER)]
    answer = await client.send(method, path, [*headers, *both], body)
    assert (answer.code == "MultipleConditionHeadersNotSupported") == (operation not in READS)


@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
@pytest.mark.parametrize("date", ["tomorrow", "2044-11-06T08:49:37Z", "Sun, 06 Nov 2044"])
async def test_a_date_that_cannot_be_read_is_refused_by_writes_and_ignored_by_reads(client, name, date):
    await client.put("a", b"1")
    for method, path in (
        ("DELETE", "/recordings/a"),
        ("PUT", "/recordings/a?comp=metadata"),
        ("PUT", "/recordings?restype=container&comp=metadata"),
    ):
        answer = await client.send(method, path, [(name, date)])
        assert (answer.status, answer.code) == (400, "InvalidHeaderValue"), (method, path)
        assert answer.xml.findtext("HeaderName") == name
    assert (await client.get("a", [(name, date)])).status == 200
