"""The headers and query parameters of the blobs interface, and their combinations.

api/blobs/request/parameters.py is the server's table; tests compare the two.
"""

from __future__ import annotations

from typing import Any, Final

from retain.api.openapi.parts import Doc, parameter

METADATA: Final = "x-ms-meta-name"
PUBLIC_ACCESS: Final = "x-ms-blob-public-access"
_CONDITION_NAMES: Final = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")
CONDITIONS: Final = _CONDITION_NAMES
LEASE: Final = ("x-ms-lease-id",)
ON_BLOB: Final = (*CONDITIONS, *LEASE, "x-ms-if-tags")
ON_TAGS: Final = (*LEASE, "x-ms-if-tags", *(f"x-ms-blob-{name.lower()}" for name in _CONDITION_NAMES))
SOURCE: Final = (
    "x-ms-copy-source",
    "x-ms-source-if-tags",
    "x-ms-source-lease-id",
    *(f"x-ms-source-{name.lower()}" for name in _CONDITION_NAMES),
)
SOURCE_SUMS: Final = ("x-ms-source-content-md5", "x-ms-source-content-crc64")
CONTENT: Final = (
    "x-ms-blob-content-type",
    "x-ms-blob-content-encoding",
    "x-ms-blob-content-language",
    "x-ms-blob-content-disposition",
    "x-ms-blob-content-md5",
    "x-ms-blob-cache-control",
)
SUMS: Final = ("Content-MD5", "x-ms-content-crc64")
UPLOAD: Final = (*SUMS, "x-ms-structured-body", "x-ms-structured-content-length")
LEASING: Final = (
    "x-ms-lease-action",
    *LEASE,
    "x-ms-proposed-lease-id",
    "x-ms-lease-duration",
    "x-ms-lease-break-period",
)
RANGES: Final = (
    "Range",
    "x-ms-range",
    "x-ms-range-get-content-md5",
    "x-ms-range-get-content-crc64",
    "x-ms-structured-body",
    "x-ms-structured-content-length",
)
PAGE: Final = ("prefix", "marker", "maxresults", "include")
FIND: Final = ("where", "marker", "maxresults", "include")
OLDER: Final = ("snapshot", "versionid")
ANYWHERE: Final = ("timeout", "x-ms-version", "x-ms-client-request-id")

_GUID: Final[Doc] = {"type": "string", "format": "uuid"}
_TRUTH: Final[Doc] = {"enum": ["true", "false"]}
_TICKS: Final = "An ETag, or `*`; a read takes several."
_DATE: Final = "A date of HTTP (RFC 9110, section 5.6.7)."
_TIERS: Final[Doc] = {
    "enum": [
        "Hot",
        "Cool",
        "Cold",
        "Archive",
        "Smart",
    ]
}


def _conditions(prefix: str, of: str) -> dict[str, Doc]:
    texts = (
        f"{_TICKS} {of} must have it.",
        f"{_TICKS} {of} must not have it.",
        f"{_DATE} {of} must have been written after it.",
        f"{_DATE} {of} must not have been written after it.",
    )
    names = _CONDITION_NAMES if not prefix else tuple(f"{prefix}{name.lower()}" for name in _CONDITION_NAMES)
    return {name: _header(name, text) for name, text in zip(names, texts, strict=True)}


def _header(name: str, description: str, schema: Doc | None = None, **more: Any) -> Doc:
    return parameter("header", name, description, schema, **more)


def _query(name: str, description: str, schema: Doc | None = None, **more: Any) -> Doc:
    return parameter("query", name, description, schema, **more)


def _path(name: str, description: str, schema: Doc | None = None, **more: Any) -> Doc:
    return parameter("path", name, description, schema, **more)


