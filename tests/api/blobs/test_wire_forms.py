"""Times, ranges, queries, markers, checksums and errors as they stand on the wire."""

from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retain.api.blobs.request import cors
from retain.api.blobs.wire import crc64, errors, markers, times
from retain.api.blobs.wire.errors import TABLE, AzureError
from retain.api.blobs.wire.query import parameter_name, parse_query
from retain.api.blobs.wire.ranges import content_range, parse_range
from retain.api.blobs.xml.service_properties import CorsRule
from retain.api.http.message import MAX_QUERY_FIELDS

SECOND = 10**9
MOMENT = 1_621_578_094 * SECOND


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-05-21", 1_621_555_200 * SECOND),
        ("2021-05-21T06:21Z", 1_621_578_060 * SECOND),
        ("2021-05-21T06:21:34Z", MOMENT),
        ("2021-05-21T06:21:34.1234567Z", MOMENT + 123_456_700),
        ("2021-05-21T06:21:34.5Z", MOMENT + 500_000_000),
        ("2021-05-21T08:21:34+02:00", MOMENT),
        ("2021-05-20T22:21:34-08:00", MOMENT),
        ("9999-12-31T23:59:59.9999999Z", 253_402_300_799 * SECOND + 999_999_900),
    ],
)
def test_the_four_shapes_of_a_sas_time(text, expected):
    assert times.parse_sas_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021",
        "2021-5-1",
        "2021-02-30",
        "0000-01-01",
        "2021-05-21T",
        "2021-05-21T06:21:34",
        "2021-05-21T24:00Z",
        "2021-05-21T06:60Z",
        "2021-05-21T06:21:60Z",
        "2021-05-21 06:21Z",
        "2021-05-21T06:21:34.12345678Z",
        "2021-05-21T06:21:34+15:00",
        "2021-05-21T06:21z",
        "２０２１-05-21",
        "2021-05-21\n",
        "2021-05-21T06:21:34+2:00",
    ],
)
def test_what_is_no_sas_time(text):
    with pytest.raises(ValueError, match=r".*"):
        times.parse_sas_time(text)


@given(st.integers(0, 253_402_300_799))
def test_http_dates_read_back(seconds):
    text = times.http_date(seconds * SECOND + 999_999_999)
    assert times.parse_http_date(text) == seconds
    assert times.parse_sas_time(times.iso_date(seconds * SECOND + 100)) == seconds * SECOND + 100
    assert times.parse_sas_time(times.iso_seconds(seconds * SECOND + 5)) == seconds * SECOND


def test_an_http_date_has_one_form():
    assert times.http_date(MOMENT) == "Fri, 21 May 2021 06:21:34 GMT"
    assert times.iso_date(MOMENT) == "2021-05-21T06:21:34.0000000Z"
    for text in (
        "Fri, 21 May 2021 06:21:34",
        "Fri, 31 Feb 2021 06:21:34 GMT",
        "Fri, 21 May 2021 25:21:34 GMT",
        "",
    ):
        assert times.parse_http_date(text) is None


@pytest.mark.parametrize(
    ("plain", "own", "size", "expected"),
    [
        (None, None, 10, None),
        ("bytes=0-4", None, 10, (0, 5)),
        ("bytes=0-4", "bytes=5-6", 10, (5, 7)),
        ("bytes=0-4", "", 10, (0, 5)),
        ("bytes=2-", None, 10, (2, 10)),
        ("bytes=2-99", None, 10, (2, 10)),
        ("bytes=0-9", None, 10, (0, 10)),
        (None, "bytes=0-33554431", 1, (0, 1)),
        ("bytes=-3", None, 10, None),
        ("bytes=5-4", None, 10, None),
        ("bytes=0-1,3-4", None, 10, None),
        ("bytes=a-b", None, 10, None),
        ("items=0-4", None, 10, None),
        ("bytes=0-4", "garbage", 10, None),
        ("bytes=-3", None, 0, None),
    ],
)
def test_a_range_counts_or_is_ignored(plain, own, size, expected):
    assert parse_range(plain, own, size) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=0-", 0), ("bytes=0-5", 0)]
)
def test_a_range_behind_the_end_is_416_and_names_the_size(header, size):
    with pytest.raises(AzureError) as caught:
        parse_range(None, header, size)
    assert (caught.value.status, caught.value.code) == (416, "InvalidRange")
    assert caught.value.headers == (("Content-Range", f"bytes */{size}"),)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_part_lies_inside_the_whole(size, start, length):
    if start < size:
        found = parse_range(f"bytes={start}-{start + length}", None, size)
        assert found == (start, min(start + length + 1, size))
        assert content_range(*found, size) == f"bytes {found[0]}-{found[1] - 1}/{size}"