_PLACES: Final = (
    _path(
        "account",
        "The tenant's account.",
        {"type": "string", "minLength": 3, "maxLength": 24, "pattern": "^[a-z0-9]+$"},
        example="mytenant",
    ),
    _path(
        "container",
        "The container.",
        {
            "type": "string",
            "minLength": 3,
            "maxLength": 63,
            "pattern": "^([a-z0-9](-?[a-z0-9])*|\\$(root|web|logs))$",
        },
        example="recordings",
    ),
    _path(
        "blob",
        "The blob. Slashes in its name need no encoding.",
        {"type": "string", "minLength": 1, "maxLength": 1024},
        example="8888/call.mp3",
    ),
)
_OF_QUERY: Final = (
    _query("prefix", "Only names that begin with this."),
    _query("marker", "`NextMarker` of the page before."),
    _query(
        "maxresults", "The length of the page; more than 5000 means 5000.", {"type": "integer", "minimum": 1}
    ),
    _query("include", "What to show beside names and properties: a list of words.", example="metadata"),
    _query("delimiter", "Folds names at this text.", example="/"),
    _query("startFrom", "The first name to list."),
    _query("where", "An expression of tags.", required=True, example="RecordingType='CALL'"),
    _query("blockid", "The id of the block, in Base64.", required=True, example="YmxvY2stMDAx"),
    _query("blocklisttype", "Which blocks.", {"enum": ["committed", "uncommitted", "all"]}),
    _query("copyid", "The id of a copy."),
    _query("snapshot", "Retain has none: 404."),
    _query("versionid", "Retain has none: 404."),
    _query("timeout", "Accepted; has no effect.", {"type": "integer", "minimum": 0}),
)
_OF_LEASES: Final = (
    _header("x-ms-lease-id", "The id of the lease that the caller holds.", _GUID),
    _header("x-ms-proposed-lease-id", "The id of the lease to acquire, or to change to.", _GUID),
    _header(
        "x-ms-lease-action",
        "What to do.",
        {"enum": ["acquire", "renew", "change", "release", "break"]},
        required=True,
        example="acquire",
    ),
    _header(
        "x-ms-lease-duration",
        "15 to 60 seconds, or -1 for ever.",
        {"anyOf": [{"type": "integer", "minimum": 15, "maximum": 60}, {"const": -1}]},
        example=15,
    ),
    _header(
        "x-ms-lease-break-period",
        "Seconds until it is broken.",
        {"type": "integer", "minimum": 0, "maximum": 60},
    ),
)
_OF_CONTENT: Final = (
    _header("x-ms-blob-content-type", "The type to store.", example="audio/mpeg"),
    _header("x-ms-blob-content-encoding", "The coding to store."),
    _header("x-ms-blob-content-language", "The language to store."),
    _header("x-ms-blob-content-disposition", "The disposition to store."),
    _header("x-ms-blob-content-md5", "The MD5 to store, in Base64."),
    _header("x-ms-blob-cache-control", "The cache control to store."),
    _header("Content-MD5", "The MD5 of the body, in Base64. It is verified."),
    _header("x-ms-content-crc64", "The CRC-64/NVME of the body, in Base64. It is verified."),
    _header("x-ms-structured-body", "The form of the body.", {"const": "XSM/1.0; properties=crc64"}),
    _header(
        "x-ms-structured-content-length",
        "The size of the content without its framing.",
        {"type": "integer", "minimum": 0},
    ),
    _header(METADATA, "One header for each piece of metadata; its name follows the prefix `x-ms-meta-`."),
    _header(
        "x-ms-tags", "At most ten tags, percent-encoded.", example="RecordingType=CALL&StoredTime=2026-11-22"
    ),
    _header("x-ms-access-tier", "The tier. All blobs are on the same disk.", _TIERS, example="Cool"),
    _header(
        "x-ms-blob-type",
        "`BlockBlob`. Required unless the request copies without it.",
        {"enum": ["BlockBlob"]},
        example="BlockBlob",
    ),
)
_OF_COPIES: Final = (
    _header("x-ms-copy-source", "The URL of a blob on this server, with a token if it needs one."),
    _header("x-ms-source-if-tags", "A condition on the source's tags."),
    _header("x-ms-source-lease-id", "The lease of the source.", _GUID),
    _header("x-ms-source-range", "The part of the source."),
    _header("x-ms-source-content-md5", "The MD5 of the source, in Base64. It is verified."),
    _header("x-ms-source-content-crc64", "The CRC-64/NVME of the source, in Base64. It is verified."),
    _header("x-ms-requires-sync", "A copy is complete before it is answered, in either case.", _TRUTH),
    _header("x-ms-copy-source-tag-option", "Whether the tags are copied.", {"enum": ["REPLACE", "COPY"]}),
    _header("x-ms-copy-source-blob-properties", "Whether the source's content headers are kept.", _TRUTH),
    _header("x-ms-rehydrate-priority", "Accepted; has no effect.", {"enum": ["Standard", "High"]}),
    _header("x-ms-copy-action", "`abort`.", {"const": "abort"}),
)
_OF_READS: Final = (
    _header("Range", "One range of bytes.", example="bytes=0-99"),
    _header("x-ms-range", "As `Range`, which it replaces.", example="bytes=0-99"),
    _header("x-ms-range-get-content-md5", "Answer the MD5 of a range of at most 4 MiB.", _TRUTH),
    _header("x-ms-range-get-content-crc64", "Answer the CRC-64/NVME of a range of at most 4 MiB.", _TRUTH),
    _header("x-ms-if-tags", "A condition on tags.", example="RecordingType = 'CALL'"),
    _header("x-ms-delete-snapshots", "There are none.", {"enum": ["include", "only"]}),
    _header(PUBLIC_ACCESS, "Stored and answered; has no effect.", {"enum": ["container", "blob"]}),
    _header(
        "x-ms-version",
        "The version of the service.",
        {"type": "string", "pattern": r"^20\d\d-\d\d-\d\d$"},
        example="2021-12-02",
    ),
    _header("x-ms-client-request-id", "Repeated in the answer."),
    _header("Origin", "The origin of the calling page.", example="https://app.example.org"),
    _header("Access-Control-Request-Method", "The method of the intended request.", example="GET"),
    _header("Access-Control-Request-Headers", "The headers of the intended request."),
)

ALL: Final[dict[str, Doc]] = {
    **_conditions("", "The blob or container"),
    **_conditions("x-ms-blob-", "The blob"),
    **_conditions("x-ms-source-", "The source"),
    **{
        found["name"]: found
        for group in (_PLACES, _OF_QUERY, _OF_LEASES, _OF_CONTENT, _OF_COPIES, _OF_READS)
        for found in group
    },
}
"""Each by its name."""


def component(name: str) -> str:
    """Return the name of a parameter's component."""
    return "Blob" + "".join(part.capitalize() for part in name.split("-"))


def components() -> Doc:
    """Return all of them."""
    return {component(name): found for name, found in ALL.items()}