def test_a_plus_is_a_space_except_in_the_signature():
    query = parse_query(b"where=a+b&sig=a+b%2B&prefix=&x&a%20b=%C3%BC")
    assert query.pairs == (("where", "a b"), ("sig", "a+b+"), ("prefix", ""), ("x", ""), ("a b", "ü"))
    assert query.get("prefix") == ""
    assert query.filled("prefix") is None
    assert query.get("none") is None
    assert "x" in query


def test_doubled_parameters_are_told():
    query = parse_query(b"a=1&b=2&a=3&&")
    assert (query.doubled, query.get("a")) == (frozenset("a"), "1")


@pytest.mark.parametrize("raw", [b"a=%", b"a=%2", b"a=%zz", b"a=%ff", b"a=\xff", b"a=%ed%a0%80"])
def test_a_broken_query_is_invalid_uri(raw):
    with pytest.raises(AzureError) as caught:
        parse_query(raw)
    assert (caught.value.code, caught.value.status) == ("InvalidUri", 400)


def test_a_query_of_thousands_of_parameters_is_not_parsed():
    """Each costs a microsecond or two of the event loop."""
    assert len(parse_query(b"&".join([b"a=1"] * MAX_QUERY_FIELDS)).pairs) == MAX_QUERY_FIELDS
    with pytest.raises(AzureError) as caught:
        parse_query(b"a=1&" * (MAX_QUERY_FIELDS + 1))
    assert caught.value.code == "InvalidUri"


def test_very_long_queries_are_parsed_too():
    assert parse_query(b"a=" + b"x" * 5000).get("a") == "x" * 5000


def test_the_sample_of_the_genesys_page_is_a_marker_of_ours():
    seed = "MDAwMDI3IXJlY29yZGluZ3MBMDFENzRCNEJCNUJBREREOCEwMDAwOTIh"
    head = b64decode(seed)
    assert head.startswith(b"000027!recordings\x0101D74B4BB5BADDD8!000092!")
    created = (0x01D74B4BB5BADDD8 - 116_444_736_000_000_000) * 100
    ours = markers.find_marker("recordings", created, "x" * 92)
    assert ours.split("!")[2].startswith(seed[:-4])


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.integers(0, 2**61))
def test_markers_read_back(name, created):
    assert markers.read_blob_marker(markers.blob_marker(name)) == name
    assert markers.read_find_marker(markers.find_marker("recordings", created, name)) == ("recordings", name)
    assert markers.read_container_marker("tenant", markers.container_marker("tenant", "abc")) == "abc"
    kind, length, encoded = markers.blob_marker(name).split("!")
    assert (kind, length) == ("2", str(len(encoded)))
    assert "=" not in encoded


@pytest.mark.parametrize(
    "marker",
    [
        "2!",
        "2!4",
        "2!4!QQ--!",
        "2!5!QUJD",
        "2!4!QUJD",
        "2!4!!!!!",
        "2!8!MDAwMDAx",
        "2!x!QUJD",
        "2!16!MDAwMDA1IWFiIQ--",
        "2!16!" + "A" * 20000,
        "2!12!MDAwMDAxIf8h",
        "2!12!MDAwMDAxIWEh",
        "2!36!MDAwMDAxIWEhMDAwMDAxIWEhMDAwMDAxIWEh",
    ],
)
def test_a_broken_marker_is_refused(marker):
    with pytest.raises(AzureError) as caught:
        markers.read_blob_marker(marker)
    assert (caught.value.code, caught.value.status) == ("InvalidQueryParameterValue", 400)
    with pytest.raises(AzureError):
        markers.read_find_marker(marker)


def test_a_plain_name_is_taken_as_a_marker_of_a_listing():
    assert markers.read_blob_marker("dir/file") == "dir/file"
    assert markers.read_container_marker("tenant", "abc") == "abc"
    with pytest.raises(AzureError):
        markers.read_find_marker("dir/file")


def test_crc64_is_the_nvme_one():
    assert crc64.crc64(b"123456789") == crc64.crc64_by_tables(b"123456789") == 0xAE8B14860A799888
    assert crc64.encode(crc64.crc64_by_tables(b"a" * 1024)) == "ov8U1LLnyKc="
    assert crc64.decode("ov8U1LLnyKc=") == crc64.crc64(b"a" * 1024)
    assert crc64.decode("ov8U1LLnyK=") is None
    assert crc64.decode("QUJD") is None
    assert crc64.crc64(b"") == 0


@given(st.binary(max_size=100), st.integers(0, 100))
def test_crc64_continues(data, cut):
    whole = crc64.crc64_by_tables(data)
    assert crc64.crc64_by_tables(data[cut:], crc64.crc64_by_tables(data[:cut])) == whole == crc64.crc64(data)


@pytest.mark.parametrize("code", sorted(TABLE))
def test_every_code_of_the_table_renders_in_header_and_body(code):
    error = AzureError(code, detail="why & <how>", extras=(("HeaderName", "x-ms-version"),))
    headers, body = errors.render(error, "guid", MOMENT)
    assert headers[0] == ("x-ms-error-code", code)
    assert ("Content-Type", "application/xml") in headers
    assert 400 <= error.status < 600
    document = fromstring(body)
    assert [child.tag for child in document] == ["Code", "Message", "AuthenticationErrorDetail", "HeaderName"]
    assert document.findtext("Code") == code
    assert (
        document.findtext("Message") == f"{error.message}\nRequestId:guid\nTime:2021-05-21T06:21:34.0000000Z"
    )
    assert document.findtext("AuthenticationErrorDetail") == "why & <how>"


def test_a_304_has_its_code_in_the_header_only():
    headers, body = errors.render(AzureError("ConditionNotMet", status=304), "guid", MOMENT)
    assert (headers, body) == ([("x-ms-error-code", "ConditionNotMet")], b"")


@given(st.text())
def test_an_error_echoes_any_input_as_well_formed_xml(text):
    _, body = errors.render(errors.invalid_header("x", text), "guid", MOMENT)
    document = fromstring(body)
    assert document.findtext("Code") == "InvalidHeaderValue"
    assert document.findtext("HeaderName") == "x"
    if text.isalnum() and text.isascii():
        assert document.findtext("HeaderValue") == text
    assert "RequestId:guid" in (document.findtext("Message") or "")


STATUSES = {
    403: """
        AuthenticationFailed AuthorizationFailure AuthorizationPermissionMismatch
        AuthorizationServiceMismatch AuthorizationResourceTypeMismatch AuthorizationProtocolMismatch
        AuthorizationSourceIPMismatch UnauthorizedBlobOverwrite InsufficientAccountPermissions
        CorsPreflightFailure
    """,
    401: """
        NoAuthenticationInformation
    """,
    404: """
        ContainerNotFound BlobNotFound ResourceNotFound
        CannotVerifyCopySource
    """,
    409: """
        ContainerAlreadyExists ContainerBeingDeleted BlobAlreadyExists InvalidBlobType SnapshotsPresent
        BlockCountExceedsLimit FeatureVersionMismatch
        BlobImmutableDueToPolicy ContainerImmutableDueToPolicy LeaseAlreadyPresent CopyIdMismatch
        LeaseNotPresentWithLeaseOperation LeaseIdMismatchWithLeaseOperation NoPendingCopyOperation
        LeaseIsBreakingAndCannotBeAcquired LeaseIsBreakingAndCannotBeChanged LeaseIsBrokenAndCannotBeRenewed
        BothUserTagsAndSourceTagsCopyPresentException
    """,
    412: """
        ConditionNotMet SourceConditionNotMet TargetConditionNotMet LeaseIdMissing
        LeaseIdMismatchWithBlobOperation LeaseNotPresentWithBlobOperation
        LeaseNotPresentWithContainerOperation LeaseIdMismatchWithContainerOperation LeaseLost
    """,
    416: """
        InvalidRange
    """,
    400: """
        InvalidAuthenticationInfo InvalidBlockList InvalidBlobOrBlock InvalidBlockId BlockListTooLong
        Md5Mismatch InvalidMd5 InvalidHeaderValue MissingRequiredHeader UnsupportedHeader
        ConditionHeadersNotSupported MultipleConditionHeadersNotSupported InvalidQueryParameterValue
        OutOfRangeQueryParameterValue MissingRequiredQueryParameter UnsupportedQueryParameter
        OutOfRangeInput InvalidResourceName InvalidUri InvalidInput InvalidMetadata EmptyMetadataKey
        MetadataTooLarge InvalidXmlDocument InvalidXmlNodeValue MissingRequiredXmlNode UnsupportedXmlNode
        EmptyTagName DuplicateTagNames TagsTooLarge InvalidTag
        BothCrc64AndMd5HeaderPresent Crc64Mismatch UnsatisfiableCondition ExceedsMaxBatchRequestCount
        RequestUrlFailedToParse
    """,
    405: """
        UnsupportedHttpVerb
    """,
    411: """
        MissingContentLengthHeader
    """,
    413: """
        RequestBodyTooLarge
    """,
    500: """
        InternalError OperationTimedOut
    """,
    501: """
        NotImplemented
    """,
    507: """
        InsufficientAccountStorage
    """,
    503: """
        ServerBusy
    """,
}


@pytest.mark.parametrize(("status", "codes"), STATUSES.items())
def test_the_statuses_are_those_of_the_specification(status, codes):
    assert {code: TABLE[code].status for code in codes.split()} == dict.fromkeys(codes.split(), status)


def test_no_code_is_without_a_status_here():
    assert {code for codes in STATUSES.values() for code in codes.split()} == TABLE.keys()


def rule(**changes):
    blank = {"origins": ("https://a.test",), "methods": ("GET",), "allowed": (), "exposed": (), "max_age": 5}
    return CorsRule(**{**blank, **changes})


def test_the_first_rule_that_covers_a_request_decides():
    rules = [rule(methods=("PUT",)), rule(exposed=("x-ms-a",)), rule(origins=("*",), exposed=("x-ms-b",))]
    found = dict(cors.response_headers(rules, "GET", {"origin": "https://a.test"}))
    assert found["Access-Control-Expose-Headers"] == "x-ms-a"
    assert found["Access-Control-Allow-Credentials"] == "true"
    found = dict(cors.response_headers(rules, "GET", {"origin": "https://b.test"}))
    assert found == {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "x-ms-b"}
    assert cors.response_headers(rules[:1], "GET", {"origin": "https://a.test"}) == [("Vary", "Origin")]
    assert cors.response_headers(rules, "GET", {}) == []
    asked = {"origin": "https://a.test", "access-control-request-method": "GET"}
    assert "Access-Control-Allow-Headers" not in dict(cors.preflight_headers(rules, asked))


@pytest.mark.parametrize("day", range(366))
def test_an_http_date_is_written_as_everyone_writes_it(day):
    """Against the standard library: every month and every day of the week."""
    seconds = 1_704_067_200 + day * 86_400
    assert times.http_date(seconds * SECOND) == formatdate(seconds, usegmt=True)


@pytest.mark.parametrize("day", range(7))
def test_every_day_of_the_week_is_read_in_each_form_of_a_date(day):
    """RFC 9110, section 5.6.7: the form that is written, and the two obsolete ones; nothing else."""
    moment = datetime(2026, 11, 23, 9, 8, 7, tzinfo=UTC) + timedelta(days=day, hours=1)
    seconds = int(moment.timestamp())
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"):
        text = moment.strftime(form)
        assert times.parse_http_date(text) == seconds, text
        assert times.parse_http_date(text.lower()) is None
        assert times.parse_http_date(text[1:]) is None
        assert times.parse_http_date(text + "~") is None


@pytest.mark.parametrize(
    ("zone", "seconds"),
    [
        ("+14:00", 14 * 3600),
        ("+14:59", 14 * 3600 + 59 * 60),
        ("-14:00", -14 * 3600),
        ("+05:45", 5 * 3600 + 45 * 60),
        ("-03:30", -(3 * 3600 + 30 * 60)),
        ("+00:01", 60),
        ("+00:00", 0),
    ],
)
def test_a_zone_of_a_sas_time_has_hours_and_minutes(zone, seconds):
    assert times.parse_sas_time(f"2021-05-21T06:21:34{zone}") == MOMENT - seconds * SECOND


@pytest.mark.parametrize("zone", ["+15:00", "-15:00", "+02:60", "+14:60", "+24:00"])
def test_a_zone_that_is_none_is_no_sas_time(zone):
    with pytest.raises(ValueError, match="no such time zone"):
        times.parse_sas_time(f"2021-05-21T06:21:34{zone}")


@pytest.mark.parametrize(
    ("piece", "name"),
    [
        (b"Comp=list", "comp"),
        (b"a=b=c", "a"),
        (b"alone", "alone"),
        (b"two+words=1", "two words"),
        (b"two%2Bwords", "two+words"),
        (b"%43OMP=1", "comp"),
        (b"%ff=1", "\ufffd"),
        (b"%zz=1", "%zz"),
        (b"=value", ""),
    ],
)
def test_a_parameters_name_is_read_from_any_bytes(piece, name):
    assert parameter_name(piece) == name


def test_an_account_without_rules_answers_no_origin():
    assert cors.response_headers([], "GET", {"origin": "https://a.test"}) == []
    assert cors.response_headers([rule()], "GET", {"origin": ""}) == []
